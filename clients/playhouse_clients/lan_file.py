"""The lan_file client: fetches the file that a server has on offer.

The server sends the file from the moment of the connection on, and closes. A connection that it resets is a
file that is not whole; one that ends without a byte is no file at all.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple, Optional, Union

from .command import new_parser, parse, run_command
from .local_files import target_of, write_out, written_beside
from .terminal import Terminal
from .wire import ClientError, ServerError, WaitTimeout, open_socket

SERVICE = "lan_file"
DEFAULT_PORT = 9001
DEFAULT_NAME = "received_file"  # nothing on the wire says what a file is called
BLOCK = 1 << 18  # bytes that are read at once


class NothingOffered(ServerError):
    """There is no file on offer, or it is empty: that looks the same."""


class TransferBroken(ServerError):
    """What has come is not the whole file."""


class Received(NamedTuple):
    """A whole file. The seconds count from the connection."""

    size: int
    seconds: float
    sha256: str


class LanFile:
    """The transfer of the file on offer, from the connection on; there is one in each. `with` closes it.

    `timeout` is the longest wait for the connection, and the longest silence, in seconds.

    All methods raise NothingOffered, TransferBroken, and WaitTimeout (silence).
    """

    def __init__(self, host: str = "127.0.0.1", port: int = DEFAULT_PORT, timeout: float = 30.0) -> None:
        self._timeout = timeout
        self._began = time.monotonic()
        self._read = False
        self._sock = open_socket(host, port, timeout)

    def __enter__(self) -> "LanFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def blocks(self) -> Iterator[bytes]:
        """The file, in pieces. It is whole only if they end without an error."""
        if self._read:
            raise ClientError("a connection brings one file, once")
        self._read = True
        size = 0
        while True:
            try:
                block = self._sock.recv(BLOCK)
            except socket.timeout:
                raise WaitTimeout(f"nothing came for {self._timeout:g} s, after {size:,} bytes") from None
            except OSError as error:
                why = "the server broke off" if isinstance(error, ConnectionResetError) else error.strerror or error
                raise TransferBroken(f"the file is not whole: {why} after {size:,} bytes") from None
            if not block:
                break
            size += len(block)
            yield block
        if size == 0:
            raise NothingOffered("nothing is on offer")

    def receive(
        self, write: Callable[[bytes], object], progress: Optional[Callable[[int], object]] = None
    ) -> Received:
        """Give the file to `write` in pieces; `progress` gets the bytes so far."""
        digest, size = hashlib.sha256(), 0
        for block in self.blocks():
            write(block)
            digest.update(block)
            size += len(block)
            if progress is not None:
                progress(size)
        return Received(size, time.monotonic() - self._began, digest.hexdigest())

    def save(
        self,
        path: Union[str, Path],
        overwrite: bool = False,
        progress: Optional[Callable[[int], object]] = None,
    ) -> Received:
        """Write the file to that path, where it appears when it is whole; otherwise nothing is left.

        ClientError: there is a file, or a folder, already.
        """
        target = target_of(DEFAULT_NAME, path, overwrite)
        with written_beside(target, overwrite) as file:
            return self.receive(file.write, progress)

    def close(self) -> None:
        """A transfer under way is given up."""
        self._sock.close()


class Progress:
    """Says now and then how much has come; how much there will be is not known."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._began = self._told = time.monotonic()

    def __call__(self, size: int) -> None:
        now = time.monotonic()
        if now - self._told < self._terminal.interval:
            return
        self._told = now
        seconds = now - self._began
        text = f"{size // 1000:,} kB  {seconds:.1f} s  {rate(size, seconds)}"
        if self._terminal.live:
            self._terminal.status(text)
        else:
            self._terminal.say(text)
        self._terminal.tell("progress", bytes=size, seconds=round(seconds, 3))


def rate(size: int, seconds: float) -> str:
    if seconds <= 0:
        return "at once"
    a_second = size / seconds
    return f"{a_second / 1e6:.1f} MB/s" if a_second >= 1e6 else f"{a_second / 1e3:.0f} kB/s"


def fetch(options: Any, host: str, port: int, terminal: Terminal) -> None:
    """What the command does."""
    to_pipe = options.output == "-"
    # What is wrong here has nothing to do with the server.
    target = None if to_pipe else target_of(DEFAULT_NAME, options.output, options.force)
    with LanFile(host, port, options.timeout) as offered:
        progress = Progress(terminal)
        try:
            if target is None:
                received = offered.receive(write_out, progress)
            else:
                received = offered.save(target, options.force, progress)
        finally:
            terminal.status("")
    name = "-" if target is None else str(target)
    speed = rate(received.size, received.seconds)
    terminal.say(f"{name}: {received.size:,} bytes in {received.seconds:.1f} s ({speed})")
    terminal.say(f"SHA-256 {received.sha256}")
    terminal.tell(
        "received",
        path=None if target is None else os.path.abspath(target),
        bytes=received.size,
        seconds=round(received.seconds, 3),
        sha256=received.sha256,
    )


def main() -> int:
    parser = new_parser(SERVICE, DEFAULT_PORT, "Fetch the file that a playhouse lan_file has on offer.")
    parser.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        default=DEFAULT_NAME,
        help="where to; %(default)s in a folder, - for standard output (default %(default)s)",
    )
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    options, host, port = parse(parser, DEFAULT_PORT)
    to_pipe = options.output == "-"
    if to_pipe and sys.stdout.isatty():
        parser.error("-o - is for a pipe or a file, not for a terminal")
    return run_command(
        SERVICE,
        options.json,
        lambda terminal: fetch(options, host, port, terminal),
        sys.stderr if to_pipe else None,
    )


if __name__ == "__main__":
    raise SystemExit(main())
