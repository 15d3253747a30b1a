"""The commands of a service with files: list them, send one, fetch one."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

from .console import Console
from .packetchat import File, only_file
from .packets import CLIENT, NUMBERINGS
from .terminal import Input, Terminal, draw_bar, visible
from .transfers import DEFAULT_WINDOW
from .wire import ClientError


class FileConsole(Console):
    purpose = "Talk and share files"
    more_help = """\
  /files                which files there are
  /upload PATH          send a file
  /download NAME_OR_NUMBER [TO]
                        fetch a file, into a folder or to a new path"""
    hint = "/files, /upload, /download"

    def __init__(self, service: str, options: Any, terminal: Terminal, typed: Input) -> None:
        super().__init__(service, options, terminal, typed)
        self._commands.update({"/files": self._files, "/upload": self._upload, "/download": self._download})

    @classmethod
    def add_options(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--answer-timeout",
            metavar="S",
            type=float,
            default=10.0,
            help="longest wait for an answer of the server's, in seconds (default %(default)g)",
        )
        parser.add_argument(
            "--window",
            metavar="N",
            type=_positive,
            default=DEFAULT_WINDOW,
            help="most chunks of a file under way at once (default %(default)s)",
        )
        parser.add_argument(
            "--numbering", choices=NUMBERINGS, default=CLIENT, help="of the packets' types (default %(default)s)"
        )
        parser.add_argument(
            "--old-style", action="store_true", help="wait and transfer as old clients do: a chunk at a time"
        )

    def run(self, session: Any, wanted_name: str) -> None:
        if self.typed.interactive:
            session.follow()
        super().run(session, wanted_name)

    def _files(self, _: str) -> None:
        files = self.session.files()
        names = [visible(file.name) for file in files]
        width = max(map(len, names), default=0)
        for file, name in zip(files, names):
            self.terminal.say(f"{file.hex}  {name:{width}}  {file.size:,} bytes")
        if not files:
            self.terminal.say("There are no files.")
        self.terminal.tell("files", files=[_members(file) for file in files])

    def _upload(self, path: str) -> None:
        self._not_while_busy()
        if not path:
            raise ClientError("write /upload and a path")
        source = Path(path).expanduser()
        self._transfer("uploaded", source.name, lambda progress: self.session.upload(source, None, progress))

    def _download(self, rest: str) -> None:
        self._not_while_busy()
        if not rest:
            raise ClientError("write /download and a name or a number (/files lists them)")
        file, to = self._find(rest)
        target = Path(to or ".").expanduser()
        self._transfer(
            "downloaded", file.name, lambda progress: self.session.download(file.number, target, progress)
        )

    def _find(self, rest: str) -> Tuple[File, str]:
        """(file, what follows its number or name). Names may have spaces: the longest that fits is meant."""
        files: List[File] = self.session.files()
        word, _, to = rest.partition(" ")
        for file in files:
            if word == file.hex:
                return file, to.strip()
        fitting = [file.name for file in files if (rest + " ").startswith(file.name + " ")]
        if not fitting:
            # Nobody can tell where the name was to end.
            names = " or ".join(f'"{name}"' for name in dict.fromkeys((word, rest)))
            raise ClientError(f"there is no file {names} (/files lists them)")
        name = max(fitting, key=len)
        return only_file(name, files), rest[len(name) :].strip()

    def _transfer(self, done: str, name: str, run: Callable[[Callable[[int, int], None]], File]) -> None:
        began = told = time.monotonic()

        def progress(arrived: int, size: int) -> None:
            nonlocal told
            now = time.monotonic()
            rate = arrived / max(now - began, 1e-9)
            done_so_far = f"{draw_bar(arrived, size)}  {arrived:,}/{size:,} bytes"
            self.terminal.status(f"{name}  {done_so_far}  {rate / 1e6:.1f} MB/s")
            if now - told >= 1.0 or arrived == size:
                told = now
                self.terminal.tell("progress", file=name, bytes=arrived, size=size, bytes_per_second=round(rate))
            if self.typed.interactive:  # a script goes on when this is over
                self._obey_meanwhile()

        self._busy = name
        try:
            file = run(progress)
        except OSError as error:  # of ours
            raise ClientError(f"{error.filename or name}: {error.strerror or error}") from None
        finally:
            self._busy = ""
            self.terminal.status("")
        seconds = time.monotonic() - began
        rate = f" ({file.size / seconds / 1e6:.1f} MB/s)"
        where = f"to {file.path}" if file.path else f"as {file.hex}"
        self.terminal.say(f"{done} {name} {where}: {file.size:,} bytes in {seconds:.1f} s{rate}, SHA-256 {file.sha256}")
        self.terminal.tell(done, seconds=round(seconds, 3), sha256=file.sha256, path=file.path, **_members(file))


def _members(file: File) -> Dict[str, Any]:
    # As text, as `playhouse files` has it: many readers of JSON keep 53 bits of a number, and it has 64.
    return {"number": file.hex, "name": file.name, "size": file.size}


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
