#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whether tide is what holds a server up: redis-benchmark and tide in turn on the same server, at 8
connections of depth 32 with values of 100 bytes. What counts is the CPU time of a command, the
driver's beside the server's: it says the same on a busy machine, where rates do not.

    bench/tide/speed.py build/tide 'redis-server --port %p --save ""'...
"""

import json
import os
import resource
import shlex
import socket
import subprocess
import sys
import tempfile
import time

COMMANDS = 2000000
SCENARIO = """title half reads, half writes
fill items=300000 value=fixed:100
churn seconds=4 writes=50% value=fixed:100
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_ready(server, port):
    while server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
    sys.exit("speed.py: the server ended at once")


def row(name, commands, wall, driver, server):
    print("  %-20s %9.0f/s   driver %.2f us, %3.0f %%   server %.2f us, %3.0f %%" %
          (name, commands / wall, driver / commands * 1e6, driver / wall * 100,
           server / commands * 1e6, server / wall * 100), flush=True)


def benchmark(verb, port, pid):
    def spent():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime
    server, driver, begin = cpu_seconds(pid), spent(), time.monotonic()
    subprocess.run(["redis-benchmark", "-p", str(port), "-q", "-t", verb, "-n", str(COMMANDS), "-r",
                    "300000", "-d", "100", "-P", "32", "-c", "8"], stdout=subprocess.DEVNULL, check=True)
    row("redis-benchmark " + verb, COMMANDS, time.monotonic() - begin, spent() - driver,
        cpu_seconds(pid) - server)


def tide(program, port, pid, folder):
    scenario, result = os.path.join(folder, "half.tide"), os.path.join(folder, "run.json")
    with open(scenario, "w", encoding="ascii") as file:
        file.write(SCENARIO)
    subprocess.run([program, "run", scenario, "--server", "127.0.0.1:%d" % port, "--pid", str(pid),
                    "--json", result], capture_output=True, check=True)
    with open(result, encoding="utf-8") as file:
        phase = json.load(file)["phases"][1]
    row("tide, half of each", phase["work_operations"], phase["work_seconds"],
        phase["load_cpu_seconds"], phase["cpu_seconds"])


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    for command in sys.argv[2:]:
        print(command)
        port = free_port()
        with tempfile.TemporaryDirectory() as folder, \
                subprocess.Popen(shlex.split(command.replace("%p", str(port))), cwd=folder,
                                 stdout=subprocess.DEVNULL) as server:
            try:
                wait_until_ready(server, port)
                benchmark("set", port, server.pid)
                benchmark("get", port, server.pid)
                subprocess.run(["redis-cli", "-p", str(port), "flushall"],
                               stdout=subprocess.DEVNULL, check=True)
                tide(os.path.abspath(sys.argv[1]), port, server.pid, folder)
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
