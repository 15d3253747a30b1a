"""The lan_video client, as a library and as a command, against servers in this process."""

from __future__ import annotations

import pickle
import signal
import socket
import subprocess
import sys
import unittest
from typing import Any, List
from unittest import mock

from fake_house import Peer, read_exactly
from fake_lan_house import LENGTH, FakeLanVideo, reset
from support import (
    PATIENCE,
    TerminalCase,
    command,
    eventually,
    fake_jpeg,
    finish,
    json_lines,
    plain_environment,
    start,
    talk,
    temporary_folder,
)
from test_tumip_pictures import needs_opencv, noise, ramp, write_files, write_video

from playhouse_clients import ClientError, ConnectionLost, LanVideo, ProtocolError
from playhouse_clients.lan_video import PROTOCOLS
from playhouse_clients.picture_sources import Source, paced

try:
    import cv2
    import numpy
except ImportError:
    cv2 = None  # type: ignore[assignment]


def lan_video(house: Any, **options: Any) -> LanVideo:
    return LanVideo("127.0.0.1", house.port, **{"timeout": PATIENCE, **options})


@needs_opencv
class LibraryTest(unittest.TestCase):
    def test_bytes_on_the_wire(self) -> None:
        """An old one of protocol 2, byte by byte: its length, and what pickle makes of two pixels."""
        picture = numpy.array([[[1, 2, 3], [4, 5, 250]]], numpy.uint8)
        with FakeLanVideo() as house, lan_video(house, protocol=2) as camera:
            size = camera.send_frame(picture)
            eventually(lambda: house.pickles, "it has come")
        (data,) = house.pickles
        self.assertEqual(size, 8 + len(data))
        self.assertTrue(data.startswith(b"\x80\x02cnumpy"), data)
        self.assertIn(b"_reconstruct", data)
        self.assertTrue(data.endswith(b"."))
        self.assertEqual(LENGTH.pack(258), b"\x02\x01\0\0\0\0\0\0")

    def test_arrays_of_any_kind_and_protocol(self) -> None:
        wide = noise(64, 48)
        pictures = [wide, wide[:, :, 0], wide[::2, ::-1], wide.transpose(1, 0, 2), noise(1, 1)]
        for protocol in (None, *PROTOCOLS):
            with self.subTest(protocol), FakeLanVideo() as house:
                with lan_video(house, protocol=protocol) as camera:
                    for picture in pictures:
                        camera.send_frame(picture)
                eventually(lambda: len(house.pickles) == len(pictures), "all have come")
                for sent, came in zip(pictures, house.frames):
                    numpy.testing.assert_array_equal(sent, came)
                    self.assertEqual((type(came), came.flags.c_contiguous), (numpy.ndarray, True))
                versions = {data[1] for data in house.pickles}
                self.assertEqual(versions, {protocol or pickle.DEFAULT_PROTOCOL})

    def test_what_is_no_frame(self) -> None:
        shapes: List[Any] = [(10,), (), (10, 10, 1), (10, 10, 4), (1, 10, 10, 3), (0, 10, 3), (0, 10)]
        bad = [numpy.zeros(shape, numpy.uint8) for shape in shapes]
        with FakeLanVideo() as house, lan_video(house) as camera:
            for picture in (*bad, numpy.zeros((10, 10, 3)), b"jpeg", None, [[0]]):
                with self.assertRaisesRegex(ClientError, "a frame is "):
                    camera.send_frame(picture)
            camera.send_frame(noise(2, 2))
            eventually(lambda: len(house.pickles) == 1, "only this one has come")

    def test_protocols_that_servers_do_not_read(self) -> None:
        for protocol in (-1, 0, 1, 6):
            with self.assertRaisesRegex(ClientError, "one of 2, 3, 4, 5, not "):
                LanVideo("127.0.0.1", 1, protocol)

    def test_a_server_that_closes(self) -> None:
        def keep_sending(camera: LanVideo) -> bool:
            camera.send_frame(noise(64, 48))
            return False

        def first_frame(sock: socket.socket) -> None:
            read_exactly(sock, LENGTH.size)
            end(sock)

        for end in (socket.socket.close, reset):
            with self.subTest(end), Peer(first_frame) as house, lan_video(house) as camera:
                with self.assertRaises(ConnectionLost):
                    eventually(lambda: keep_sending(camera), "it is noticed")
        with FakeLanVideo(largest=100) as house, lan_video(house) as camera:
            with self.assertRaises(ConnectionLost):
                eventually(lambda: keep_sending(camera), "it is noticed")

    def test_another_service(self) -> None:
        with Peer(lambda sock: sock.sendall(b"Welcome to this chatroom!")) as house, lan_video(house) as camera:
            with self.assertRaisesRegex(ProtocolError, "no lan_video server"):
                eventually(lambda: camera.check(), "it is noticed")


class PacedTest(unittest.TestCase):
    def paced(self, dues: List[float], delays: List[float]) -> List[float]:
        """When each picture, and the end, is waited for, if each takes so long to send."""
        now = 1000.0
        waited: List[float] = []

        def pause(until: float) -> None:
            nonlocal now
            waited.append(until - 1000)
            now = max(now, until)

        source = mock.MagicMock(spec=Source, last_stays=0.5)
        source.__iter__.return_value = iter([(due, number) for number, due in enumerate(dues)])
        with mock.patch("time.monotonic", side_effect=lambda: now):
            for number in paced(source, pause):
                now += delays[number]
        return waited

    def test_on_time(self) -> None:
        self.assertEqual(self.paced([0, 1, 2], [0, 0, 0]), [0, 1, 2, 2.5])
        self.assertEqual(self.paced([], []), [])

    def test_small_delays_are_made_up_for(self) -> None:
        self.assertEqual(self.paced([0, 1, 2], [1.9, 0, 0]), [0, 1, 2, 2.5])

    def test_large_ones_are_not(self) -> None:
        self.assertEqual(self.paced([0, 1, 2], [10, 0, 0]), [0, 10, 11, 11.5])


class CommandTest(unittest.TestCase):
    @needs_opencv
    def test_pictures(self) -> None:
        pictures = (ramp(64, 48), noise(9, 7))
        files = write_files(self, *(cv2.imencode(".png", picture)[1].tobytes() for picture in pictures))
        with FakeLanVideo() as house:
            done = talk(command("lan_video", house.address, "--fps", "100", "--picture", *files))
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            eventually(lambda: len(house.pickles) == 2, "both have come")
            for sent, came in zip(pictures, house.frames):
                numpy.testing.assert_array_equal(sent, came)
            self.assertIn("Sending 2 pictures, to be watched as the first cam-N that is free.\n", done.stdout)
            self.assertIn("in videochat: /watch cam-1 (or the number that /videos shows)", done.stdout)
            self.assertIn("The channel goes soon", done.stdout)
            self.assertRegex(done.stdout, r"\n2 pictures: 2 frames in .*: 1 in 64x48, 1 in 9x7\n$")

    @needs_opencv
    def test_json_and_sizes(self) -> None:
        (file,) = write_files(self, cv2.imencode(".png", ramp(64, 48))[1].tobytes())
        with FakeLanVideo() as house:
            for size, wide, high in (("32x24", 32, 24), ("100x20", 100, 20), ("64x48", 64, 48)):
                options = ["--json", "--fps", "100", "--size", size, "--protocol", "3", "--picture", file]
                done = talk(command("lan_video", house.address, *options))
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                events = [line for line in json_lines(done.stdout) if line["event"] != "progress"]
                eventually(lambda: house.pickles, "it has come")
                self.assertEqual(house.frames[0].shape, (high, wide, 3))
                data = house.pickles.pop()
                self.assertEqual(data[:2], b"\x80\x03")
                self.assertGreater(events[1].pop("seconds"), 0)
                self.assertEqual(
                    events,
                    [
                        {"event": "connected", "source": "0.jpg"},
                        {"event": "sent", "source": "0.jpg", "frames": 1, "bytes": 8 + len(data)}
                        | {"resolutions": {f"{wide}x{high}": 1}},
                    ],
                )

    @needs_opencv
    def test_a_video(self) -> None:
        path = temporary_folder(self) / "clip.avi"
        write_video(path, 6, 50)
        with FakeLanVideo() as house:
            done = talk(command("lan_video", house.address, "--video", str(path)))
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            eventually(lambda: len(house.pickles) == 6, "all have come")
            for number, frame in enumerate(house.frames):
                self.assertAlmostEqual(frame.mean(), 10 * number, delta=4)
            process = start(command("lan_video", house.address, "--loop", "--video", str(path)))
            eventually(lambda: len(house.pickles) > 6 + 12, "it has begun again")
            process.send_signal(signal.SIGINT)
            code, out, err = finish(process)
            self.assertEqual((code, err), (130, ""))
            self.assertIn("\nclip.avi: ", out)
            self.assertNotIn("The channel goes soon", out)

    @needs_opencv
    def test_a_server_that_goes_away(self) -> None:
        (file,) = write_files(self, cv2.imencode(".png", ramp(64, 48))[1].tobytes())
        for rate in ("100", "0.01"):  # the second waits for its next picture
            with self.subTest(rate), Peer(lambda sock: None if sock.recv(8) else None) as house:
                done = talk(command("lan_video", house.address, "--loop", "--fps", rate, "--picture", file))
                self.assertEqual((done.returncode, done.stderr.count("\n")), (4, 1), done.stderr)
                self.assertRegex(done.stderr, "^lan_video: connection lost: ")

    @needs_opencv
    def test_a_frame_that_is_too_large(self) -> None:
        pictures = noise(64, 48), noise(1920, 1080)
        files = write_files(self, *(cv2.imencode(".png", picture)[1].tobytes() for picture in pictures))
        for file in files:  # the second does not fit into what lies between
            with self.subTest(file), FakeLanVideo(largest=1000) as house:
                done = talk(command("lan_video", house.address, "--picture", file))
                self.assertEqual((done.returncode, done.stderr.count("\n")), (4, 1), done.stderr)
                self.assertRegex(done.stderr, "^lan_video: connection lost: .*; perhaps the frame is too large")
                self.assertIn("lan_video.max_frame_mb", done.stderr)
                self.assertIn(": 0 frames in ", done.stdout)

    @needs_opencv
    def test_a_frame_that_was_not_too_large(self) -> None:
        (file,) = write_files(self, cv2.imencode(".png", ramp(64, 48))[1].tobytes())
        with FakeLanVideo() as house:
            done = talk(command("lan_video", house.address, "--fps", "100", "--picture", file))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(": 1 frame in ", done.stdout)

        def three(sock: socket.socket) -> None:
            for _ in range(3):
                read_exactly(sock, LENGTH.unpack(read_exactly(sock, LENGTH.size))[0])

        with Peer(three) as house:
            done = talk(command("lan_video", house.address, "--fps", "20", "--loop", "--picture", file))
        self.assertEqual(done.returncode, 4)
        self.assertNotIn("too large", done.stderr)

    @needs_opencv
    def test_what_is_not_there(self) -> None:
        (text,) = write_files(self, b"this is a text")
        cases = {
            "no camera 99": ["--camera", "99"],
            "0.jpg: this is no picture": ["--picture", text],
            "0.jpg: this is no video": ["--video", text],
            "/does/not/exist: No such file or directory": ["--video", "/does/not/exist"],
        }
        for message, options in cases.items():
            with self.subTest(options):
                done = talk(command("lan_video", "127.0.0.1:1", *options))
                # files come first: that nobody listens at this port is not said
                self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
                self.assertIn(message, done.stderr)

    def test_exit_codes(self) -> None:
        wrong = [
            [],
            ["--camera", "--video", "x"],
            ["--camera", "--loop"],
            ["--camera", "--protocol", "1"],
            ["--camera", "--protocol", "6"],
            *(["--camera", "--size", size] for size in ("640", "640x", "0x480", "-1x5", "65537x1", "axb")),
        ]
        for options in wrong:
            with self.subTest(options):
                self.assertEqual(talk(command("lan_video", "127.0.0.1:1", *options)).returncode, 2)

    @needs_opencv
    def test_nobody_there(self) -> None:
        (file,) = write_files(self, cv2.imencode(".png", ramp(64, 48))[1].tobytes())
        with FakeLanVideo() as house:
            pass
        done = talk(command("lan_video", house.address, "--picture", file))
        self.assertEqual(done.returncode, 3)
        self.assertEqual(done.stderr, f"lan_video: connection refused: nothing listens at {house.address}\n")

    def test_without_opencv(self) -> None:
        hidden = temporary_folder(self)
        for module in ("cryptography", "cv2", "numpy"):
            (hidden / f"{module}.py").write_text("raise ImportError('as if it was not there')")
        (file,) = write_files(self, fake_jpeg(10, 10))
        done = subprocess.run(
            command("lan_video", "127.0.0.1:1", "--picture", file),
            capture_output=True,
            encoding="utf-8",
            env={**plain_environment(), "PYTHONPATH": str(hidden)},
        )
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
        self.assertIn("opencv-python is not installed", done.stderr)


@unittest.skipIf(sys.platform == "win32", "there are no pseudo terminals on Windows")
class TerminalTest(TerminalCase):
    @needs_opencv
    def test_figures(self) -> None:
        path = temporary_folder(self) / "clip.avi"
        write_video(path, 3, 50)
        with FakeLanVideo() as house:
            process = self.start(*command("lan_video", house.address, "--loop", "--video", str(path)))
            self.wait_for("No window: there is no screen.")
            self.wait_for(" frames  64x48  ")
            self.wait_for(" frames/s")
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(PATIENCE), 130)
            self.wait_for("clip.avi: ")
            self.assertNotIn("Traceback", self.everything)


if __name__ == "__main__":
    unittest.main()
