# SPDX-License-Identifier: MIT
"""The allocator as a library: installed, found with pkg-config, used by the example of its room."""

import glob
import os
import re
import subprocess

import ebb
from case import Failed, case, equal, program, true

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLE = os.path.join(ROOT, "alloc", "example", "words.c")


def run(t, *command, **environment):
    done = subprocess.run(command, cwd=t.folder, env={**os.environ, **environment}, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    if done.returncode != 0:
        raise Failed("%s: exit code %d: %s" % (" ".join(command), done.returncode,
                                               done.stdout.decode()))
    return done.stdout.decode()


def install(t):
    prefix = os.path.join(t.folder, "installed")
    environment = {name: "" for name in ("MAKEFLAGS", "MAKELEVEL")}
    run(t, program("make"), "-C", ROOT, "install", "PREFIX=" + prefix, **environment)
    return prefix


def build(t, prefix, *options):
    """Compiles the example as its head says; returns what it prints."""
    flags = run(t, program("pkg-config"), "--cflags", "--libs", "ebb_alloc",
                PKG_CONFIG_PATH=os.path.join(prefix, "lib", "pkgconfig")).split()
    run(t, program("cc", "gcc"), "-Wall", "-Wextra", "-Werror", EXAMPLE, *options, *flags)
    return run(t, "./a.out", LD_LIBRARY_PATH=os.path.join(prefix, "lib"))


@case(limit=120)
def the_example_gives_its_memory_back(t):
    prefix = install(t)
    for options in ((), ("-static",)):
        out = build(t, prefix, *options)
        kib = {when: int(size) for when, size in re.findall(r"(\w+): .* in +(\d+) KiB", out)}
        true(kib["full"] > 97000, "a million texts: " + out)
        true(kib["compacted"] < 1300, "what is left of them: " + out)
        true(int(re.search(r"(\d+) texts were moved", out).group(1)) > 5000, out)
    t.measured("; ".join(re.sub(" +", " ", line) for line in out.splitlines()))


@case(limit=120)
def the_library_shows_its_public_names_only(t):
    prefix = install(t)
    for library in glob.glob(os.path.join(prefix, "lib", "libebb_alloc.*")):
        out = run(t, program("nm"), *(["-D"] if ".so" in library else []), "--defined-only", "-g",
                  library)
        names = re.findall(r"^[0-9a-f]+ [A-Z] (\S+)$", out, re.MULTILINE)
        true("ebb_alloc" in names and "ebb_compact" in names, "%s: %s" % (library, names))
        equal([name for name in names if not name.startswith("ebb_")], [], library)
    true(os.access(os.path.join(prefix, "bin", "ebb"), os.X_OK), "the server is installed")
    equal(run(t, os.path.join(prefix, "bin", "ebb"), "--version"),
          run(t, ebb.binary(), "--version"), "its version")
