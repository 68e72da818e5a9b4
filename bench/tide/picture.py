#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A small picture of a report of tide for a README: the curves of resident and live alone, as a
headless Chromium draws them. Needs Debian's chromium and chromium-driver.

    bench/tide/picture.py build/compare/report.html bench/tide/report.png
"""

import os
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/e2e"))
from webdriver import Browser  # pylint: disable=wrong-import-position

WIDTH = 1000
READY_SECONDS = 30
ALONE = """
for (const card of document.querySelectorAll(".card"))
  if (!card.classList.contains("wide") || !card.querySelector(".chart")) card.style.display = "none";
return document.documentElement.scrollHeight;
"""


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    report, picture = (os.path.abspath(path) for path in sys.argv[1:])
    window = Browser(shutil.which("chromedriver"), shutil.which("chromium"), width=WIDTH)
    try:
        window.emulate(WIDTH, 800)
        window.open("file://" + report)
        end = time.monotonic() + READY_SECONDS
        while not window.run("return document.body.dataset.isReady"):
            if time.monotonic() > end:
                sys.exit("picture.py: %s shows nothing" % report)
            time.sleep(0.1)
        window.emulate(WIDTH, window.run(ALONE))
        window.screenshot(picture)
    finally:
        window.close()


if __name__ == "__main__":
    main()
