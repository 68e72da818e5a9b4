# SPDX-License-Identifier: MIT
"""The page in a real browser, without a window: it shows what /api says, while a load fills, deletes and
compacts; it breaks no rule of its own policy; it fits a phone and a wall, and can be used without a
mouse. Screenshots are left in build/page/."""

import json
import os
import random
import re
import threading
import time

import ebb
import situations
from case import MIB, RSS_COUNTS, SCALE, Skipped, case, equal, mib, program, true, within
from scenes import Values
from webdriver import Browser

PICTURES = os.path.join(ebb.ROOT, "build", "page-pictures")
FIGURES = "return Object.fromEntries([...document.querySelectorAll('[data-figure]')]" \
          ".map(e => [e.dataset.figure, [e.dataset.value, e.textContent]]))"


def browser(t, **more):
    if not RSS_COUNTS:
        raise Skipped("the page is the same in every build")
    chromium = program("chromium", "chromium-browser", "google-chrome")
    window = t.own(Browser(program("chromedriver"), chromium, **more))
    window.open("http://127.0.0.1:%d/" % t.server.http_port)
    within(60, lambda: int(window.run("return document.body.dataset.ticks || 0")) >= 1,
           "the page shows nothing")
    return window


def figures(window):
    return window.run(FIGURES)


def number(window, name):
    return float(figures(window)[name][0])


def memory(t):
    return json.loads(t.http("/api/memory").body)


def no_complaints(window):
    equal([entry["message"] for entry in window.console()], [], "the console")


def picture(window, name, width, height):
    """The whole page, as high as it wants to be."""
    window.emulate(width, height)
    window.emulate(width, max(height, window.run("return document.documentElement.scrollHeight")))
    time.sleep(1.2)  # a refresh in the new size
    window.screenshot(os.path.join(PICTURES, name + ".png"))


class Reader(threading.Thread):
    """A client that reads at random, so that there is something to see; ended by close()."""

    def __init__(self, client, count):
        super().__init__(daemon=True)
        self.client, self.count, self.is_closed = client, count, False
        self.start()

    def run(self):
        random_source = random.Random(7)
        while not self.is_closed:
            self.client.call("GET", "s%08d" % random_source.randrange(self.count))
            time.sleep(0.0005)

    def close(self):
        self.is_closed = True
        self.join(10)


@case(limit=180)
def page_shows_a_heap_fill_and_empty(t):
    window = browser(t, width=1400, height=1000)
    client, count = t.resp(), 250000 // SCALE
    small, medium = Values(180, b"s"), Values(1200, b"m")
    small.store(client, range(count))
    medium.store(client, range(count, count + count // 8))
    reader = t.own(Reader(t.resp(), count))

    live = count * (9 + 180) + count // 8 * (9 + 1200)
    within(20, lambda: number(window, "live") == live, "live is not %d" % live)
    within(20, lambda: number(window, "operations") > 0, "no operations are shown")
    filled = figures(window)
    equal(float(filled["items"][0]), memory(t)["items"], "items")
    equal(float(filled["clients"][0]), 2, "clients")
    resident = memory(t)["resident_bytes"]
    true(abs(float(filled["resident"][0]) - resident) < 0.05 * resident, "resident")
    true(filled["resident"][1].endswith("MiB"), "resident in words: " + filled["resident"][1])
    pages_filled = int(window.run("return document.getElementById('map').dataset.residentPages"))
    true(abs(pages_filled * 4096 - live) < 0.3 * live, "resident pages in the map: %d" % pages_filled)
    picture(window, "filled", 1400, 1000)

    random_source = random.Random(3)
    keep = set(random_source.sample(range(count), count // 12))
    small.delete(client, [n for n in range(count) if n not in keep])
    medium.delete(client, range(count, count + count // 8))
    live = len(keep) * (9 + 180)
    picture(window, "emptying", 1400, 1000)
    within(30, lambda: number(window, "resident") < live * 1.3 + 10 * MIB,
           "the page does not see memory go")
    within(20, lambda: number(window, "live") == live, "live is not %d" % live)
    within(20, lambda: int(window.run(
        "return document.getElementById('map').dataset.residentPages")) * 4096 < live * 1.3 + 4 * MIB,
           "the map does not empty")
    t.measured("the page: resident %s, then %s" %
               (filled["resident"][1], figures(window)["resident"][1]))
    check_parts(t, window)
    check_charts(t, window)
    reader.close()
    picture(window, "emptied", 1400, 1000)
    no_complaints(window)


def check_parts(t, window):
    """The table adds up and has every part of /api."""
    rows = window.run("return [...document.querySelectorAll('#parts tbody tr')]"
                      ".map(r => [r.dataset.part, Number(r.dataset.value)])")
    equal([name for name, _ in rows], [part["part"] for part in memory(t)["parts"]], "parts")
    shown = window.run("return [[...document.querySelectorAll('#parts tbody tr')].reduce("
                       "(sum, r) => sum + Number(r.dataset.value), 0), "
                       "Number(document.querySelector('[data-figure=resident]').dataset.value)]")
    equal(shown[0], shown[1], "the sum of the parts in the table")
    verdict = window.run("return [...document.querySelectorAll('#verdict li')].map(e => e.textContent)")
    true(len(verdict) >= 2 and "resident" in verdict[0], "verdict %r" % verdict)


def check_charts(t, window):
    """The moment that the keyboard marks is that of the history, in every chart."""
    window.run("document.querySelector('input[name=range][value=\"60\"]').click()")
    within(20, lambda: window.run("return document.querySelectorAll('#memory-chart canvas').length"),
           "no canvas")
    time.sleep(2)
    window.run("document.getElementById('memory-chart').focus()")
    for _ in range(3):
        window.press("\ue012")  # left
    shown = window.run(
        "const value = (id, i) => Number(document.querySelectorAll(`#${id}-legend b`)[i].dataset.value);"
        "return [document.querySelector('#memory-legend .when').textContent, value('memory', 0),"
        " value('memory', 1), [...document.querySelectorAll('#layers-legend b')].reduce("
        "(sum, b) => sum + Number(b.dataset.value), 0), value('clients', 0)]")
    true(re.match(r"\d\d:\d\d:\d\d", shown[0]), "the time of the mark: %r" % shown[0])
    columns = json.loads(t.http("/api/history?seconds=120").body)["columns"]
    known = list(zip(columns["live_bytes"], columns["resident_bytes"], columns["clients"]))
    true((shown[1], shown[2], shown[4]) in known,
         "the charts show %r, the history has %r" % (shown, known[-10:]))
    true(abs(shown[3] - shown[2]) < 1e-4 * shown[2] + 10, "layers %r, resident %r" % (shown[3], shown[2]))
    window.press("\ue00c")  # escape: back to now
    equal(window.run("return document.querySelector('#memory-legend .when').textContent"), "", "the mark")


@case(limit=120)
def page_fits_a_phone_and_a_wall(t):
    window = browser(t, is_dark=True)
    client = t.resp()
    for size in (30, 90, 250, 700, 2000, 6000, 200000):
        Values(size, bytes([97 + size % 26])).store(client, range(2000 // SCALE if size < 9999 else 20))
        client.call("RENAME", "k00000001", "size%d" % size)
    for name, width, height in (("phone", 360, 740), ("tablet", 820, 1100), ("wall", 2560, 1440)):
        picture(window, name + "-dark", width, height)
        window.emulate(width, height)
        time.sleep(1.2)
        wide = window.run("return [...document.querySelectorAll('body *')].filter(e => "
                          "!e.closest('.scroll, .hidden, .skip') && e.getBoundingClientRect().right > "
                          "innerWidth + 1).map(e => e.tagName + '#' + e.id + '.' + e.className)")
        equal(wide, [], "what is wider than %d pixels" % width)
        equal(window.run("return document.documentElement.scrollWidth"), width, "width of the page")
    no_complaints(window)


CONTRAST = """
const luminance = ([r, g, b]) => [r, g, b].map(c => c / 255)
  .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const parse = text => { const n = text.match(/[\\d.]+/g).map(Number), unit = text.startsWith('color') ? 255 : 1;
  return [n[0] * unit, n[1] * unit, n[2] * unit, n.length > 3 ? n[3] : 1]; };
const over = (c, share, below) => below.map((b, i) => c[i] * share + b * (1 - share));
const behind = e => { const layers = []; for (; e; e = e.parentElement) {
    layers.push(parse(getComputedStyle(e).backgroundColor)); if (layers.at(-1)[3] === 1) break; }
  return layers.reduceRight((below, c) => over(c, c[3], below), [255, 255, 255]); };
const opacity = e => { let all = 1; for (; e; e = e.parentElement) all *= getComputedStyle(e).opacity; return all; };
const bad = [];
for (const e of document.querySelectorAll('h1, h2, p, dt, dd, th, td, li, b, a, label, span, button')) {
  if (e.closest('.zero, .hidden, .skip, [aria-hidden]') || !e.textContent.trim()) continue;
  if (getComputedStyle(e).display === 'none' || !e.offsetParent) continue;
  const below = behind(e), text = over(parse(getComputedStyle(e).color), opacity(e), below);
  const [a, b] = [text, below].map(luminance).sort((x, y) => y - x);
  const contrast = (a + 0.05) / (b + 0.05);
  if (contrast < 4.5) bad.push(`${e.tagName} ${e.textContent.trim().slice(0, 30)}: ${contrast.toFixed(2)}`);
}
return bad;
"""
UNNAMED = """
return [...document.querySelectorAll('[tabindex="0"], input, button, a, canvas[role]')].filter(e =>
  e.offsetParent && !(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.textContent.trim() ||
    (e.labels && e.labels.length > 0))).map(e => e.outerHTML.slice(0, 80));
"""


@case(limit=120)
def page_can_be_read_and_used_by_all(t):
    """Contrast of all text, names of all controls, and the order in which the tab key finds them."""
    for is_dark in (False, True):
        window = browser(t, is_dark=is_dark)
        t.resp().call("SET", "a", "b")
        time.sleep(1.5)
        equal(window.run(CONTRAST), [], "text that is hard to read, %s" % ("dark" if is_dark else "light"))
    equal(window.run(UNNAMED), [], "what a screen reader has no name for")
    equal(window.run("return document.documentElement.lang"), "en", "language")
    equal(len(window.run("return [...document.querySelectorAll('h1')].map(e => e.textContent)")), 1, "h1")
    seen = []
    for _ in range(40):
        window.press("\ue004")  # tab
        where = window.run("const e = document.activeElement; return e.id || e.getAttribute('href') || "
                           "e.value || e.className || e.tagName")
        if where == "BODY" or where in seen:
            break
        seen.append(where)
    wanted = ["#memory", "600", "memory-chart", "layers-chart", "map", "scroll", "work-chart",
              "operations-chart", "latency-chart", "hits-chart", "clients-chart", "network-chart",
              "/metrics", "/api/memory"]
    equal([where for where in seen if where in wanted], wanted, "the order of the tab key: %r" % seen)
    window.run("document.getElementById('map').focus()")
    window.press("\ue014", "\ue015")
    true(re.match(r"arena \d+, page \d+: ", window.run(
        "return document.getElementById('map-cell').textContent")), "a page of the map in words")
    no_complaints(window)


@case(limit=240)
def page_names_the_cause_and_the_remedy(t):
    window = browser(t)
    tellers = [lambda: window.run("return document.getElementById('verdict').innerText")]
    for prepared in situations.ALL:
        prepared(t, tellers)
    no_complaints(window)


@case(limit=60)
def page_says_of_when_it_is_when_the_server_has_gone(t):
    window = browser(t)
    no_complaints(window)
    t.server.stop()
    verdict = "return document.getElementById('verdict').innerText"
    within(20, lambda: re.match(r"No answer \(.+\)\. All that is shown here is of \d+:\d+:\d+",
                                window.run(verdict)), "the page takes the past for the present")
    equal(window.run("return document.getElementById('state').textContent"), "▲ no answer", "state")
    true(figures(window)["resident"][1].endswith("MiB"), "the last figure is gone")


@case(limit=90)
def buttons_act_for_who_has_the_token(t):
    window = browser(t)
    equal(window.run("return document.getElementById('actions').hidden"), True, "hidden without a token")
    client, values = t.resp(), Values(400)
    client.call("CONFIG", "SET", "admin-token", "sesame")
    values.store(client, range(20000 // SCALE))
    values.delete(client, [n for n in range(20000 // SCALE) if n % 10])
    within(20, lambda: not window.run("return document.getElementById('actions').hidden"), "still hidden")
    press = "document.querySelector('#actions button[value=%s]').click()"
    said = "return document.getElementById('actions-state').textContent"
    window.run("document.getElementById('token').value = 'sesame'")
    window.run(press % "compact")
    within(20, lambda: window.run(said) == "compact: started", "compact")
    window.run(press % "purge")
    within(20, lambda: window.run(said) == "purge: started", "purge")
    within(20, lambda: memory(t)["trim"]["idle_bytes"] == 0, "nothing was purged")
    no_complaints(window)
    window.run("document.getElementById('token').value = 'wrong'")
    window.run(press % "purge")
    within(20, lambda: "token" in window.run(said), "a wrong token")
