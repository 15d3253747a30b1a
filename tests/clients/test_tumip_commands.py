"""The command `tumip`: driven by scripts and pipes, and by somebody at a terminal."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import unittest
from typing import Any, List

from fake_house import Peer
from fake_tumip_house import FINE, REFUSED, FakeTumipHouse
from support import (
    CLIENTS,
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
from test_tumip_pictures import needs_opencv, ramp, write_files, write_video

from playhouse_clients.wire import jpeg_size

JPEGS = [fake_jpeg(230, 230, bytes(1000)), fake_jpeg(100, 50)]


def tumip(house: Any, *options: str) -> List[str]:
    return command("tumip", house.address, "--user", "7", *options)


class AskTest(unittest.TestCase):
    def test_one_question(self) -> None:
        for form, marker in (("bare", b""), ("marked", b"\x01")):
            with self.subTest(form), FakeTumipHouse() as house:
                house.answer = lambda text: (FINE, f"{text}?\nforged\x1b[2J")
                done = talk(tumip(house, "--form", form, "--ask", "grüße"), "not this")
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual(done.stdout, "grüße?\nforged\\x1b[2J\n")
                self.assertEqual((house.forms, house.asked), ({7: marker}, ["grüße"]))

    def test_json(self) -> None:
        with FakeTumipHouse() as house:
            done = talk(tumip(house, "--json", "--ask", "hi"))
            self.assertEqual(json_lines(done.stdout), [{"event": "answer", "question": "hi", "text": "you said hi"}])
            done = talk(tumip(house, "--json"), "one\ntwo\n")
            self.assertEqual(
                json_lines(done.stdout),
                [
                    {"event": "connected", "user": 7},
                    {"event": "answer", "question": "one", "text": "you said one"},
                    {"event": "answer", "question": "two", "text": "you said two"},
                ],
            )
            house.answer = lambda text: (REFUSED, "tired")
            done = talk(tumip(house, "--json", "--ask", "hi"))
            self.assertEqual(done.returncode, 1)
            message = "the bot has no answer: tired"
            self.assertEqual(json_lines(done.stdout), [{"event": "failed", "message": message, "code": 1}])

    def test_a_conversation(self) -> None:
        script = temporary_folder(self) / "script"
        script.write_text("hello\n\n  //slash  \n/help\n/quit\nnever\n")
        with FakeTumipHouse() as house:
            done = talk(tumip(house, "--script", str(script)))
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("You are here as user 7.\nyou: hello\nbot: you said hello\nyou: /slash\n", done.stdout)
            self.assertIn("  /quit ", done.stdout)
            self.assertEqual(house.asked, ["hello", "/slash"])

    def test_nobody_forges_lines(self) -> None:
        with FakeTumipHouse() as house:
            house.answer = lambda text: (FINE, "yes\nyou: forged\u202e")
            done = talk(tumip(house), "hello\n")
            self.assertIn("bot: yes\n    you: forged\\u202e\n", done.stdout)

    def test_a_script_ends_at_its_first_mistake(self) -> None:
        cases = {"fail\nnever": "the bot has no answer: no idea", "/dance\nnever": "no such command: /dance"}
        with FakeTumipHouse() as house:
            house.answer = lambda text: (REFUSED, "no idea")
            for typed, message in cases.items():
                with self.subTest(typed=typed):
                    done = talk(tumip(house, "--script", "-"), typed)
                    self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
                    self.assertRegex(done.stderr, f"^tumip: {re.escape(message)}")
        self.assertEqual(house.asked, ["fail"])

    def test_a_server_that_goes_away(self) -> None:
        with FakeTumipHouse() as house:
            # its input stays open: nothing but the lost connection can end it
            process = start(tumip(house), "hello\n")
            eventually(lambda: house.asked, "it is there")
            house.connections[7].shutdown(socket.SHUT_RDWR)
            self.assertEqual(process.wait(PATIENCE), 4)
            self.assertEqual(finish(process)[2], "tumip: connection lost: the server closed it\n")

    def test_exit_codes(self) -> None:
        (picture,) = write_files(self, JPEGS[0])
        wrong = [
            ["--user", "-1"],
            ["--user", "x"],
            ["--user", str(1 << 32)],
            ["--form", "round"],
            ["--ask", "hi", "--picture", picture],
            ["--camera", "--video", picture],
            ["--camera", "-1"],
            ["--loop"],
            ["--loop", "--camera"],
            ["--fps", "5"],
            ["--fps", "0", "--picture", picture],
            ["--fps", "nan", "--picture", picture],
            ["--fps", "inf", "--picture", picture],
            ["--picture"],
        ]
        for options in wrong:
            with self.subTest(options):
                self.assertEqual(talk(command("tumip", "127.0.0.1:1", *options)).returncode, 2)
        with Peer(lambda sock: None) as house:
            self.assertEqual(talk(tumip(house, "--ask", "hi")).returncode, 4)
        for options in (["--ask", "hi"], ["--picture", picture], []):
            done = talk(tumip(house, *options))
            self.assertEqual(done.returncode, 3)
            self.assertEqual(done.stderr, f"tumip: connection refused: nothing listens at {house.address}\n")
        with Peer(lambda sock: sock.sendall(b"Enter your name: ")) as house:
            done = talk(tumip(house, "--ask", "hi"))
            self.assertEqual((done.returncode, done.stderr.count("\n")), (5, 1))
            self.assertIn("no tumip server", done.stderr)

    def test_nothing_has_to_be_installed(self) -> None:
        hidden = temporary_folder(self)
        for module in ("cryptography", "cv2", "numpy"):
            (hidden / f"{module}.py").write_text("raise ImportError('as if it was not there')")
        fits, other = write_files(self, JPEGS[0], fake_jpeg(231, 230))

        def run(*options: str) -> Any:
            return subprocess.run(
                tumip(house, *options),
                input="hello\n",
                capture_output=True,
                encoding="utf-8",
                env={**plain_environment(), "PYTHONPATH": str(hidden)},
            )

        with FakeTumipHouse() as house:
            done = run()
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(run("--picture", fits, "--fps", "100").returncode, 0)
            self.assertEqual(house.pictures[7], [JPEGS[0]])
            for options in (["--picture", other], ["--video", fits], ["--camera"]):
                done = run(*options)
                self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
                self.assertIn("opencv-python is not installed", done.stderr)

    def test_the_module_is_a_command_too(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "playhouse_clients.tumip", "--help"],
            cwd=CLIENTS,
            capture_output=True,
            encoding="utf-8",
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("--ask TEXT", done.stdout)


class SendTest(unittest.TestCase):
    def test_pictures_each_once(self) -> None:
        first, second = write_files(self, *JPEGS)
        # as many as there are, whether named together or one by one
        for options in (["--picture", first, second], ["--picture", first, "--picture", second]):
            with self.subTest(options), FakeTumipHouse() as house:
                done = talk(tumip(house, "--fps", "100", *options), "what is piped in is no question\n")
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual((house.pictures[7], house.asked), (JPEGS, []))
                self.assertRegex(done.stdout, r"\nSending 2 pictures to UDP port \d+, to be watched as tumip-7\.\n")
                self.assertRegex(done.stdout, r"\n2 pictures: 2 frames in .*: 1 in 230x230, 1 in 100x50\n$")

    def test_json(self) -> None:
        (path,) = write_files(self, JPEGS[0])
        with FakeTumipHouse() as house:
            done = talk(tumip(house, "--json", "--fps", "100", "--picture", path))
        connected, registered, *_, sent = json_lines(done.stdout)
        self.assertEqual(connected, {"event": "connected", "user": 7})
        self.assertGreater(registered.pop("port"), 0)
        self.assertEqual(registered, {"event": "registered", "channel": "tumip-7"})
        self.assertGreaterEqual(sent.pop("seconds"), 0)
        self.assertEqual(
            sent,
            {"event": "sent", "source": "0.jpg", "frames": 1, "bytes": len(JPEGS[0]), "resolutions": {"230x230": 1}},
        )

    def test_pictures_in_a_loop_until_ctrl_c(self) -> None:
        paths = write_files(self, *JPEGS)
        with FakeTumipHouse() as house:
            process = start(tumip(house, "--loop", "--fps", "200", "--picture", *paths))
            eventually(lambda: len(house.pictures.get(7, [])) >= 5, "some have come")
            process.send_signal(signal.SIGINT)
            code, out, err = finish(process)
            self.assertEqual((code, err), (130, ""))
            self.assertIn("\n2 pictures: ", out)
            self.assertEqual(house.pictures[7][:5], (JPEGS * 3)[:5])

    @needs_opencv
    def test_a_video(self) -> None:
        path = temporary_folder(self) / "clip.avi"
        write_video(path, 6, 50)
        with FakeTumipHouse() as house:
            done = talk(tumip(house, "--video", str(path)))
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual([jpeg_size(jpeg) for jpeg in house.pictures[7]], [(64, 48)] * 6)
            self.assertIn("\nclip.avi: 6 frames in ", done.stdout)
            house.pictures.clear()
            done = talk(tumip(house, "--video", str(path), "--fps", "25"))
            self.assertEqual(len(house.pictures[7]), 3)
            house.pictures.clear()
            process = start(tumip(house, "--loop", "--video", str(path)))
            eventually(lambda: len(house.pictures.get(7, [])) > 12, "it has begun again")
            process.send_signal(signal.SIGINT)
            self.assertEqual(finish(process)[0], 130)

    @needs_opencv
    def test_large_pictures_of_any_kind(self) -> None:
        import cv2

        path = temporary_folder(self) / "large.png"
        cv2.imwrite(str(path), ramp(460, 230))
        with FakeTumipHouse() as house:
            done = talk(tumip(house, "--fps", "100", "--picture", str(path)))
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual([jpeg_size(jpeg) for jpeg in house.pictures[7]], [(230, 115)])

    @needs_opencv
    def test_what_is_not_there(self) -> None:
        picture, text = write_files(self, JPEGS[0], b"this is a text")
        cases = {
            "no camera 99": ["--camera", "99"],
            "/does/not/exist.jpg: No such file or directory": ["--picture", picture, "/does/not/exist.jpg"],
            "/does/not/exist.mp4: No such file or directory": ["--video", "/does/not/exist.mp4"],
            "1.jpg: this is no picture": ["--picture", picture, text],
            "1.jpg: this is no video": ["--video", text],
        }
        for message, options in cases.items():
            with self.subTest(options):
                done = talk(command("tumip", "127.0.0.1:1", *options))
                # files come first: that nobody listens at this port is not said
                self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
                self.assertIn(message, done.stderr)

    def test_a_rejected_user(self) -> None:
        (path,) = write_files(self, JPEGS[0])
        with FakeTumipHouse() as house:
            house.rejects = True
            done = talk(tumip(house, "--picture", path))
            self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
            self.assertIn("the server rejects user 7", done.stderr)

    def test_a_server_that_goes_away(self) -> None:
        (path,) = write_files(self, JPEGS[0])
        for rate in ("100", "0.01"):  # the second waits for its next picture
            with self.subTest(rate), FakeTumipHouse() as house:
                process = start(tumip(house, "--loop", "--fps", rate, "--picture", path))
                eventually(lambda: house.pictures.get(7), "it sends")
                house.connections[7].shutdown(socket.SHUT_RDWR)
                code, out, err = finish(process)
                self.assertEqual((code, err.count("\n")), (4, 1), err)
                self.assertRegex(err, "^tumip: connection lost: ")
                self.assertIn("\n0.jpg: ", out)


@unittest.skipIf(sys.platform == "win32", "there are no pseudo terminals on Windows")
class TerminalTest(TerminalCase):
    def test_a_conversation(self) -> None:
        with FakeTumipHouse() as house:
            process = self.start(*tumip(house))
            self.wait_for("You are here as user 7.")
            self.wait_for("> ")
            self.type("hello\n")
            self.wait_for("bot: you said hello")
            house.answer = lambda text: (REFUSED, "tired\x1b[2J")
            self.type("and now\n")
            self.wait_for("! the bot has no answer: tired\\x1b[2J")  # and it goes on
            self.type("/dance\n")
            self.wait_for("! no such command: /dance")
            self.type("/quit\n")
            self.assertEqual(process.wait(PATIENCE), 0)
            self.wait_for("Bye.")
            self.assertTrue(self.echoes())

    def test_asking_while_pictures_go_out(self) -> None:
        (path,) = write_files(self, JPEGS[0])
        with FakeTumipHouse() as house:

            def slow(text: str) -> Any:
                before = house.take(7)
                eventually(lambda: house.take(7) > before + 5, "pictures go on")
                return FINE, f"{text} indeed"

            house.answer = slow
            process = self.start(*tumip(house, "--loop", "--fps", "50", "--picture", path))
            self.wait_for("to be watched as tumip-7.")
            self.wait_for("1 frame  230x230")
            self.wait_for("> ")
            self.type("hello\n")
            self.wait_for("bot: hello indeed")
            self.type("/dance\n")
            self.wait_for("! no such command: /dance")
            self.type("/quit\n")
            self.assertEqual(process.wait(PATIENCE), 0)
            self.wait_for("0.jpg: ")
            self.wait_for("Bye.")
            self.assertTrue(self.echoes())

    def test_a_bar_where_the_number_is_known(self) -> None:
        paths = write_files(self, *JPEGS)
        with FakeTumipHouse() as house:
            process = self.start(*tumip(house, "--fps", "2", "--picture", *paths))
            self.wait_for("No window: there is no screen.")
            self.wait_for("[####################]  2/2 frames  100x50")
            self.wait_for("2 pictures: 2 frames in ")
            self.assertEqual(process.wait(PATIENCE), 0)

    def test_ctrl_c(self) -> None:
        (path,) = write_files(self, JPEGS[0])
        with FakeTumipHouse() as house:
            for options in ([], ["--loop", "--picture", path]):
                with self.subTest(options):
                    process = self.start(*tumip(house, *options))
                    self.wait_for("> ")
                    eventually(lambda: not self.echoes(), "the client reads keys")
                    process.send_signal(signal.SIGINT)
                    self.assertEqual(process.wait(PATIENCE), 130)
                    self.assertTrue(self.echoes())
                    self.assertNotIn("Traceback", self.everything)


if __name__ == "__main__":
    unittest.main()
