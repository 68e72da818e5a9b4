#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs the end-to-end tests and prints TAP.

    tests/e2e/run.py                         all of them
    tests/e2e/run.py scenes clients          those of two modules
    tests/e2e/run.py scenes.one_in_the_middle
    tests/e2e/run.py --list                  names only (--list-modules: of the modules)

Each test gets a fresh server unless it asks otherwise, and a time limit. The exit code is 0 when
none failed. E2E_BIN, E2E_SCALE and E2E_NO_RSS are explained in tests/README.md.
"""

import importlib
import os
import signal
import sys
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import case  # noqa: E402  (the path above comes first)
import ebb  # noqa: E402

MODULES = ("program", "library", "protocol", "beside", "random_streams", "together", "clients",
           "badinput", "greedy", "prometheus", "parts", "long_values", "pages", "browser", "tide",
           "tide_trouble", "tide_report", "scenes", "memory", "limit", "speed")
NOTE_LINES = 80
CLOSE_SECONDS = 60  # for ending servers after a test that ran into its limit


class OutOfTime(BaseException):
    """Not an Exception, so that no test catches it by the way."""


def on_alarm(_number, _frame):
    raise OutOfTime()


def collect(wanted):
    """(name, function) of the tests asked for, in the order of MODULES and of their source."""
    found = []
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        tests = [f for f in vars(module).values()
                 if hasattr(f, "limit_seconds") and f.__module__ == module_name]
        tests.sort(key=lambda f: f.__code__.co_firstlineno)
        found += [("%s.%s" % (module_name, f.__name__), f) for f in tests]
    if not wanted:
        return found
    chosen = [(n, f) for n, f in found if n in wanted or n.split(".")[0] in wanted]
    known = {n for n, _ in found} | set(MODULES)
    for word in wanted:
        if word not in known:
            sys.exit("run.py: no test or module of the name " + word)
    return chosen


def note(text):
    lines = str(text).rstrip("\n").split("\n")
    if len(lines) > NOTE_LINES:
        lines[NOTE_LINES // 2:-NOTE_LINES // 2] = ["..."]
    print("\n".join("# " + line for line in lines), flush=True)


def explain(error, limit):
    if isinstance(error, OutOfTime):
        note("over its limit of %d s" % limit)
    elif isinstance(error, (case.Failed, ebb.ServerFailed)):
        note(error)
    else:
        note("%s: %s" % (type(error).__name__, error))
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith(os.path.dirname(os.path.abspath(__file__))) \
                and not frame.filename.endswith("run.py"):
            note("  at %s:%d %s" % (os.path.basename(frame.filename), frame.lineno, frame.line))


def run(function):
    """Runs one test. Returns (passed, reason for skipping)."""
    context = case.Context(note)
    error = skipped = None
    signal.alarm(function.limit_seconds)
    try:
        function(context)
    except case.Skipped as missing:
        skipped = str(missing)
    except (Exception, OutOfTime) as problem:
        error = problem
    finally:
        signal.alarm(CLOSE_SECONDS)
        try:
            context.close()
        except (Exception, OutOfTime) as problem:
            if error:
                explain(problem, CLOSE_SECONDS)
            error = error or problem
        signal.alarm(0)
    if error:
        explain(error, function.limit_seconds)
    return error is None, skipped if error is None else None


def main(words):
    if "--list-modules" in words:
        print("\n".join(MODULES))
        return 0
    tests = collect([w for w in words if not w.startswith("-")])
    if "--list" in words:
        print("\n".join(name for name, _ in tests))
        return 0
    if not os.access(ebb.binary(), os.X_OK):
        sys.exit("run.py: no program at %s (E2E_BIN)" % ebb.binary())
    signal.signal(signal.SIGALRM, on_alarm)
    print("1..%d" % len(tests), flush=True)
    failed = []
    begin = time.monotonic()
    for number, (name, function) in enumerate(tests, 1):
        start = time.monotonic()
        passed, skipped = run(function)
        seconds = time.monotonic() - start
        end = " # SKIP " + skipped if skipped else ""
        print("%s %d - %s%s" % ("ok" if passed else "not ok", number, name, end), flush=True)
        note("%.1f s" % seconds)
        if not passed:
            failed.append(name)
    note("%d tests in %.0f s, %d failed %s" % (len(tests), time.monotonic() - begin, len(failed),
                                             " ".join(failed)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
