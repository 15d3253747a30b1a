"""What the tests of the clients share. Importing it makes the clients importable."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = ROOT / "clients"
sys.path.insert(0, str(CLIENTS))

# Long enough for a busy machine. Nothing waits that long unless it fails.
PATIENCE = 20.0


def fake_jpeg(width: int, height: int, filling: bytes = b"") -> bytes:
    """The markers of a JPEG around no picture: enough for whoever only wants its size."""
    jfif = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
    tables = b"\xff\xdb" + struct.pack(">H", 67) + bytes(65)
    header = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)
    scan = b"\xff\xda" + struct.pack(">H", 12) + bytes(10) + filling
    return b"\xff\xd8" + jfif + tables + header + scan + b"\xff\xd9"


def eventually(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait until a condition holds that nothing announces; return what it returned."""
    deadline = time.monotonic() + patience
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience:g} s: {what}")
        time.sleep(0.01)


def temporary_folder(case: unittest.TestCase) -> Path:
    """Goes with the test."""
    folder = tempfile.TemporaryDirectory()
    case.addCleanup(folder.cleanup)
    return Path(folder.name)


class Events:
    """Collects what `on_event` says."""

    def __init__(self) -> None:
        self.seen: List[Any] = []
        self._changed = threading.Condition()

    def __call__(self, event: Any) -> None:
        with self._changed:
            self.seen.append(event)
            self._changed.notify_all()

    def wait(self, kind: str, name: str = "") -> Any:
        def look() -> Any:
            return next((e for e in self.seen if e.kind == kind and name in ("", e.name)), None)

        with self._changed:
            found = self._changed.wait_for(look, PATIENCE)
        if not found:
            raise AssertionError(f"no event {kind} {name}; there were {self.seen}")
        return found

    def kinds(self) -> List[str]:
        with self._changed:
            return [event.kind for event in self.seen]


def command(service: str, address: str, *options: str) -> List[str]:
    """The command line of a client, as from the root of the repository."""
    return [sys.executable, str(CLIENTS / service), address, *options]


def talk(line: List[str], typed: str = "") -> "subprocess.CompletedProcess[str]":
    """Run a command with that on its standard input, to its end."""
    return subprocess.run(
        line, input=typed, capture_output=True, encoding="utf-8", timeout=60, env=plain_environment()
    )


def start(line: List[str], typed: str = "") -> "subprocess.Popen[str]":
    """The same in the background; `finish` gets what it said."""
    process = subprocess.Popen(
        line,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=plain_environment(),
    )
    assert process.stdin is not None
    process.stdin.write(typed)
    process.stdin.flush()
    return process


def finish(process: "subprocess.Popen[str]") -> Tuple[int, str, str]:
    """(exit code, output, errors); its input ends here."""
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"still running after 60 s; it said {out!r} {err!r}") from None
    return process.returncode, out, err


def plain_environment() -> Dict[str, str]:
    """Without a screen, so that no test opens a window."""
    return {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}


def json_lines(text: str) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


class TerminalCase(unittest.TestCase):
    """Commands at a pseudo terminal."""

    def setUp(self) -> None:
        import pty

        self.ours, self.theirs = pty.openpty()
        self.addCleanup(os.close, self.ours)
        self.addCleanup(os.close, self.theirs)
        os.set_blocking(self.ours, False)
        self.output = ""
        self.everything = ""  # also what was waited for

    def start(self, *line: str) -> "subprocess.Popen[bytes]":
        environment = {**plain_environment(), "TERM": "xterm", "COLUMNS": "100"}
        process = subprocess.Popen(
            line,
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=self.theirs,
            env=environment,
            start_new_session=True,
        )

        def clean_up() -> None:
            if process.poll() is None:
                process.kill()
                process.wait()

        self.addCleanup(clean_up)
        return process

    def type(self, text: str) -> None:
        os.write(self.ours, text.encode())

    def wait_for(self, text: str) -> None:
        def look() -> bool:
            try:
                came = os.read(self.ours, 65536).decode("utf-8", "replace")
                self.output += came
                self.everything += came
            except BlockingIOError:
                pass
            return text in self.output

        try:
            eventually(look, text)
        except AssertionError as failure:
            raise AssertionError(f"{failure}; the terminal shows {self.output!r}") from None
        # what comes next is looked for behind it
        self.output = self.output.partition(text)[2]

    def echoes(self) -> bool:
        import termios

        return bool(termios.tcgetattr(self.theirs)[3] & termios.ECHO)
