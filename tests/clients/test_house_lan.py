"""The clients of the plain services against the real server: `test_house` has what it takes to run one."""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import threading
import unittest
import wave
from pathlib import Path
from typing import Any, Dict, List
from unittest import mock

from old_style import OldLanChat, OldLanVideo, OldSpeaker, old_lan_audio, old_lan_file
from support import PATIENCE, command, eventually, finish, json_lines, start, talk, temporary_folder
from test_house import VIDEOS, HouseCase
from test_tumip_pictures import decoded, needs_opencv, ramp, write_video

from playhouse_clients import (
    ClientError,
    ConnectionLost,
    LanAudio,
    LanChat,
    LanFile,
    LanMessage,
    LanVideo,
    TransferBroken,
    Videochat,
)
from playhouse_clients.lan_video import PROTOCOLS
from playhouse_clients.sounds import RATE, peak_db

try:
    import cv2
    import numpy
except ImportError:
    cv2 = None  # type: ignore[assignment]

SAMPLE = "mandelbrot_720p.mp4"  # of the videos: what is on offer where nothing else is
HERE = "127.0.0.1"
AUDIBLE = -60.0  # dB
LONG_ENOUGH = 20 * RATE  # bytes: ten seconds, which is long after what was looked for
JPEG_LOSS = 3.0  # of 255, on average, in pictures without fine detail


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class LanCase(HouseCase):
    settings: Dict[str, str] = {}

    def setUp(self) -> None:
        settings = {"LIVE__LINGER_S": "1", **self.settings}
        environment = {f"PLAYHOUSE__{key}": value for key, value in settings.items()}
        with mock.patch.dict(os.environ, environment):
            super().setUp()

    def lan(self, kind: Any, service: str) -> Any:
        return self.enter(kind(*self.house.at(service), timeout=PATIENCE))


class FileTest(LanCase):
    def setUp(self) -> None:
        self.folder = temporary_folder(self)
        super().setUp()

    def test_the_sample_and_what_is_newer(self) -> None:
        ours, old = self.folder / "ours", self.folder / "old"
        self.assertEqual(self.lan(LanFile, "lan_file").save(ours).sha256, sha256(VIDEOS / SAMPLE))
        old_lan_file(*self.house.at("lan_file"), old)
        self.assertEqual(sha256(old), sha256(VIDEOS / SAMPLE))
        newer = self.folder / "newer"
        newer.write_bytes(bytes(range(256)) * 40)
        self.packetchat("anna").upload(str(newer))
        old_lan_file(*self.house.at("lan_file"), old)
        self.assertEqual(old.read_bytes(), newer.read_bytes())
        done = talk(command("lan_file", self.house.addresses["lan_file"], "-o", str(old), "--force", "--json"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(json_lines(done.stdout)[-1]["sha256"], sha256(newer))
        self.assertEqual(old.read_bytes(), newer.read_bytes())

    def test_many_at_once(self) -> None:
        digests: List[str] = []

        def fetch() -> None:
            with LanFile(*self.house.at("lan_file"), timeout=PATIENCE) as offered:
                digests.append(offered.receive(lambda block: None).sha256)

        threads = [threading.Thread(target=fetch) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(digests, [sha256(VIDEOS / SAMPLE)] * 20)


class LargeFileTest(LanCase):
    """A file that does not fit into what lies between server and client."""

    def setUp(self) -> None:
        self.folder = temporary_folder(self)
        self.path = self.folder / "large"
        with self.path.open("wb") as file:
            file.truncate(100_000_000)
        self.settings = {"LAN_FILE__OFFER": str(self.path)}
        super().setUp()

    def test_whole(self) -> None:
        received = self.lan(LanFile, "lan_file").receive(lambda block: None)
        self.assertEqual((received.size, received.sha256), (100_000_000, sha256(self.path)))

    def test_a_server_that_stops(self) -> None:
        self.breaks_off(self.house.stop)

    def test_a_server_that_is_killed(self) -> None:
        self.house.stopped = True  # so that nobody minds
        self.breaks_off(self.house.kill)

    def test_a_file_that_is_cut(self) -> None:
        self.breaks_off(lambda: os.truncate(self.path, 50_000_000))

    def breaks_off(self, happens: Any) -> None:
        blocks = self.lan(LanFile, "lan_file").blocks()
        next(blocks)
        happens()
        with self.assertRaises(TransferBroken):
            for _ in blocks:
                pass


class ChatTest(LanCase):
    def old(self) -> OldLanChat:
        reading, writing = os.pipe()
        self.typed = self.enter(os.fdopen(reading))
        self.keyboard = self.enter(os.fdopen(writing, "w", buffering=1))
        old: OldLanChat = self.enter(OldLanChat(*self.house.at("lan_chat"), self.typed))
        old.show_until("Welcome to this chatroom!")
        return old

    def test_old_and_new_talk(self) -> None:
        anna, bob, carl = self.lan(LanChat, "lan_chat"), self.lan(LanChat, "lan_chat"), self.old()
        self.keyboard.write("grüße von carl\n")
        carl.turn()
        for other in (anna, bob):
            self.assertEqual(other.receive(PATIENCE), LanMessage(HERE, "grüße von carl"))
        anna.say("and you")
        carl.show_until(f"<{HERE}> and you\n")
        self.assertEqual(bob.receive(PATIENCE), LanMessage(HERE, "and you"))
        # nobody hears what they say themselves
        bob.say("the last")
        self.assertEqual(anna.receive(PATIENCE), LanMessage(HERE, "the last"))
        carl.show_until(f"<{HERE}> the last\n")
        self.assertEqual(carl.shown, f"Welcome to this chatroom!<{HERE}> and you\n<{HERE}> the last\n")
        self.assertIsNone(bob.receive(0))

    def test_text_without_a_line_end(self) -> None:
        anna = self.lan(LanChat, "lan_chat")
        with socket.create_connection(self.house.at("lan_chat"), PATIENCE) as other:
            other.sendall(b"no end")
            self.assertEqual(anna.receive(PATIENCE), LanMessage(HERE, "no end"))

    def test_many_lines_in_their_order(self) -> None:
        anna, bob = self.lan(LanChat, "lan_chat"), self.lan(LanChat, "lan_chat")
        said = [f"{number} äöü {'x' * (number % 100)}" for number in range(500)]
        bob.say("\n".join(said))
        self.assertEqual([anna.receive(PATIENCE) for _ in said], [LanMessage(HERE, text) for text in said])

    def test_all_of_a_pipe_is_said(self) -> None:
        anna = self.lan(LanChat, "lan_chat")
        text = "".join(f"{number}\n" for number in range(500))
        done = talk(command("lan_chat", self.house.addresses["lan_chat"]), text)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for number in range(500):
            self.assertEqual(anna.receive(PATIENCE), LanMessage(HERE, f"{number}"))

    def test_a_server_that_stops(self) -> None:
        process = start(command("lan_chat", self.house.addresses["lan_chat"]))
        assert process.stdout is not None
        self.assertEqual(process.stdout.readline(), "Welcome to this chatroom!\n")
        self.house.stop()
        self.assertEqual(process.wait(PATIENCE), 4)
        self.assertIn("connection lost", finish(process)[2])


class AudioTest(LanCase):
    settings = {"LAN_AUDIO__SOURCE": "tone"}

    def test_old_and_new_hear_a_tone(self) -> None:
        speaker = OldSpeaker()
        thread = threading.Thread(
            target=old_lan_audio, args=(*self.house.at("lan_audio"), speaker, RATE), daemon=True
        )
        thread.start()
        path = temporary_folder(self) / "sound.wav"
        line = command("lan_audio", self.house.addresses["lan_audio"], "--wav", str(path), "--seconds", "0.5")
        done = talk(line)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        thread.join(PATIENCE)
        with wave.open(str(path)) as sound:
            self.assertEqual((sound.getnchannels(), sound.getsampwidth(), sound.getframerate()), (1, 2, RATE))
            for samples in (sound.readframes(RATE), speaker.played[:RATE]):
                values = struct.unpack(f"<{len(samples) // 2}h", samples)
                self.assertEqual(len(values), RATE // 2)
                self.assertGreater(peak_db(samples), AUDIBLE)
                rises = sum(1 for before, after in zip(values, values[1:]) if before < 0 <= after)
                self.assertAlmostEqual(rises, 220, delta=1)  # in half a second of 440 Hz

    def test_a_server_that_stops(self) -> None:
        audio = self.lan(LanAudio, "lan_audio")
        audio.read()
        self.house.stop()
        with self.assertRaises(ConnectionLost):
            eventually(lambda: not audio.read(), "it ends")


class SampleSoundTest(LanCase):
    def test_all_hear_the_same_moment(self) -> None:
        """What comes to one who is new comes to another, too, who was there before."""
        first = self.lan(LanAudio, "lan_audio")
        before = first.read()
        second = self.lan(LanAudio, "lan_audio")
        heard = second.read()
        while peak_db(heard) < AUDIBLE:  # silence is the same at any time
            before += first.read()
            heard = second.read()
        while heard not in before and len(before) < LONG_ENOUGH:
            before += first.read()
        self.assertIn(heard, before)


@needs_opencv
class VideoTest(LanCase):
    def keep_sending(self, send: Any, frame: Any) -> threading.Event:
        """Send it again and again, until the event that is returned is set, or the test ends."""
        end = threading.Event()

        def run() -> None:
            while not end.wait(0.02):
                send(frame)

        thread = threading.Thread(target=run)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(end.set)
        return end

    def seen(self, viewer: Videochat, camera: str, end: threading.Event) -> List[Any]:
        """What somebody sees who watches until it is over; the sender stops after the third picture."""
        eventually(lambda: camera in viewer.videos(PATIENCE), f"{camera} is on air")
        pictures: List[Any] = []

        def on_frame(frame: Any) -> None:
            pictures.append(decoded(frame.jpeg))
            if len(pictures) == 3:
                end.set()

        viewer.watch(camera, on_frame, PATIENCE)
        eventually(lambda: camera not in viewer.videos(PATIENCE), f"{camera} is off air")
        return pictures

    def is_like(self, seen: Any, sent: Any) -> None:
        if sent.ndim == 2:
            sent = cv2.cvtColor(sent, cv2.COLOR_GRAY2BGR)
        self.assertEqual(seen.shape, sent.shape)
        self.assertLess(numpy.abs(seen.astype(int) - sent.astype(int)).mean(), JPEG_LOSS)

    def test_old_cameras(self) -> None:
        bob = self.videochat("bob")
        for length, frame in (("L", ramp(320, 240)), ("<L", ramp(64, 48)[:, :, 2])):
            with self.subTest(length), OldLanVideo(*self.house.at("lan_video"), length) as camera:
                pictures = self.seen(bob, "cam-1", self.keep_sending(camera.send, frame))
                self.assertGreaterEqual(len(pictures), 3)
                for picture in pictures:
                    self.is_like(picture, frame)

    def test_all_protocols_of_pickle(self) -> None:
        bob = self.videochat("bob")
        for protocol in PROTOCOLS:
            with self.subTest(protocol), LanVideo(*self.house.at("lan_video"), protocol, PATIENCE) as camera:
                # neither in the order of rows nor all of an array
                frame = ramp(400, 300)[10:250:2, ::-1]
                for picture in self.seen(bob, "cam-1", self.keep_sending(camera.send_frame, frame)):
                    self.is_like(picture, frame)

    def test_two_cameras(self) -> None:
        bob = self.videochat("bob")
        one, two = self.lan(LanVideo, "lan_video"), self.lan(LanVideo, "lan_video")
        first, second = ramp(64, 48), ramp(64, 48)[:, ::-1]
        end = self.keep_sending(one.send_frame, first)
        eventually(lambda: "cam-1" in bob.videos(PATIENCE), "the first is on air")
        for picture in self.seen(bob, "cam-2", self.keep_sending(two.send_frame, second)):
            self.is_like(picture, second)
        for picture in self.seen(bob, "cam-1", end):
            self.is_like(picture, first)

    def test_what_is_no_frame(self) -> None:
        bob = self.videochat("bob")
        camera = self.lan(LanVideo, "lan_video")
        camera._wire.send(struct.pack("<Q", 5) + b"\x80\x04N.." + struct.pack("<Q", 3) + b"\x80\x02.")
        frame = ramp(64, 48)
        for picture in self.seen(bob, "cam-1", self.keep_sending(camera.send_frame, frame)):
            self.is_like(picture, frame)
        camera._wire.send(struct.pack("<Q", 0))

        def closed() -> bool:
            try:
                camera.check()
            except ClientError:
                return True
            return False

        eventually(closed, "the server closes")

    def test_the_command(self) -> None:
        path = temporary_folder(self) / "clip.avi"
        write_video(path, 25, 25)
        bob = self.videochat("bob")
        line = command("lan_video", self.house.addresses["lan_video"], "--json", "--size", "160x120")
        process = start([*line, "--loop", "--video", str(path)])
        self.addCleanup(finish, process)
        self.addCleanup(process.kill)
        end = threading.Event()

        def stop() -> None:
            end.wait()
            process.terminate()

        thread = threading.Thread(target=stop)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(end.set)
        for picture in self.seen(bob, "cam-1", end):
            self.assertEqual(picture.shape, (120, 160, 3))
            self.assertLess(picture.std(), JPEG_LOSS)  # each frame has one grey


if __name__ == "__main__":
    unittest.main()
