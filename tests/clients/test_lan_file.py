"""The lan_file client, as a library and as a command, against servers in this process."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import unittest
from pathlib import Path
from typing import Any, List

from fake_house import Peer
from fake_lan_house import FakeLanFile
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
    temporary_folder,
)

from playhouse_clients import ClientError, LanFile, NothingOffered, TransferBroken, WaitTimeout
from playhouse_clients.lan_file import rate

FILE = random.Random(1).randbytes(1_000_003)
LARGE = bytes(20_000_000)  # does not fit into what lies between a server and a client that does not read
SHA256 = hashlib.sha256(FILE).hexdigest()


def lan_file(house: Any, timeout: float = PATIENCE) -> LanFile:
    return LanFile("127.0.0.1", house.port, timeout)


class LibraryTest(unittest.TestCase):
    def test_pieces(self) -> None:
        with FakeLanFile(FILE[:1], FILE[1:70_000], FILE[70_000:]) as house:
            with lan_file(house) as offered:
                self.assertEqual(b"".join(offered.blocks()), FILE)
                with self.assertRaisesRegex(ClientError, "one file, once"):
                    next(offered.blocks())
            came: List[bytes] = []
            sizes: List[int] = []
            with lan_file(house) as offered:
                received = offered.receive(came.append, sizes.append)
        self.assertEqual(b"".join(came), FILE)
        self.assertEqual((received.size, received.sha256), (len(FILE), SHA256))
        self.assertGreater(received.seconds, 0)
        self.assertEqual(sizes, [sum(map(len, came[: n + 1])) for n in range(len(came))])

    def test_saving(self) -> None:
        folder = temporary_folder(self)
        with FakeLanFile(FILE) as house:
            for to, at in ((folder, folder / "received_file"), (folder / "other", folder / "other")):
                with lan_file(house) as offered:
                    self.assertEqual(offered.save(to).sha256, SHA256)
                self.assertEqual(at.read_bytes(), FILE)
            (folder / "other").write_bytes(b"before")
            with lan_file(house) as offered, self.assertRaisesRegex(ClientError, "other exists already"):
                offered.save(folder / "other")
            self.assertEqual((folder / "other").read_bytes(), b"before")
            with lan_file(house) as offered:
                offered.save(folder / "other", overwrite=True)
            self.assertEqual((folder / "other").read_bytes(), FILE)
        self.assertEqual(sorted(os.listdir(folder)), ["other", "received_file"])

    def test_a_transfer_that_breaks_off_leaves_nothing(self) -> None:
        folder = temporary_folder(self)
        for pieces in ((), (FILE,)):
            connected = threading.Event()
            with FakeLanFile(*pieces, breaks_off=connected) as house, lan_file(house) as offered:
                connected.set()
                with self.assertRaisesRegex(TransferBroken, "not whole: the server broke off after [0-9,]+ bytes"):
                    offered.save(folder)
        self.assertEqual(os.listdir(folder), [])

    def test_nothing_on_offer(self) -> None:
        folder = temporary_folder(self)
        with FakeLanFile() as house, lan_file(house) as offered, self.assertRaises(NothingOffered):
            offered.save(folder)
        self.assertEqual(os.listdir(folder), [])

    def test_silence(self) -> None:
        end = threading.Event()
        folder = temporary_folder(self)
        with FakeLanFile(b"begin", breaks_off=end) as house:
            try:
                with lan_file(house, 0.05) as offered, self.assertRaisesRegex(WaitTimeout, "0.05 s, after [05] bytes"):
                    offered.save(folder)
            finally:
                end.set()
        self.assertEqual(os.listdir(folder), [])


class RateTest(unittest.TestCase):
    def test_units(self) -> None:
        self.assertEqual(rate(2_500_000, 1.0), "2.5 MB/s")
        self.assertEqual(rate(1_000_000, 1.0), "1.0 MB/s")
        self.assertEqual(rate(999_000, 1.0), "999 kB/s")
        self.assertEqual(rate(30_000, 10.0), "3 kB/s")
        self.assertEqual(rate(5, 0.0), "at once")


class CommandTest(unittest.TestCase):
    def run_in(self, folder: Path, house: Any, *options: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command("lan_file", house.address, *options),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            env=plain_environment(),
        )

    def test_fetching(self) -> None:
        folder = temporary_folder(self)
        with FakeLanFile(FILE) as house:
            done = self.run_in(folder, house)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            figures = r"1,000,003 bytes in .* s \(.* [kM]B/s\)"
            self.assertRegex(done.stdout, rf"^received_file: {figures}\nSHA-256 {SHA256}\n$")
            self.assertEqual((folder / "received_file").read_bytes(), FILE)
            done = self.run_in(folder, house, "-o", "copy", "--json")
            (received,) = [line for line in json_lines(done.stdout) if line["event"] != "progress"]
            self.assertGreater(received.pop("seconds"), 0)
            self.assertEqual(
                received,
                {"event": "received", "path": os.path.join(os.path.realpath(folder), "copy")}
                | {"bytes": len(FILE), "sha256": SHA256},
            )
            self.assertEqual((folder / "copy").read_bytes(), FILE)

    def test_nothing_is_overwritten(self) -> None:
        folder = temporary_folder(self)
        (folder / "received_file").write_text("mine")
        with FakeLanFile(FILE) as house:
            for options in ([], ["-o", "."]):
                done = self.run_in(folder, house, *options)
                self.assertEqual((done.returncode, done.stderr), (1, "lan_file: received_file exists already\n"))
                self.assertEqual((folder / "received_file").read_text(), "mine")
            self.assertEqual(self.run_in(folder, house, "--force").returncode, 0)
        self.assertEqual((folder / "received_file").read_bytes(), FILE)

    def test_to_a_pipe(self) -> None:
        with FakeLanFile(FILE) as house:
            done = subprocess.run(
                command("lan_file", house.address, "-o", "-"), capture_output=True, timeout=60, env=plain_environment()
            )
            self.assertEqual((done.returncode, done.stdout), (0, FILE))
            self.assertIn(f"SHA-256 {SHA256}", done.stderr.decode())

    def test_a_pipe_that_nobody_reads(self) -> None:
        with FakeLanFile(FILE) as house:
            process = subprocess.Popen(
                command("lan_file", house.address, "-o", "-"),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=plain_environment(),
            )
            assert process.stdout is not None and process.stderr is not None
            process.stdout.close()
            with process.stderr as errors:
                self.assertEqual(errors.read(), b"lan_file: nobody reads what goes to standard output\n")
            self.assertEqual(process.wait(PATIENCE), 1)

    def test_what_goes_wrong(self) -> None:
        folder = temporary_folder(self)
        at_once = threading.Event()
        at_once.set()
        cases = [
            (FakeLanFile(), 1, "nothing is on offer"),
            (FakeLanFile(LARGE, breaks_off=at_once), 1, "the file is not whole: the server broke off after "),
        ]
        for server, code, message in cases:
            with self.subTest(message), server as house:
                done = self.run_in(folder, house)
                self.assertEqual((done.returncode, done.stderr.count("\n")), (code, 1), done.stderr)
                self.assertIn(f"lan_file: {message}", done.stderr)
        done = self.run_in(folder, house)
        self.assertEqual(done.returncode, 3)
        self.assertEqual(done.stderr, f"lan_file: connection refused: nothing listens at {house.address}\n")
        done = self.run_in(folder, house, "-o", "no/such/folder/file")
        self.assertEqual((done.returncode, done.stderr.count("\n")), (3, 1), done.stderr)
        with FakeLanFile(FILE) as house:
            done = self.run_in(folder, house, "-o", "no/such/folder/file")
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
        self.assertEqual(done.stderr, "lan_file: no/such/folder/file: No such file or directory\n")
        self.assertEqual(os.listdir(folder), [])

    @unittest.skipIf(sys.platform == "win32", "signals end a program at once on Windows")
    def test_a_signal_leaves_nothing(self) -> None:
        for number, wanted in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            folder = temporary_folder(self)
            end = threading.Event()
            with self.subTest(number), FakeLanFile(FILE, breaks_off=end) as house:
                try:
                    process = start([*command("lan_file", house.address), "-o", str(folder / "file")])
                    eventually(lambda: os.listdir(folder), "it receives")
                    process.send_signal(number)
                    code, _, err = finish(process)
                finally:
                    end.set()
                self.assertEqual((code, err, os.listdir(folder)), (wanted, "", []))

    def test_where_the_server_is(self) -> None:
        folder = temporary_folder(self)
        with FakeLanFile(FILE) as house:
            line = command("lan_file", "127.0.0.1", "--port", str(house.port), "-o", str(folder))
            self.assertEqual(talk(line).returncode, 0)
        for port in ("0", "65536", "x"):
            self.assertEqual(talk(command("lan_file", "127.0.0.1", "--port", port)).returncode, 2)

    def test_the_module_is_a_command_too(self) -> None:
        for service in ("lan_file", "lan_chat", "lan_audio", "lan_video"):
            done = subprocess.run(
                [sys.executable, "-m", f"playhouse_clients.{service}", "--help"],
                cwd=CLIENTS,
                capture_output=True,
                encoding="utf-8",
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("--timeout S", done.stdout)


@unittest.skipIf(sys.platform == "win32", "there are no pseudo terminals on Windows")
class TerminalTest(TerminalCase):
    def test_how_much_has_come(self) -> None:
        folder = temporary_folder(self)
        more, shown = threading.Event(), threading.Event()

        def behaviour(sock: Any) -> None:
            sock.sendall(FILE[:500_000])
            more.wait(PATIENCE)
            for at in range(500_000, len(FILE), 50_000):
                sock.sendall(FILE[at : at + 50_000])
                shown.wait(0.05)  # a figure is only shown when something comes

        with Peer(behaviour) as house:
            process = self.start(*command("lan_file", house.address, "-o", str(folder)))
            eventually(lambda: os.listdir(folder), "it receives")
            more.set()
            self.wait_for(" kB  ")
            self.wait_for("B/s")
            shown.set()
            self.wait_for("received_file: 1,000,003 bytes in ")
            self.assertEqual(process.wait(PATIENCE), 0)

    def test_no_bytes_to_a_terminal(self) -> None:
        process = self.start(*command("lan_file", "127.0.0.1:1", "-o", "-"))
        self.assertEqual(process.wait(PATIENCE), 2)
        self.wait_for("not for a terminal")


if __name__ == "__main__":
    unittest.main()
