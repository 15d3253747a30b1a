"""The command `packetchat`: driven by scripts and pipes, and by somebody at a terminal."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

from fake_packet_house import FakePacketHouse, Link
from support import (
    CLIENTS,
    PATIENCE,
    TerminalCase,
    command,
    eventually,
    finish,
    json_lines,
    plain_environment,
    start,
    talk,
)

from playhouse_clients import Packetchat, packets

DATA = bytes(range(256)) * 40 + b"end"
DIGEST = hashlib.sha256(DATA).hexdigest()


def packetchat(house: FakePacketHouse, name: str, *options: str) -> Any:
    return command("packetchat", house.address, "--name", name, *options)


class ScriptTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_two_processes_talk(self) -> None:
        with FakePacketHouse(Link(drop=0.05, repeat=0.1), seed=8) as house:
            anna = start(
                packetchat(house, "anna", "--wait-for", "bob b."),
                "@bob b. for you alone\n/wait-message bob b.\n/who\n",
            )
            bob = start(
                packetchat(house, "bob b.", "--wait-for", "anna"), "/wait-message\nto äll of you\n//slash\n"
            )
            self.assertEqual(finish(bob)[0], 0)
            code, out, err = finish(anna)
            self.assertEqual((code, err), (0, ""))
            self.assertIn("anna to bob b.: for you alone\n", out)
            self.assertIn("bob b.: to äll of you\n", out)
            self.assertIn("You are anna. Also here: bob b..\n", out)

    def test_files(self) -> None:
        source = self.folder / "a file.bin"
        source.write_bytes(DATA)
        for options in ([], ["--numbering", "document"], ["--old-style"], ["--window", "1"]):
            numbering = packets.DOCUMENT if "document" in options else packets.CLIENT
            with self.subTest(options), FakePacketHouse(numbering=numbering) as house:
                done = talk(
                    packetchat(house, "anna", *options),
                    f"/files\n/upload {source}\n/files\n/download a file.bin {self.folder}/one\n",
                )
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                (number,) = house.files
                lines = done.stdout.splitlines()[1:]
                self.assertEqual(lines[0], "There are no files.")
                figures = f"10,243 bytes in \\d\\.\\d s \\(.* MB/s\\), SHA-256 {DIGEST}"
                self.assertRegex(lines[1], f"^uploaded a file.bin as {number:016x}: {figures}$")
                self.assertEqual(lines[2], f"{number:016x}  a file.bin  10,243 bytes")
                self.assertRegex(lines[3], f"^downloaded a file.bin to {self.folder}/one: {figures}$")
                target = self.folder / "one"
                self.assertEqual(target.read_bytes(), DATA)
                target.unlink()

    def test_json(self) -> None:
        source = self.folder / "x"
        source.write_bytes(DATA)
        with FakePacketHouse() as house:
            number = house.add_file("old file", b"")
            done = talk(
                packetchat(house, "anna", "--json"),
                f"/upload {source}\n/files\n/download {number:016x} {self.folder}\n@anna me\n/wait-message anna\n/who\n",
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            events = {line["event"]: line for line in json_lines(done.stdout)}
            self.assertEqual(
                set(events),
                {"connected", "uploaded", "files", "downloaded", "progress", "sent", "message", "who"},
            )
            self.assertEqual(events["message"], {"event": "message", "from": "anna", "text": "me"})
            uploaded = next(file for file in house.files if file != number)
            self.assertEqual(
                events["files"]["files"],
                [
                    {"number": f"{number:016x}", "name": "old file", "size": 0},
                    {"number": f"{uploaded:016x}", "name": "x", "size": len(DATA)},
                ],
            )
            self.assertEqual((events["uploaded"]["number"], events["uploaded"]["sha256"]), (f"{uploaded:016x}", DIGEST))
            self.assertEqual(events["downloaded"]["path"], str(self.folder / "old file"))
            (first, *_) = [line for line in json_lines(done.stdout) if line["event"] == "progress"]
            first.pop("bytes_per_second")
            self.assertEqual(first, {"event": "progress", "file": "x", "bytes": len(DATA), "size": len(DATA)})

    def test_a_script_ends_at_its_first_mistake(self) -> None:
        cases = {
            "@carl hello\nnever": "nobody here is called carl",
            "hello\nnever": "nobody else is here",
            "/wait carl\nnever": "nobody called carl came within 0.2 s",
            "/videos\nnever": "no such command: /videos",
            "/download\nnever": "write /download and a name or a number",
            "/download nothing\nnever": r'there is no file "nothing" \(/files lists them\)',
            "/download a b /tmp\nnever": 'there is no file "a" or "a b /tmp" ',
            f"/download here {CLIENTS}/README.md\nnever": "README.md exists already",
            "/upload\nnever": "write /upload and a path",
            "/upload /does/not/exist\nnever": "/does/not/exist: No such file or directory",
            "/download here /does/not/exist\nnever": "No such file or directory",
        }
        with FakePacketHouse() as house:
            house.add_file("here", b"x")
            for typed, message in cases.items():
                with self.subTest(typed=typed):
                    done = talk(packetchat(house, "anna", "--timeout", "0.2"), typed)
                    house.users.clear()
                    self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
                    self.assertRegex(done.stderr, f"^packetchat: .*{message}")

    def test_nobody_forges_what_others_see(self) -> None:
        with FakePacketHouse() as house:
            house.add_file("a\nb", b"")
            anna = start(packetchat(house, "anna"), "/wait-message\n/files\n")
            with Packetchat.connect("127.0.0.1", house.port, "bob") as bob:
                bob.wait_for("anna")
                bob.send("anna", "hi\nanna: forged\u202e\u200b\t\x1b[2J")
                code, out, err = finish(anna)
            self.assertEqual((code, err), (0, ""))
            self.assertIn("bob: hi\n    anna: forged\\u202e\\u200b\\t\\x1b[2J\n", out)
            self.assertIn("  a\\nb  0 bytes\n", out)

    def test_exit_codes(self) -> None:
        windows, names = (["--window", "0"], ["--window", "x"]), (["--name", "a,b"], ["--name", "x" * 65])
        for options in (*windows, *names, ["--numbering", "roman"]):
            done = talk(command("packetchat", "127.0.0.1:1", "--name", "anna", *options))
            self.assertEqual(done.returncode, 2, options)
        with FakePacketHouse() as house:
            house.ignores = lambda name, values: True
            done = talk(packetchat(house, "anna", "--answer-timeout", "0.1"))
            self.assertEqual(done.returncode, 3)
            self.assertRegex(done.stderr, "^packetchat: no answer from 127.0.0.1:.* within 0.1 s: .*\n$")
        done = talk(packetchat(house, "anna"))
        self.assertEqual(done.returncode, 3)
        self.assertEqual(done.stderr, f"packetchat: connection refused: nothing listens at {house.address}\n")

    def test_nothing_has_to_be_installed(self) -> None:
        (self.folder / "cryptography.py").write_text("raise ImportError('as if it was not there')")
        with FakePacketHouse() as house:
            done = subprocess.run(
                packetchat(house, "anna"),
                input="/files\n/who\n",
                capture_output=True,
                encoding="utf-8",
                env={**plain_environment(), "PYTHONPATH": str(self.folder)},
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        done = subprocess.run(
            [sys.executable, "-m", "playhouse_clients.packetchat", "--help"],
            cwd=CLIENTS,
            capture_output=True,
            encoding="utf-8",
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("/download NAME_OR_NUMBER [TO]", done.stdout)


@unittest.skipIf(sys.platform == "win32", "there are no pseudo terminals on Windows")
class TerminalTest(TerminalCase):
    def test_a_visit(self) -> None:
        with FakePacketHouse() as house, tempfile.TemporaryDirectory() as folder:
            number = house.add_file("clip", DATA)
            process = self.start(*packetchat(house, "anna"))
            self.wait_for("You are here as anna. Nobody else is here.")
            self.wait_for("/files, /upload, /download")
            self.wait_for("> ")
            bob = start(packetchat(house, "bob"))
            self.wait_for("* bob joined")
            assert bob.stdin is not None
            bob.stdin.write("@anna \x1b[2Jhi\n/wait-message\n")
            bob.stdin.flush()
            self.wait_for("bob: \\x1b[2Jhi")  # nobody clears somebody else's screen
            self.type("/dance\n")
            self.wait_for("! no such command: /dance")
            self.type("@bob hello\n")
            self.assertEqual(finish(bob)[0], 0)
            house.users.popitem()
            self.wait_for("* bob left")
            # while a file comes, there is talk
            house.ignores = lambda name, values: name == packets.DOWNLOAD_CHUNK_REQUEST
            self.type(f"/download clip {folder}\n")
            self.wait_for("clip  [--------------------]  0/10,243 bytes")
            # one after the other: Python's readline may keep a second line that comes with the first
            self.type("@anna note\n")
            self.wait_for("anna: note")
            self.type("/download clip\n")
            self.wait_for("! when clip is over")
            house.ignores = lambda name, values: False
            self.wait_for(f"downloaded clip to {folder}/clip: 10,243 bytes in ")
            self.assertEqual(Path(folder, "clip").read_bytes(), DATA)
            self.type(f"/download {number:016x} {folder}\n")
            self.wait_for("exists already")  # and it goes on
            self.type("/quit\n")
            self.assertEqual(process.wait(PATIENCE), 0)
            self.wait_for("Bye.")
            self.assertTrue(self.echoes())

    def test_one_prompt_after_an_error(self) -> None:
        with FakePacketHouse() as house:
            process = self.start(*packetchat(house, "anna"))
            self.wait_for("> ")
            for _ in range(10):  # who is first, the error or the prompt, is chance
                self.type("/dance\n")
                self.wait_for("/dance (/help lists them)\r\n")
                time.sleep(0.05)
            self.type("/quit\n")
            self.assertEqual(process.wait(PATIENCE), 0)
            self.assertNotIn("> > ", self.everything)

    def test_ctrl_c_in_a_transfer(self) -> None:
        with FakePacketHouse() as house, tempfile.TemporaryDirectory() as folder:
            house.add_file("clip", DATA)
            house.ignores = lambda name, values: name == packets.DOWNLOAD_CHUNK_REQUEST
            process = self.start(*packetchat(house, "anna"))
            self.wait_for("> ")
            self.type(f"/download clip {folder}\n")
            self.wait_for("0/10,243 bytes")
            eventually(lambda: not self.echoes(), "the client reads keys")
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(PATIENCE), 130)
            self.assertEqual(os.listdir(folder), [])
            self.assertTrue(self.echoes())
            self.assertNotIn("Traceback", self.output)


if __name__ == "__main__":
    unittest.main()
