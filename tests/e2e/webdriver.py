# SPDX-License-Identifier: MIT
"""A browser without a window: Chromium, driven over the WebDriver protocol (JSON over HTTP).

It gets a profile of its own that is thrown away, and makes no connection but to the pages it is
sent to.
"""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from ebb import free_port

ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--disable-default-apps", "--disable-extensions", "--disable-dev-shm-usage",
             "--hide-scrollbars", "--no-default-browser-check", "--no-proxy-server",
             "--force-color-profile=srgb")
READY_SECONDS = 60


class BrowserFailed(Exception):
    """The driver did not start, or did not do what it was told."""


class Browser:
    """One window. close() ends the browser and its driver."""

    def __init__(self, driver, chromium, width=1280, height=900, is_dark=False):
        self.folder = tempfile.mkdtemp(prefix="ebb-browser-")
        self.port = free_port()
        self.session = None
        self.process = subprocess.Popen(
            [driver, "--port=%d" % self.port], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, cwd=self.folder, env=dict(os.environ, HOME=self.folder))
        try:
            self._wait_ready()
            arguments = list(ARGUMENTS) + ["--window-size=%d,%d" % (width, height),
                                           "--user-data-dir=" + os.path.join(self.folder, "profile")]
            if is_dark:
                arguments.append("--blink-settings=preferredColorScheme=0")
            answer = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": {
                "goog:chromeOptions": {"binary": chromium, "args": arguments},
                "goog:loggingPrefs": {"browser": "ALL"}}}})
            self.session = answer["sessionId"]
        except Exception:
            self.close()
            raise

    def _wait_ready(self):
        end = time.monotonic() + READY_SECONDS
        while True:
            try:
                if self._ask("GET", "/status")["ready"]:
                    return
            except (OSError, BrowserFailed):
                pass
            if self.process.poll() is not None or time.monotonic() > end:
                raise BrowserFailed("chromedriver does not start")
            time.sleep(0.05)

    def _ask(self, method, path, body=None):
        request = urllib.request.Request(
            "http://127.0.0.1:%d%s" % (self.port, path), method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=120) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as error:
            raise BrowserFailed("%s %s: %s" % (method, path, error.read().decode()[:500]))

    def _in_session(self, method, path, body=None):
        return self._ask(method, "/session/%s%s" % (self.session, path), body)

    def open(self, url):
        self._in_session("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """Runs JavaScript in the page: "return document.title"."""
        return self._in_session("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def press(self, *keys):
        """Presses keys, one after the other, wherever the focus is."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._in_session("POST", "/actions", {"actions": [
            {"type": "key", "id": "keyboard", "actions": actions}]})

    def resize(self, width, height):
        self._in_session("POST", "/window/rect", {"width": width, "height": height})

    def emulate(self, width, height):
        """A viewport of exactly that size, which a window can't be made to have."""
        self._in_session("POST", "/goog/cdp/execute", {
            "cmd": "Emulation.setDeviceMetricsOverride",
            "params": {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}})

    def console(self):
        """What the page, or the browser about it, has written to the console since last asked."""
        return self._in_session("POST", "/se/log", {"type": "browser"})

    def screenshot(self, path, is_whole=True):
        """Writes a PNG of the whole page, or of what the window shows."""
        picture = self._in_session("POST", "/goog/cdp/execute", {
            "cmd": "Page.captureScreenshot",
            "params": {"format": "png", "captureBeyondViewport": is_whole}})["data"]
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(picture))

    def close(self):
        try:
            if self.session:
                self._in_session("DELETE", "")
        except (OSError, BrowserFailed):
            pass
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
