"""The console in a real browser against the real server."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import random
import subprocess
import threading
import unittest
import urllib.request
from typing import Any, Dict

import cv2
import numpy
from browser import PATIENCE_MS, PHONE, ConsoleCase
from support import eventually
from test_house import BINARY

from playhouse_clients.tumip import Tumip

UPLOAD = 20 * 1024 * 1024


def get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return bytes(answer.read())


def hash_of(password: str) -> str:
    """As an operator makes it."""
    made = subprocess.run(
        [str(BINARY), "password"], input=f"{password}\n", capture_output=True, encoding="utf-8", timeout=60, check=True
    )
    return made.stdout.strip()


# The mean colour of the picture on a canvas, red, green, blue; null while there is none.
COLOUR = """selector => {
  const canvas = document.querySelector(selector);
  if (!canvas || canvas.width === 0) return null;
  const small = document.createElement("canvas");
  small.width = small.height = 8;
  const paper = small.getContext("2d");
  paper.drawImage(canvas, 0, 0, 8, 8);
  const pixels = paper.getImageData(0, 0, 8, 8).data;
  const sum = [0, 0, 0];
  for (let at = 0; at < pixels.length; at += 4) for (const part of [0, 1, 2]) sum[part] += pixels[at + part];
  return sum.map((total) => total / 64);
}"""


class PeopleTest(ConsoleCase):
    def test_two_people_chat(self) -> None:
        self.open_house()
        anna, bob = self.person("anna"), self.person("bob", PHONE)
        anna.locator("#people li[data-name=bob]").wait_for(state="attached")
        bob.locator("#people li[data-name=anna]").wait_for(state="attached")
        self.says(anna, "grüße <b>😀</b>")
        for page in (anna, bob):
            self.hears(page, "grüße <b>😀</b>")
            self.assertEqual(page.locator("#messages b", has_text="😀").count(), 0, "markup is text")
        self.says(bob, "and back")
        self.hears(anna, "and back")
        # Who comes later is told what was said.
        carl = self.person("carl")
        self.hears(carl, "grüße")
        self.hears(carl, "and back")
        # Something for one alone.
        anna.locator("#people li[data-name=bob] .person").click()
        self.says(anna, "for bob alone")
        self.hears(anna, "for bob alone")
        bob.click("#show-people")
        bob.locator("#people li[data-name=anna] .person").click()
        self.hears(bob, "for bob alone")
        self.assertEqual(carl.locator("#messages .text", has_text="for bob alone").count(), 0)
        self.no_complaints()

    def test_the_bot_answers(self) -> None:
        self.open_house()
        anna = self.person("anna")
        self.says(anna, "@bot what is on?")
        answer = anna.locator("#messages .msg", has_text="mandelbrot")
        answer.first.wait_for()
        self.no_complaints()

    def test_the_old_name_is_taken_and_a_leave_is_seen(self) -> None:
        self.open_house()
        anna, other = self.person("anna"), self.person("anna")
        self.assertEqual(other.evaluate("() => window.playhouse.me.name"), "anna-2")
        anna.locator("#people li[data-name=anna-2]").wait_for(state="attached")
        other.context.close()
        anna.locator("#people li[data-name=anna-2]").wait_for(state="detached")
        self.no_complaints()


class PictureTest(ConsoleCase):
    def test_a_video_plays_and_its_quality_is_changed(self) -> None:
        self.open_house()
        anna = self.person("anna")
        self.show(anna, "videos")
        anna.locator("#videos .card[data-name=mandelbrot]").click()
        self.until(anna, "() => window.playhouse.player.shown > 10")
        # It is a picture, of more than one colour.
        drawn = anna.evaluate("() => document.querySelector('#player canvas').toDataURL('image/jpeg').length")
        self.assertGreater(drawn, 3000)
        for quality, width in (("720p", 1280), ("144p", 256)):
            anna.select_option("#quality", quality)
            self.until(anna, "width => document.querySelector('#player canvas').width === width", width)
            shown = anna.evaluate("() => window.playhouse.player.shown")
            self.until(anna, "shown => window.playhouse.player.shown > shown + 5", shown)
        # Seeking: the last second of it, and then it is over.
        anna.click("#play")
        self.until(anna, "() => !window.playhouse.player.playing")
        anna.focus("#seek")
        anna.keyboard.press("End")
        self.until(anna, "() => window.playhouse.player.frame >= 150")
        self.no_complaints()

    def test_somebodys_pictures_are_seen_live(self) -> None:
        self.open_house()
        anna = self.person("anna", view="#live")
        blue = numpy.full((120, 160, 3), (200, 60, 20), numpy.uint8)  # blue, green, red
        jpeg = cv2.imencode(".jpg", blue)[1].tobytes()
        stop = threading.Event()
        with Tumip(*self.house.at("tumip"), user=7) as camera:

            def send() -> None:
                while not stop.wait(0.05):
                    camera.send_picture(jpeg)

            camera.register()
            sender = threading.Thread(target=send)
            sender.start()
            try:
                tile = "#live-grid .tile[data-name=tumip-7] canvas"
                anna.locator(tile).wait_for()
                red, green, blue_part = eventually(lambda: self.colour(anna, tile), "a picture is drawn", 30)
            finally:
                stop.set()
                sender.join()
        self.assertTrue(red < 40 and 40 < green < 80 and blue_part > 180, (red, green, blue_part))
        self.no_complaints()

    @staticmethod
    def colour(page: Any, selector: str) -> Any:
        seen = page.evaluate(COLOUR, selector)
        return seen if seen and sum(seen) > 30 else None

    def test_the_browsers_camera_is_seen_by_others(self) -> None:
        self.open_house()
        anna = self.person("anna", view="#live", permissions=["camera"])
        bob = self.person("bob", view="#live")
        anna.click("#camera")
        tile = '#live-grid .tile[data-name="web-anna"] canvas'
        bob.locator(tile).wait_for()
        self.assertTrue(eventually(lambda: self.colour(bob, tile), "a picture is drawn", 30))
        self.no_complaints()

    def test_the_sound_of_the_house_is_heard(self) -> None:
        self.open_house(LAN_AUDIO__SOURCE="tone")
        anna = self.person("anna")
        anna.click("#listen")
        self.until(anna, "() => window.playhouse.sound.playing && window.playhouse.sound.buffers > 10")
        self.no_complaints()


class FilesTest(ConsoleCase):
    def test_an_upload_outlives_the_server(self) -> None:
        self.open_house()
        content = random.Random(20).randbytes(UPLOAD)
        path = self.folder / "holiday.bin"
        path.write_bytes(content)
        anna = self.person("anna", view="#files")
        network = anna.context.new_cdp_session(anna)
        slow: Dict[str, Any] = {"offline": False, "latency": 0, "downloadThroughput": -1}
        network.send("Network.enable")
        network.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": 4 * 1024 * 1024})
        anna.set_input_files("#upload-input", str(path))
        self.until(
            anna,
            "() => { const bar = document.querySelector('#uploads .upload progress'); return bar && bar.value > bar.max / 4; }",
        )
        self.house.kill()
        self.assertIsNone(anna.evaluate("() => document.querySelector('#files .file')"), "it can't be complete")
        network.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
        self.house.start_again()
        anna.locator("#files .file[data-name='holiday.bin']").wait_for(timeout=2 * PATIENCE_MS)
        [file] = json.loads(get(f"{self.address}/api/files"))
        self.assertEqual(file["sha256"], hashlib.sha256(content).hexdigest())
        self.assertEqual(get(f"{self.address}/api/files/{file['number']}/content"), content)
        with anna.expect_download() as download:
            anna.locator("#files .file[data-name='holiday.bin'] a[download]").first.click()
        self.assertEqual(download.value.path().read_bytes(), content)


class DoorTest(ConsoleCase):
    def test_a_wrong_password_is_refused(self) -> None:
        self.open_house(WEB__PASSWORD=hash_of("open sesame"))
        page = self.page()
        page.goto(self.address)
        page.fill("#name", "anna")
        page.fill("#password", "open barley")
        page.click("#enter")
        page.locator("#door-error:visible").wait_for()
        self.assertFalse(page.evaluate("() => window.playhouse.connected"))
        status = page.evaluate("async () => (await fetch('/api/videos')).status")
        self.assertEqual(status, 401)
        page.fill("#password", "open sesame")
        page.click("#enter")
        self.until(page, "() => window.playhouse.connected")
        status = page.evaluate("async () => (await fetch('/api/videos')).status")
        self.assertEqual(status, 200)

    def test_a_foreign_origin_is_refused(self) -> None:
        self.open_house()
        elsewhere = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
        self.addCleanup(elsewhere.server_close)
        self.addCleanup(elsewhere.shutdown)
        threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
        page = self.context().new_page()
        page.goto(f"http://127.0.0.1:{elsewhere.server_address[1]}/")
        house = self.address
        opened = page.evaluate(
            """house => new Promise((resolve) => {
              const socket = new WebSocket(house.replace("http", "ws") + "/ws");
              socket.onopen = () => resolve("open");
              socket.onerror = () => resolve("refused");
            })""",
            house,
        )
        self.assertEqual(opened, "refused")
        readable = page.evaluate("house => fetch(house + '/api/people').then(() => true, () => false)", house)
        self.assertFalse(readable)
        # The house's own page does open one.
        self.person("anna")


class Elsewhere(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title>")

    def log_message(self, *_: Any) -> None:
        pass


class ApiPageTest(ConsoleCase):
    def test_the_api_can_be_read(self) -> None:
        self.open_house()
        page = self.page()
        page.goto(f"{self.address}/api")
        page.get_by_text("/api/videos/{name}").first.wait_for()
        self.no_complaints()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    unittest.main()
