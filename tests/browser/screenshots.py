"""Takes the pictures of the console that stand in docs/: `.venv/bin/python tests/browser/screenshots.py`.

Needs what `make test` needs. Every page, at a desk's and a phone's size, in a house with people and something on.
"""

from __future__ import annotations

import sys
import threading
import time
import unittest
from pathlib import Path
from typing import Any, Callable, List

import cv2
from browser import DESKTOP, PHONE, ROOT, ConsoleCase
from support import eventually
from test_house import VIDEOS

from playhouse_clients import Chatroom, Packetchat, Videochat
from playhouse_clients.lan_chat import LanChat
from playhouse_clients.tumip import Tumip

OUT = ROOT / "docs" / "console"
SIZES = {"desktop": DESKTOP, "phone": PHONE}


def pictures(name: str, side: int = 228) -> List[bytes]:
    """A sample video as somebody's camera."""
    film = cv2.VideoCapture(str(VIDEOS / name))
    found = []
    while True:
        there, frame = film.read()
        if not there:
            return found
        frame = cv2.resize(frame, (side, side * 9 // 16))
        found.append(cv2.imencode(".jpg", frame)[1].tobytes())


class Screenshots(ConsoleCase):
    def test_take(self) -> None:
        OUT.mkdir(parents=True, exist_ok=True)
        self.open_house(LAN_AUDIO__SOURCE="tone")
        stop = threading.Event()
        self.addCleanup(stop.set)
        self.camera(7, "mandelbrot_360p.mp4", stop)
        self.camera(12, "test_card_240p.mp4", stop)
        grace = self.stack.enter_context(Videochat.connect(*self.house.at("videochat"), "Grace"))
        self.stack.enter_context(Chatroom.connect(*self.house.at("chatroom"), "Clara"))
        ada = self.stack.enter_context(Packetchat.connect(*self.house.at("packetchat"), "Ada"))
        line = self.stack.enter_context(LanChat(*self.house.at("lan_chat")))
        for path in (VIDEOS / "cells_720p.mp4", ROOT / "README.md"):
            ada.upload(str(path))
        lia = self.person("Lia")
        line.say("does netcat reach you?")
        self.hears(lia, "does netcat")
        ada.send_all("it does; there are two files for you")
        self.hears(lia, "two files")
        self.says(lia, "thanks! Grace, are you there as well?")
        eventually(lambda: "Lia@web" in grace.users, "Grace sees Lia")
        grace.send("Lia@web", "here, behind RSA: the house reads this one for you")
        self.says(lia, "@bot what is on?")
        lia.locator("#messages .msg", has_text="mandelbrot").first.wait_for()
        for size, view in SIZES.items():
            page = self.person("Tom" if size == "phone" else "Ida", view)
            self.views(page, size)
        for size, view in SIZES.items():
            door = self.page(view)
            door.goto(self.address)
            door.locator("#name").wait_for()
            self.take(door, f"door-{size}")
            api = self.page(view)
            api.goto(f"{self.address}/api")
            api.get_by_text("/api/videos/{name}").first.wait_for()
            self.take(api, f"api-{size}")
        self.sheet()

    def camera(self, user: int, film: str, stop: threading.Event) -> None:
        tumip = self.stack.enter_context(Tumip(*self.house.at("tumip"), user=user))
        tumip.register()
        frames = pictures(film)

        def send() -> None:
            at = 0
            while not stop.wait(0.04):
                tumip.send_picture(frames[at % len(frames)])
                at += 1

        thread = threading.Thread(target=send)
        thread.start()
        # Before the connection is closed.
        self.stack.callback(lambda: (stop.set(), thread.join()))

    def views(self, page: Any, size: str) -> None:
        def after(view: str, condition: str, then: Callable[[], None] = lambda: None) -> None:
            self.show(page, view)
            self.until(page, condition)
            then()
            self.take(page, f"{view.partition('/')[0]}-{size}")

        after("chat", "() => document.querySelectorAll('#messages .msg').length > 4")
        loaded = "() => [...document.querySelectorAll('#videos .card img')].filter((i) => i.naturalWidth).length > 2"
        after("videos", loaded)
        after("watch/cells", "() => window.playhouse.player.frame > 60")
        drawn = "() => window.playhouse.live.length > 1 && window.playhouse.live.every((t) => t.shown > 3)"
        after("live", drawn)
        after("files", "() => document.querySelectorAll('#files .file').length > 1")
        # Charts want a few seconds of something to show.
        after("house", "() => document.querySelectorAll('#actors tr').length > 5", lambda: time.sleep(12))

    @staticmethod
    def take(page: Any, name: str) -> None:
        page.screenshot(path=str(OUT / f"{name}.jpg"), type="jpeg", quality=88)

    def sheet(self) -> None:
        """One picture for the README."""
        page = self.context({"width": 1500, "height": 980}).new_page()

        def image(name: str, style: str) -> str:
            return f'<img src="file://{OUT}/{name}.jpg" style="position:absolute;border-radius:10px;box-shadow:0 8px 30px #0005;{style}">'

        html = Path(self.folder, "sheet.html")
        html.write_text(
            '<body style="margin:0;background:#d9d6e3">'
            + image("chat-desktop", "left:30px;top:30px;width:880px")
            + image("house-desktop", "left:760px;top:330px;width:700px")
            + image("watch-desktop", "left:90px;top:520px;width:660px")
            + image("live-phone", "left:1240px;top:40px;width:210px;height:454px")
            + "</body>"
        )
        page.goto(f"file://{html}")
        page.wait_for_load_state("networkidle")
        page.screenshot(path=str(ROOT / "docs" / "console.png"))


if __name__ == "__main__":
    sys.exit(not unittest.main(exit=False).result.wasSuccessful())
