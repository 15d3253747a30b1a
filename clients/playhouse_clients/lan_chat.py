"""The lan_chat client: plain lines, which everybody else reads with the address of whoever said them.

The server begins with a welcome. After it there are lines, `<ADDRESS> text`; a text without a line end stands
there as it was said, so that only silence tells that it is over.
"""

from __future__ import annotations

import re
import threading
import time
from typing import NamedTuple, Optional

from .wire import ClientError, ConnectionLost, ProtocolError, WaitTimeout, Wire, open_socket

DEFAULT_PORT = 8888
WELCOME = b"Welcome to this chatroom!"
SILENCE = 0.2  # seconds after which a text without a line end is taken as complete
LONGEST_LINE = 1 << 16  # bytes; a longer one comes in parts
LEAVING = 1.0  # seconds for the server to take what was said last, and close

_PREFIX = re.compile(rb"<([^<>\s]{1,64})> ")


class LanMessage(NamedTuple):
    """`address` is that of whoever said it; "" where that is not known, as for the rest of a text in parts."""

    address: str
    text: str


class LanChat:
    """A place in the chatroom. Connects at once; `with` closes it.

    `timeout` is the longest wait for the connection and the welcome, and for the server to take what is said, in
    seconds. One thread may receive while another says something.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = DEFAULT_PORT, timeout: float = 30.0) -> None:
        self._wire = Wire(open_socket(host, port, timeout))
        self._receiving = threading.Lock()
        self._saying = threading.Lock()
        self._closed = False
        self._in_line = False  # whether the last part was cut off a line that was too long
        try:
            self._read_welcome(timeout)
        except ClientError:
            self._wire.close()
            raise

    def __enter__(self) -> "LanChat":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def welcome(self) -> str:
        return WELCOME.decode()

    def say(self, text: str) -> None:
        """Say each line of the text to all others. ConnectionLost: the server is gone, or takes nothing."""
        self._check_open()
        with self._saying:
            self._wire.send("".join(f"{line}\n" for line in text.split("\n")).encode("utf-8", "replace"))

    def receive(self, timeout: Optional[float] = None) -> Optional[LanMessage]:
        """The next that somebody else says, or None if that is not in time (in seconds).

        ConnectionLost: the server has closed, and all that it sent was given out.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._receiving:
            self._check_open()
            buffer = self._wire.buffer
            while True:
                end = buffer.find(b"\n", 0, LONGEST_LINE + 1)
                if end >= 0:
                    return self._take(end, 1)
                if len(buffer) > LONGEST_LINE:
                    return self._take(LONGEST_LINE, 0)
                wait: Optional[float] = SILENCE
                if not buffer:
                    wait = None if deadline is None else max(deadline - time.monotonic(), 0)
                try:
                    if self._wire.fill_within(wait):
                        continue
                except ConnectionLost:
                    if not buffer:
                        raise
                return self._take(len(buffer), 0) if buffer else None

    def finish(self) -> None:
        """Say nothing more. What others say can be received until the server closes."""
        self._wire.finish_sending()

    def close(self) -> None:
        """Leave, when the server has taken all that was said, or after a moment."""
        if self._closed:
            return
        self.finish()
        deadline = time.monotonic() + LEAVING
        # Closing a connection with something unread in it would throw away what the server has not yet taken.
        if self._receiving.acquire(timeout=LEAVING):
            try:
                while self._wire.fill_within(max(deadline - time.monotonic(), 0)) and time.monotonic() < deadline:
                    self._wire.buffer.clear()
            except ConnectionLost:
                pass
            finally:
                self._receiving.release()
        self._closed = True
        self._wire.hang_up()  # wakes who receives
        with self._receiving:
            self._wire.close()

    def _read_welcome(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        buffer = self._wire.buffer
        while len(buffer) < len(WELCOME) and WELCOME.startswith(buffer):
            if not self._wire.fill_within(max(deadline - time.monotonic(), 0)):
                raise WaitTimeout(f"no welcome within {timeout:g} s: this may be no lan_chat server")
        if not buffer.startswith(WELCOME):
            raise ProtocolError(f"no welcome but {bytes(buffer[:40])!r}: this is no lan_chat server")
        del buffer[: len(WELCOME)]

    def _take(self, length: int, line_end: int) -> LanMessage:
        line = bytes(self._wire.buffer[:length])
        del self._wire.buffer[: length + line_end]
        if line_end and line.endswith(b"\r"):  # as some systems end lines
            line = line[:-1]
        # The rest of a line is somebody's text, which may look like a prefix.
        prefix = None if self._in_line else _PREFIX.match(line)
        self._in_line = not line_end and (self._in_line or length == LONGEST_LINE)
        if prefix is None:
            return LanMessage("", line.decode("utf-8", "replace"))
        return LanMessage(prefix[1].decode("utf-8", "replace"), line[prefix.end() :].decode("utf-8", "replace"))

    def _check_open(self) -> None:
        if self._closed:
            raise ClientError("this session has ended")


def main() -> int:
    from . import lan_chat_console

    return lan_chat_console.main()


if __name__ == "__main__":
    raise SystemExit(main())
