"""The tumip client against the real server: `test_house` has what it takes to run one."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import unittest
from pathlib import Path
from typing import Any, Dict, List
from unittest import mock

from support import PATIENCE, command, eventually, json_lines, talk
from test_house import HouseCase

from playhouse_clients import ClientError, ProtocolError, Rejected, Tumip
from playhouse_clients.tumip import FORMS
from playhouse_clients.wire import jpeg_size

# A real one, 8 × 8 and grey, since the server looks at what it shows: tables of ones, and all of it the same.
GREY = bytes.fromhex(
    "ffd8ffe000104a46494600010100000100010000"
    "ffdb004300" + "01" * 64 + "ffc0000b080008000801011100"
    "ffc40014000100000000000000000000000000000000"
    "ffc40014100100000000000000000000000000000000"
    "ffda0008010100003f003f" + "ffd9"
)
CHATROOM_FRAMES = 20


class TumipCase(HouseCase):
    settings: Dict[str, str] = {}

    def setUp(self) -> None:
        settings = {
            "BOT__KIND": "echo",
            "LIVE__CHATROOM_FRAMES": str(CHATROOM_FRAMES),
            **self.settings,
        }
        environment = {f"PLAYHOUSE__{key}": value for key, value in settings.items()}
        with mock.patch.dict(os.environ, environment):
            super().setUp()

    def tumip(self, user: int, **options: Any) -> Tumip:
        return self.enter(Tumip(*self.house.at("tumip"), user, timeout=PATIENCE, **options))

    def keep_sending(self, tumip: Tumip, jpeg: bytes = GREY) -> threading.Event:
        """Send the picture again and again, until the event that is returned is set, or the test ends."""
        end = threading.Event()

        def send() -> None:
            while not end.wait(0.02):
                try:
                    tumip.send_picture(jpeg)
                except ClientError:
                    if not end.is_set():  # else it was closed meanwhile
                        raise

        thread = threading.Thread(target=send)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(end.set)
        return end


class AskTest(TumipCase):
    def test_both_forms(self) -> None:
        for user, form in enumerate(FORMS, 7):
            anna = self.tumip(user, form=form)
            for text in ("hello", "grüße 😀", "a\nb", "x" * 2000):
                self.assertEqual(anna.ask(text), text)

    def test_users_with_any_number(self) -> None:
        for user in (0, 0x0100_0000, 0x01FF_FFFF, 0xFFFF_FFFF):
            for form in FORMS:
                self.assertEqual(self.tumip(user, form=form).ask("hello"), "hello")

    def test_many_at_once(self) -> None:
        said: Dict[int, str] = {}

        def ask(user: int) -> None:
            with Tumip(*self.house.at("tumip"), user, timeout=PATIENCE) as tumip:
                said[user] = tumip.ask(f"I am {user}")

        threads = [threading.Thread(target=ask, args=(user,)) for user in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(said, {user: f"I am {user}" for user in range(50)})

    def test_commands(self) -> None:
        address = self.house.addresses["tumip"]
        done = talk(command("tumip", address, "--ask", "grüße"))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "grüße\n", ""))
        done = talk(command("tumip", address, "--form", "marked", "--json"), "one\ntwo\n")
        self.assertEqual([line.get("text") for line in json_lines(done.stdout)], [None, "one", "two"])
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class HouseBotTest(TumipCase):
    settings = {"BOT__KIND": "house"}

    def test_it_knows_what_there_is(self) -> None:
        anna = self.tumip(7)
        anna.register()
        self.keep_sending(anna)
        bob = self.videochat("bob")
        eventually(lambda: "tumip-7" in bob.videos(PATIENCE), "it is on air")
        self.assertIn("tumip-7", anna.ask("What is live?"))
        self.assertIn("bob", anna.ask("who is here?"))
        self.assertTrue(anna.ask("I am happy today"))


class PicturesTest(TumipCase):
    def test_registering(self) -> None:
        anna = self.tumip(7)
        with self.assertRaises(Rejected):
            anna.register(230, 231)
        port = anna.register(230, 230)
        self.assertGreater(port, 0)
        self.assertEqual(anna.register(10, 10), port)
        self.assertNotEqual(self.tumip(8, form="marked").register(), port)
        self.assertEqual(anna.ask("still here"), "still here")

    def test_others_watch(self) -> None:
        anna, bob, carl = self.tumip(7), self.videochat("bob"), self.chatroom("carl")
        anna.register()
        self.assertEqual(jpeg_size(GREY), (8, 8))
        end = self.keep_sending(anna)
        eventually(lambda: "tumip-7" in bob.videos(PATIENCE), "it is on air")
        self.assertIn("tumip-7", carl.videos(PATIENCE))
        # chatroom's users are promised a number of frames
        self.assertEqual(carl.watch("tumip-7", timeout=PATIENCE).resolutions, {"8x8": CHATROOM_FRAMES})
        came: List[bytes] = []

        def on_frame(frame: Any) -> None:
            came.append(frame.jpeg)
            if frame.number == 10:
                end.set()
                anna.close()

        summary = bob.watch("tumip-7", on_frame, PATIENCE)  # until it is over
        self.assertGreaterEqual(summary.frames, 10)
        self.assertEqual(set(came), {GREY})
        eventually(lambda: "tumip-7" not in bob.videos(PATIENCE), "it is off air")

    def test_asking_while_pictures_go_out(self) -> None:
        anna, bob = self.tumip(7), self.videochat("bob")
        anna.register()
        self.keep_sending(anna)
        eventually(lambda: "tumip-7" in bob.videos(PATIENCE), "it is on air")
        for number in range(20):
            self.assertEqual(anna.ask(f"{number}"), f"{number}")

    def test_what_is_no_picture_harms_nobody(self) -> None:
        anna, bob = self.tumip(7), self.videochat("bob")
        address = ("127.0.0.1", anna.register())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            for datagram in (b"", b"hello", GREY[:-2], bytes(65_507)):
                other.sendto(datagram, address)
        self.keep_sending(anna)
        eventually(lambda: "tumip-7" in bob.videos(PATIENCE), "it is on air all the same")

    def test_the_port_closes_after_the_connection(self) -> None:
        anna = self.tumip(7)
        address = ("127.0.0.1", anna.register())
        anna.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
            late.connect(address)

            def refused() -> bool:
                try:
                    late.send(GREY)
                except ConnectionRefusedError:
                    return True
                return False

            eventually(refused, "nobody listens there any more")

    def test_another_service(self) -> None:
        host, port = self.house.at("chatroom")
        with Tumip(host, port, 7, timeout=PATIENCE) as anna, self.assertRaises(ProtocolError):
            anna.ask("hello")

    def test_the_command(self) -> None:
        folder = Path(self.enter(tempfile.TemporaryDirectory()))
        picture = folder / "grey.jpg"
        picture.write_bytes(GREY)
        bob = self.videochat("bob")
        done: List[Any] = []
        line = command("tumip", self.house.addresses["tumip"], "--user", "9", "--json", "--fps", "20")
        thread = threading.Thread(target=lambda: done.append(talk([*line, "--picture", *[str(picture)] * 20])))
        thread.start()
        try:
            eventually(lambda: "tumip-9" in bob.videos(PATIENCE), "it is on air")
        finally:
            thread.join()
        self.assertEqual((done[0].returncode, done[0].stderr), (0, ""))
        sent = json_lines(done[0].stdout)[-1]
        self.assertEqual((sent["event"], sent["frames"]), ("sent", 20))


if __name__ == "__main__":
    unittest.main()
