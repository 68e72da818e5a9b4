# SPDX-License-Identifier: MIT
"""tide's report in a headless Chromium: the numbers of the run files, on a phone too, and no text of
theirs is more than text."""

import json
import os
import time

import ebb
from case import RSS_COUNTS, Skipped, case, equal, program, true, within
from webdriver import Browser

HOSTILE = "</script><img src=x onerror=\"document.title='hit'\"><!-- \u0007 & \u2028 'x'"
COLUMNS = ["seconds", "resident_bytes", "charged_bytes", "live_bytes", "cpu_seconds", "faults", "operations",
           "stall_seconds"]
NAMES = ["resident_bytes", "resident_over_live", "peak_over_live", "follow_seconds", "cpu_seconds", "stall_p999_seconds",
         "stall_max_seconds", "faults_per_mib", "wrong", "missing", "live_off"]


def made_run(label, factor, count):
    """A run that fills and deletes, its memory `factor` times its live bytes."""
    rows = []
    for i in range(count):
        live = 1000003 * min(i, count // 2) if i < count * 3 // 4 else 7000001
        rows.append([i * 0.05, int(live * factor) + i, None, live, i * 0.01, i, i * 100, 0.0001 * (i % 11)])
    phases = [dict(zip(NAMES, [1000 * factor, factor, factor + 0.125, None, 1.5 * factor, 0.001, 0.25, 3.5, 0, 0,
                               0.001 * factor]),
                   name=name, kind="fill", start_seconds=n * count * 0.025, end_seconds=(n + 1) * count * 0.025)
              for n, name in enumerate(("fill", HOSTILE))]
    return {"format": "tide-run", "format_version": 1, "scenario": {"name": "w3", "title": HOSTILE, "text": HOSTILE},
            "server": {"name": label, "label": label, "command": HOSTILE}, "completed": False, "error": HOSTILE,
            "phases": phases, "samples": {"columns": COLUMNS, "rows": rows}}


def report(t, runs):
    tide = os.path.join(os.path.dirname(ebb.binary()), "tide")
    if not RSS_COUNTS:
        raise Skipped("the report is the same in every build")
    if not os.access(tide, os.X_OK):
        raise Skipped("tide is not built")
    paths = [os.path.join(t.folder, "%d.json" % n) for n in range(len(runs))]
    for path, run in zip(paths, runs):
        with open(path, "w", encoding="ascii") as file:
            json.dump(run, file)
    page = os.path.join(t.folder, "report.html")
    t.run(os.path.abspath(tide), "compare", "--report", page, *paths)
    chromium = program("chromium", "chromium-browser", "google-chrome")
    window = t.own(Browser(program("chromedriver"), chromium))
    window.open("file://" + page)
    within(60, lambda: window.run("return document.body.dataset.isReady"), "the report shows nothing")
    return window


@case(limit=120)
def report_shows_the_numbers_of_the_runs(t):
    runs = [made_run("one", 1.25, 400), made_run("two", 2.5, 700)]
    window = report(t, runs)
    cells = window.run("return [...document.querySelectorAll('.verdicts td')].map(e => [Number(e.dataset.phase),"
                       " e.dataset.name, Number(e.dataset.run), e.dataset.value, e.classList.contains('best')])")
    equal(len(cells), 2 * 2 * len(NAMES), "verdicts")
    for phase, name, run, value, is_best in cells:
        wanted = runs[run]["phases"][phase][name]
        equal(float(value) if value else None, wanted, "%s of run %d" % (name, run))
        others = [one["phases"][phase][name] for one in runs]
        is_merit = name != "live_off" and others[0] != others[1]
        equal(is_best, wanted is not None and is_merit and wanted == min(others), "best " + name)
    shown = window.run("return [...document.querySelectorAll('.legend b')].slice(0, 4).map(e => Number(e.dataset.value))")
    equal(shown, [run["samples"]["rows"][-1][column] for run in runs for column in (1, 3)], "the legend")
    equal(window.run("return document.querySelectorAll('.chart').length"), 3, "charts of what is known")
    window.run("document.querySelector('.chart').focus()")
    window.press("\ue012")  # left
    moved = window.run("return [...document.querySelectorAll('.legend b')].slice(0, 2).map(e => Number(e.dataset.value))")
    true(moved in [[row[1], row[3]] for row in runs[0]["samples"]["rows"]], "the mark shows %r" % moved)
    equal([entry["message"] for entry in window.console()], [], "the console")


@case(limit=120)
def report_is_inert_and_fits_a_phone(t):
    window = report(t, [made_run(HOSTILE, 1.25, 300), made_run("two", 2.5, 300)])
    equal(window.run("return document.querySelectorAll('img').length"), 0, "tags out of texts")
    equal(window.run("return document.querySelector('pre').textContent"), HOSTILE, "the scenario")
    equal(window.run("return document.title"), "tide: how memory comes back", "title")
    for width in (360, 2560):
        window.emulate(width, 900)
        time.sleep(0.5)
        equal(window.run("return document.documentElement.scrollWidth"), width, "width of the page")
    equal([entry["message"] for entry in window.console()], [], "the console")
