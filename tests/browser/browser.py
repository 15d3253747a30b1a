"""What the tests of the console share: a house, and people in front of it, each in a browser of their own."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import unittest
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, List
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "clients"))

from test_house import House  # noqa: E402

from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright  # noqa: E402

# As long as a busy machine may take; nothing waits that long unless it fails.
PATIENCE_MS = 30_000
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
# No sandbox, because tests run as root in containers; no errands of its own, because there is nowhere to go.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]


def chromium() -> str:
    named = os.environ.get("PLAYHOUSE_CHROMIUM")
    found = named or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        raise AssertionError("no Chromium on the PATH (scripts/setup test installs it; PLAYHOUSE_CHROMIUM names one)")
    return found


class ConsoleCase(unittest.TestCase):
    """Each test has a house of its own; all of a class share one browser program."""

    playwright: Playwright
    browser: Browser

    @classmethod
    def setUpClass(cls) -> None:
        cls.playwright = sync_playwright().start()
        cls.addClassCleanup(cls.playwright.stop)
        cls.browser = cls.playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        cls.addClassCleanup(cls.browser.close)

    def setUp(self) -> None:
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.complaints: List[str] = []

    def open_house(self, **keys: str) -> House:
        """With these keys of the configuration, as `WEB__PASSWORD="…"`."""
        for key, value in keys.items():
            os.environ[f"PLAYHOUSE__{key}"] = value
        try:
            self.house = House(self.folder, "")
        finally:
            for key in keys:
                del os.environ[f"PLAYHOUSE__{key}"]
        self.addCleanup(self.house.stop)
        return self.house

    @property
    def address(self) -> str:
        host, port = self.house.at("web")
        return f"http://{host}:{port}"

    def context(self, size: Dict[str, int] = DESKTOP, **options: Any) -> BrowserContext:
        context = self.browser.new_context(viewport=size, reduced_motion="reduce", **options)
        self.stack.callback(context.close)
        context.set_default_timeout(PATIENCE_MS)
        return context

    def page(self, size: Dict[str, int] = DESKTOP, **options: Any) -> Page:
        """A page of somebody's own; what it complains about, and whom else it asks, is noted."""
        page = self.context(size, **options).new_page()
        page.on("pageerror", lambda error: self.complaints.append(f"{error}"))
        page.on("request", self.note_request)
        page.on("console", lambda message: self.note_console(message.type, message.text))
        return page

    def note_request(self, request: Any) -> None:
        address = urlsplit(request.url)
        ours = urlsplit(self.address)
        if address.scheme in ("http", "https", "ws", "wss") and address.netloc != ours.netloc:
            self.complaints.append(f"asks {request.url}")

    def note_console(self, kind: str, text: str) -> None:
        # The browser itself says so of each answer that is an error; the page shows what it makes of it.
        if kind == "error" and "Failed to load resource" not in text and "WebSocket connection" not in text:
            self.complaints.append(text)

    def person(self, name: str, size: Dict[str, int] = DESKTOP, view: str = "", **options: Any) -> Page:
        """Somebody who has come in."""
        page = self.page(size, **options)
        page.goto(f"{self.address}/{view}")
        page.fill("#name", name)
        page.click("#enter")
        self.until(page, "() => window.playhouse.connected && !document.querySelector('#app').hidden")
        return page

    def until(self, page: Page, condition: str, argument: Any = None) -> None:
        """Waits until a function says yes, looked at often."""
        page.wait_for_function(condition, arg=argument, polling=50)

    def show(self, page: Page, view: str) -> None:
        page.evaluate("view => { location.hash = view }", view)

    def says(self, page: Page, text: str) -> None:
        page.fill("#message", text)
        page.click("#send")

    def hears(self, page: Page, text: str) -> None:
        page.locator("#messages .msg .text", has_text=text).first.wait_for()

    def no_complaints(self) -> None:
        self.assertEqual(self.complaints, [])
