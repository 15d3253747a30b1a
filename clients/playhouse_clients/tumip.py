"""The tumip client: pictures over UDP, and questions to a bot.

Over TCP a request is a header and, for a question, text behind it; its answer has the same shape. The header is
user u32, request u8, flag u8, field u16, big-endian; in the form `marked` a byte 01 goes before it. The server
answers in the form of the first message.

- Request 1 registers pictures of `field` pixels. The answer has a UDP port: each datagram there is one JPEG.
- Request 3 asks the bot; `field` is the length of the text, in bytes.

An answer with the flag 10 says no.
"""

from __future__ import annotations

import errno
import secrets
import socket
import struct
import threading
from collections import deque
from typing import Deque, NamedTuple, Optional

from .tumip_pictures import LARGEST_PICTURE, SIDE, Picture, fitted
from .wire import ClientError, ConnectionLost, ProtocolError, ServerError, WaitTimeout, Wire, open_socket

DEFAULT_PORT = 4123
BARE = "bare"
MARKED = "marked"
FORMS = (BARE, MARKED)
MOST_PIXELS = SIDE * SIDE  # that a server takes
DEFAULT_TIMEOUT = 60.0  # seconds: twice what a server gives its bot by default, so that its reason comes first
RANDOM_USERS = 1_000_000  # short enough to be typed by whoever watches `tumip-<user>`

MARKER = b"\x01"
HEADER = struct.Struct(">IBBH")
REGISTER = 1
ASK = 3
FINE = 0x00
REFUSED = 0x10
LARGEST_FIELD = 0xFFFF
LARGEST_ANSWER = len(MARKER) + HEADER.size + LARGEST_FIELD

# Some systems send no datagram that is larger than this buffer, which has only 9 kB there.
SEND_BUFFER = 4 * LARGEST_PICTURE


class Rejected(ServerError):
    """The server takes no pictures of us."""


class BotFailed(ServerError):
    """The bot has no answer; `reason` is what the server says about it."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the bot has no answer: {reason or 'the server does not say why'}")
        self.reason = reason


class Answer(NamedTuple):
    flag: int
    field: int
    text: bytes


class Place(NamedTuple):
    """Where pictures go, and how large they are at most."""

    sock: socket.socket
    width: int
    height: int


class Tumip:
    """A user who sends pictures and asks the bot. Connects at once; `with` closes it.

    Every method may be called from any thread: pictures go on while a question waits for its answer. `timeout`
    is the longest wait for the connection, and the longest silence while there is an answer to come, in seconds;
    it may be set later as well. Without `user` the number is a random one.

    Besides what they say, the methods raise WaitTimeout (no answer), ConnectionLost, and ProtocolError (the
    server speaks something else).
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        user: Optional[int] = None,
        form: str = BARE,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        self.user = 1 + secrets.randbelow(RANDOM_USERS - 1) if user is None else user
        if not 0 <= self.user < 1 << 32:
            raise ClientError(f"a user is a number from 0 to {(1 << 32) - 1}, not {user}")
        if form not in FORMS:
            raise ClientError(f"a form is one of {', '.join(FORMS)}, not {form}")
        self.form = form
        self.timeout = timeout
        self._marker = MARKER if form == MARKED else b""
        self._closed = False
        self._failure: Optional[ClientError] = None  # why nothing more can be read
        # Answers carry no number: one request at a time. Ctrl-C may come right after `check` has taken this,
        # before anything could give it back: who then closes must not wait for itself.
        self._talking = threading.RLock()
        # Requests whose answers are to come. One that came too late must not be taken for the next.
        self._unanswered: Deque[int] = deque()
        self._place: Optional[Place] = None
        self._wire = Wire(open_socket(host, port, timeout))

    def __enter__(self) -> "Tumip":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def register(self, width: int = SIDE, height: int = SIDE) -> int:
        """Have a place for pictures of at most that size; the UDP port that they go to.

        Rejected: the server has none, or not for so many pixels.
        """
        pixels = width * height
        if width < 1 or height < 1 or pixels > LARGEST_FIELD:
            raise ClientError(f"no pictures of {width}x{height}: {MOST_PIXELS:,} pixels are the most")
        answer = self._request(REGISTER, pixels)
        if answer.flag == REFUSED:
            why = "has no UDP port free" if pixels <= MOST_PIXELS else f"takes {MOST_PIXELS:,} pixels at most"
            raise Rejected(
                f"the server rejects user {self.user} with pictures of {width}x{height}: it {why}"
            )
        if answer.field == 0:
            raise self._broken(ProtocolError("the server names no UDP port for pictures"))
        before, self._place = self._place, Place(self._connect_pictures(answer.field), width, height)
        if before is not None:
            before.sock.close()
        return answer.field

    def ask(self, text: str) -> str:
        """What the bot answers. BotFailed: it does not."""
        question = text.encode("utf-8", "replace")
        if len(question) > LARGEST_FIELD:
            raise ClientError(f"a question has at most {LARGEST_FIELD:,} bytes, not {len(question):,}")
        answer = self._request(ASK, len(question), question)
        said = answer.text.decode("utf-8", "replace")
        if answer.flag == REFUSED:
            raise BotFailed(said)
        return said

    def send_picture(self, picture: Picture) -> bytes:
        """Send one picture; the JPEG as it went out.

        A JPEG that is no larger than what is registered goes out untouched. Other files of pictures, and arrays
        of OpenCV's (height × width × 3, BGR, uint8), are made smaller and encoded, which takes OpenCV.
        Datagrams may get lost, and nobody tells. ClientError: this is no picture, or nothing is registered.
        """
        self.check()
        place = self._place
        if place is None:
            self._check_open()
            raise ClientError("register before sending pictures")
        jpeg = fitted(picture, place.width, place.height)
        try:
            place.sock.send(jpeg)
        except ConnectionRefusedError:
            self.check()  # may know more
            raise ConnectionLost("connection lost: the server takes no pictures any more") from None
        except OSError as error:
            self._check_open()
            if error.errno != errno.ENOBUFS:  # too fast for this system: as if it was lost on its way
                raise ClientError(f"cannot send pictures: {error.strerror or error}") from None
        return jpeg

    def check(self) -> None:
        """Notice without waiting that the server has closed the connection: ConnectionLost."""
        if not self._talking.acquire(blocking=False):
            return  # whoever waits for an answer notices
        try:
            self._check_open()
            self._wire.fill_within(0)
            if len(self._wire.buffer) > len(self._unanswered) * LARGEST_ANSWER:
                raise ProtocolError("the server says something that nobody asked for")
        except (ConnectionLost, ProtocolError) as error:
            raise self._broken(error) from None
        finally:
            self._talking.release()

    def close(self) -> None:
        """End the connection. The server takes pictures for about another second: none of the last is missed."""
        self._closed = True
        self._wire.hang_up()  # wakes who waits for an answer
        with self._talking:
            self._wire.close()
        place, self._place = self._place, None
        if place is not None:
            place.sock.close()

    # requests

    def _request(self, request: int, field: int, text: bytes = b"") -> Answer:
        with self._talking:
            self._check_open()
            try:
                self._wire.set_timeout(self.timeout)
                self._unanswered.append(request)
                self._wire.send(self._marker + HEADER.pack(self.user, request, FINE, field) + text)
                while True:
                    answer = self._read_answer(self._unanswered[0])
                    self._unanswered.popleft()
                    if not self._unanswered:
                        return answer
            except WaitTimeout:
                raise WaitTimeout(f"no answer within {self.timeout:g} s") from None
            except (ConnectionLost, ProtocolError) as error:
                raise self._broken(error) from None

    def _read_answer(self, asked: int) -> Answer:
        # Nothing is taken before all of it is here: what a time-out leaves is whole.
        length = len(self._marker) + HEADER.size
        header = self._wire.peek(length)
        if not header.startswith(self._marker):
            raise ProtocolError("the server answers in another form, or this is no tumip server")
        user, request, flag, field = HEADER.unpack(header[len(self._marker) :])
        if user != self.user:
            raise ProtocolError(f"the server answers user {user} and not {self.user}, or this is no tumip server")
        if request != asked:
            raise ProtocolError(f"the server answers request {request} and not {asked}")
        if flag not in (FINE, REFUSED):
            raise ProtocolError(f"the server answers with the unknown flag {flag:02x}")
        message = self._wire.exact(length + (field if request == ASK else 0))
        return Answer(flag, field, message[length:])

    def _check_open(self) -> None:
        if self._closed:
            raise ClientError("this session has ended")
        if self._failure is not None:
            # a fresh one: the same exception raised twice would collect both tracebacks
            raise type(self._failure)(str(self._failure))

    def _broken(self, error: ClientError) -> ClientError:
        """Nothing that comes after this error can be understood."""
        if self._closed:
            return ClientError("this session has ended")
        self._failure = error
        return error

    # pictures

    def _connect_pictures(self, port: int) -> socket.socket:
        """From the address of the connection, which the server insists on, to the one that it reached."""
        sock = socket.socket(self._wire.sock.family, socket.SOCK_DGRAM)
        try:
            ours, theirs = self._wire.sock.getsockname(), self._wire.sock.getpeername()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            sock.bind((ours[0], 0, *ours[2:]))
            sock.connect((theirs[0], port, *theirs[2:]))
        except OSError as error:
            sock.close()
            raise ClientError(f"cannot send pictures to UDP port {port}: {error.strerror or error}") from None
        return sock


def main() -> int:
    from . import tumip_console

    return tumip_console.main()


if __name__ == "__main__":
    raise SystemExit(main())
