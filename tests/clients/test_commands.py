"""The commands: driven by scripts and pipes, and by somebody at a terminal, against servers in this process."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from typing import Any, List, Tuple

from fake_house import FakeChatroom, FakeVideochat, Peer, Server, greet_videochat, pack_json
from support import (
    CLIENTS,
    PATIENCE,
    TerminalCase,
    command,
    eventually,
    fake_jpeg,
    finish,
    json_lines,
    start,
    talk,
)

from playhouse_clients.viewing import by_video

CLIP = [fake_jpeg(426, 240, bytes(1000))] * 3 + [fake_jpeg(854, 480, bytes(4000))] * 5


class ScriptTest(unittest.TestCase):
    def both(self) -> List[Tuple[str, Server]]:
        files = {"clip_1080p.mp4": CLIP, "clip_240p.mp4": CLIP, "zoo_240p.mp4": CLIP[:3]}
        return [("videochat", FakeVideochat(files)), ("chatroom", FakeChatroom({"clip": CLIP, "zoo": CLIP[:3]}))]

    def test_two_processes_talk(self) -> None:
        for service, server in self.both():
            with self.subTest(service), server as house:
                anna = start(
                    command(service, house.address, "--name", "anna", "--wait-for", "bob b."),
                    "@bob b. for you alone\n/wait-message bob b.\n/who\n",
                )
                bob = start(
                    command(service, house.address, "--name", "bob b.", "--wait-for", "anna"),
                    "/wait-message\nto äll of you\n//slash\n",
                )
                self.assertEqual(finish(bob)[0], 0)
                code, out, err = finish(anna)
                self.assertEqual((code, err), (0, ""))
                self.assertIn("anna to bob b.: for you alone\n", out)
                self.assertIn("bob b.: to äll of you\n", out)

    def test_watching(self) -> None:
        for service, server in self.both():
            with self.subTest(service), server as house, tempfile.TemporaryDirectory() as folder:
                done = talk(
                    command(service, house.address, "--name", "anna", "--save", folder),
                    "/videos\n/watch 2\n/watch clip\n",
                )
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                qualities = "240p 1080p" if service == "videochat" else ""
                self.assertIn(f"  1  clip  {qualities}".rstrip() + "\n  2  zoo", done.stdout)
                self.assertRegex(done.stdout, r"\nzoo: 3 frames in .* s.*: 3 in 426x240\n")
                self.assertRegex(done.stdout, r"\nclip: 8 frames in .*: 3 in 426x240, 5 in 854x480\n")
                saved = sorted(Path(folder).iterdir())
                self.assertEqual([path.name for path in saved], [f"frame_{n:05d}.jpg" for n in range(1, 12)])
                self.assertEqual([path.read_bytes() for path in saved], CLIP[:3] + CLIP)

    def test_json(self) -> None:
        for service, server in self.both():
            with self.subTest(service), server as house, tempfile.TemporaryDirectory() as folder:
                script = Path(folder, "script")
                script.write_text("/videos\n@anna me\n/wait-message anna\n/watch 1\n/quit\nnot this\n")
                done = talk(
                    command(service, house.address, "--name", "anna", "--json", "--script", str(script))
                )
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                events = {line["event"]: line for line in json_lines(done.stdout)}
                events.pop("progress", None)  # on a machine that needs more than a second
                self.assertEqual(set(events), {"connected", "videos", "sent", "message", "watching", "watched"})
                self.assertEqual(events["connected"]["name"], "anna")
                self.assertEqual(events["message"], {"event": "message", "from": "anna", "text": "me"})
                self.assertEqual(events["watched"]["resolutions"], {"426x240": 3, "854x480": 5})
                choice = {"videochat": "clip_1080p.mp4", "chatroom": "clip"}[service]
                self.assertEqual(events["watching"]["choice"], choice)

    def test_a_script_ends_at_its_first_mistake(self) -> None:
        cases = {
            "@carl hello\nnever": "nobody here is called carl",
            "/watch nothing\nnever": "no such video: nothing",
            "/dance\nnever": "no such command: /dance",
            "hello\nnever": "nobody else is here",
            "/wait carl": "nobody called carl came within 0.2 s",
        }
        for service, server in self.both():
            with server as house:
                for typed, message in cases.items():
                    with self.subTest(service=service, typed=typed):
                        done = talk(
                            command(service, house.address, "--name", "anna", "--timeout", "0.2", "--script", "-"),
                            typed,
                        )
                        self.assertEqual(done.returncode, 1)
                        self.assertRegex(done.stderr, f"^{service}: .*{re.escape(message)}.*\n$")

    def test_exit_codes(self) -> None:
        self.assertEqual(talk(command("videochat", "127.0.0.1:x", "--name", "anna")).returncode, 2)
        self.assertEqual(talk(command("videochat", "127.0.0.1")).returncode, 2)
        self.assertEqual(talk(command("chatroom", "127.0.0.1", "--name", "a,b")).returncode, 2)
        done = talk(command("chatroom", "127.0.0.1", "--name", "a", "--script", "/does/not/exist"))
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1))
        with Peer(lambda sock: None) as house:
            refused = house.address
            self.assertEqual(talk(command("videochat", house.address, "--name", "anna")).returncode, 4)
        done = talk(command("videochat", refused, "--name", "anna"))
        self.assertEqual(done.returncode, 3)
        self.assertEqual(done.stderr, f"videochat: connection refused: nothing listens at {refused}\n")
        with FakeVideochat() as house:
            self.assertEqual(talk(command("chatroom", house.address, "--name", "anna")).returncode, 5)

    def test_losing_the_connection_while_idle(self) -> None:
        def behaviour(sock: Any) -> None:
            name, pem = greet_videochat(sock)
            sock.sendall(pack_json({"identifier": "broadcast_message", "data": {name: pem}, "name": name}))

        with Peer(behaviour) as house:
            # its input stays open: nothing but the lost connection can end it
            process = start(command("videochat", house.address, "--name", "anna"))
            self.assertEqual(process.wait(PATIENCE), 4)
            self.assertIn("connection lost", finish(process)[2])

    def test_the_module_is_a_command_too(self) -> None:
        for service in ("videochat", "chatroom"):
            done = subprocess.run(
                [sys.executable, "-m", f"playhouse_clients.{service}", "--help"],
                cwd=CLIENTS,
                capture_output=True,
                encoding="utf-8",
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("/wait-message", done.stdout)

    def test_names_are_grouped_to_videos(self) -> None:
        self.assertEqual(
            by_video(["a_b_1080p.mp4", "a_b_240p.mp4", "popo", "two_words", "plain.mp4", "x_240p.mkv"]),
            [
                ("a_b", "a_b_1080p.mp4", ["240p", "1080p"]),
                ("popo", "popo", []),
                ("two_words", "two_words", []),
                ("plain.mp4", "plain.mp4", []),
                ("x", "x_240p.mkv", ["240p"]),
            ],
        )


@unittest.skipIf(sys.platform == "win32", "there are no pseudo terminals on Windows")
class TerminalTest(TerminalCase):
    def test_a_visit(self) -> None:
        with FakeVideochat({"clip_240p.mp4": CLIP}) as house:
            process = self.start(*command("videochat", house.address))
            self.wait_for("Your name: ")
            self.type("anna\n")
            self.wait_for("You are here as anna. Nobody else is here.")
            self.wait_for("> ")
            self.type("/dance\n")
            self.wait_for("! no such command: /dance")  # and it goes on
            bob = start(command("videochat", house.address, "--name", "bob"), "/wait-message\n\x1b[2Jhi\n")
            self.wait_for("* bob joined")
            self.type("@bob hello\n")
            self.wait_for("bob: \\x1b[2Jhi")  # nobody clears somebody else's screen
            self.assertEqual(finish(bob)[0], 0)
            self.wait_for("* bob left")
            self.type("/watch 1\n")
            self.wait_for("No window: there is no screen.")
            self.wait_for("1 frame  426x240")
            self.wait_for("clip: 8 frames in ")
            self.type("/quit\n")
            self.assertEqual(process.wait(PATIENCE), 0)
            self.wait_for("Bye.")
            self.assertTrue(self.echoes())

    def test_a_bar_where_the_number_is_known(self) -> None:
        with FakeChatroom({"clip": CLIP}) as house:
            process = self.start(*command("chatroom", house.address, "--name", "anna"))
            self.wait_for("> ")
            self.type("/watch clip\n")
            self.wait_for("[##------------------]  1/8 frames  426x240")
            self.wait_for("clip: 8 frames in ")
            self.type("\x04")
            self.assertEqual(process.wait(PATIENCE), 0)

    def test_typing_during_a_video(self) -> None:
        began, typed, told = threading.Event(), threading.Event(), threading.Event()

        def before_frame(number: int) -> None:
            if number == 2:
                began.set()
                typed.wait(PATIENCE)
            elif number > 2:
                told.wait(0.2)  # input is looked at with each frame, so one of these is behind it

        with FakeVideochat({"clip_240p.mp4": CLIP * 12}) as house:
            house.before_frame = before_frame
            process = self.start(*command("videochat", house.address, "--name", "anna"))
            self.wait_for("> ")
            self.type("/watch clip\n")
            self.assertTrue(began.wait(PATIENCE))
            self.wait_for("1 frame  ")
            self.type("@anna note\n/videos\nhalf a li")
            typed.set()
            self.wait_for("! when clip is over")
            told.set()
            self.wait_for("clip: 96 frames in ")
            self.wait_for("half a li")
            self.type("\x15/quit\n")  # Ctrl-U: not that line after all
            self.assertEqual(process.wait(PATIENCE), 0)

    def test_ctrl_c(self) -> None:
        with FakeVideochat() as house:
            process = self.start(*command("videochat", house.address, "--name", "anna"))
            self.wait_for("> ")
            eventually(lambda: not self.echoes(), "the client reads keys")
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(PATIENCE), 130)
            eventually(lambda: not house.users, "anna is gone")
            self.assertTrue(self.echoes())
            self.assertNotIn("Traceback", self.output)


if __name__ == "__main__":
    unittest.main()
