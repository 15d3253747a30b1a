"""The chatroom client: encrypted messages, then videos, then messages again, one thing at a time.

The server sends its key, takes our name and our key, and sends the list of users (`URIF`) whenever it
changes. We name a service: `[CHAT]`, from where each message is `CHAT` and one block of RSA (PKCS#1 v1.5,
encrypted for its recipient, passed to everybody); or `[STREAM]`, a list of videos and one of them. `QUIT`
leads from the chat back to the choice.

Three things that the protocol leaves open, and what is done here:

- It does not say who sent a message. This client begins each text with its name and `: `, and takes such a
  beginning, with the name of somebody who is here, as the sender. Older clients show it as part of the text.
- A `CHAT` has no length: see `Chatroom._read_block`.
- Messages that we send have no length either, so they keep `SEND_GAP` apart for servers that read what comes.
"""

from __future__ import annotations

import json
import time
import unicodedata
from contextlib import contextmanager
from typing import Any, Callable, Iterator, List, Optional, Set, Tuple

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from .frames import Frame, Summary
from .keys import same_key
from .people import Event
from .session import Session
from .wire import ClientError, ProtocolError, ServerError, Wire, open_socket, split_text

DEFAULT_PORT = 1234
DEFAULT_BITS = 1024  # what the clients of this protocol use; longer keys also make longer lists of users
PKCS1_OVERHEAD = 11  # of 128 bytes 117 are left for text

SEND_GAP = 0.03  # seconds between two messages that have no length
QUIET = 0.015  # a silence after which a message has ended; servers leave 0.03 s after each

HEADERS = (b"URIF", b"CHAT", b"STLI", b"STRM")

# `[STREAM]` cannot be taken back: the server waits for the name of a video. A name that no file can have is
# answered with no frames, and we are back.
NO_VIDEO = "/"


class Chatroom(Session):
    """A user in the chatroom. `connect` returns when the server has registered us."""

    @classmethod
    def connect(
        cls,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        name: str = "guest",
        *,
        bits: int = DEFAULT_BITS,
        on_event: Optional[Callable[[Event], None]] = None,
        timeout: float = 10.0,
    ) -> "Chatroom":
        private_key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        wire = Wire(open_socket(host, port, timeout))
        session = cls(wire, name, on_event)
        session._private_key = private_key
        session._own_pem = (
            private_key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1)
            .decode("ascii")
        )
        session._block_sizes = {session._own_block_size}
        try:
            if wire.peek(10) != b"-----BEGIN":
                raise ProtocolError("this is no chatroom server: it does not begin with a public key")
            wire.pem()  # nothing is ever encrypted for the server
            session._send_alone(name.encode("utf-8"))
            wire.skip_line_end()
            if wire.exact(2) != b"OK":
                raise ProtocolError("this is no chatroom server: it did not accept the name")
            session._send_alone(session._own_pem.encode("ascii"))
        except BaseException:
            wire.close()
            raise
        session._start()
        return session

    _private_key: rsa.RSAPrivateKey
    _block_sizes: Set[int]  # of everybody we have seen: a message may arrive after its recipient has left
    _list: Optional[List[str]] = None
    _last_sent = 0.0
    _in_chat = False
    _in_stream = False

    def __init__(self, wire: Wire, name: str, on_event: Optional[Callable[[Event], None]]) -> None:
        super().__init__(wire, name, on_event)
        self._kept: List[bytes] = []  # messages that we could not send during a video

    def videos(self, timeout: float = 30.0) -> List[str]:
        """The names of the videos."""
        with self._out_of_chat():
            names = self._ask_for_list(timeout)
            viewing = self._view()
            try:
                self._send_alone(NO_VIDEO.encode("utf-8"))
                self._wait(lambda: viewing.started, timeout, "the server did not return from the list")
            finally:
                self._stop_viewing()
            return names

    def watch(
        self, choice: str, on_frame: Optional[Callable[[Frame], None]] = None, timeout: float = 30.0
    ) -> Summary:
        """See `Session.watch`. The server says how many frames come. What is sent meanwhile goes out after."""
        with self._out_of_chat():
            self._ask_for_list(timeout)
            viewing = self._view()
            try:
                self._send_alone(choice.encode("utf-8") or NO_VIDEO.encode("utf-8"))
                self._wait(lambda: viewing.started, timeout, "the video did not begin")
                if viewing.total == 0:
                    raise ServerError(f"no such video: {choice}")
                return self._play(viewing, on_frame, timeout)
            finally:
                self._stop_viewing()

    @contextmanager
    def _out_of_chat(self) -> Iterator[None]:
        """Leave the chat for a question about videos; what others send meanwhile is kept and follows."""
        with self._question:
            with self._sending:
                self._in_stream = True
                if self._in_chat:
                    self._send_alone(b"QUIT")
                    self._in_chat = False
            try:
                yield
            except ServerError:  # a complete answer, though not the one hoped for
                self._return_to_chat()
                raise
            # After any other failure nobody knows what the server waits for: the session can only be left.
            self._return_to_chat()

    def _return_to_chat(self) -> None:
        with self._sending:
            self._in_stream = False
            kept, self._kept = self._kept, []
            for block in kept:
                self._send_block(block)

    def _ask_for_list(self, timeout: float) -> List[str]:
        self._list = None
        self._send_alone(b"[STREAM]")
        self._wait(lambda: self._list is not None, timeout, "no list of videos came")
        return list(self._list or [])

    def _receive_one(self) -> None:
        self._wire.skip_line_end()
        header = self._wire.exact(4)
        if header == b"URIF":
            self._update_users(self._wire.json())
            self._block_sizes.update(
                (key.key_size + 7) // 8 for key in map(self._key, self.users.values()) if key is not None
            )
        elif header == b"CHAT":
            block = self._read_block()
            text = decrypt(self._private_key, block)
            if text:
                sender, text = self._split_sender(text)
                self._message_arrived(sender, text)
        elif header == b"STLI":
            self._read_list()
        elif header == b"STRM":
            total = self._wire.u32()
            self._stream_started(total)
            for _ in range(total):
                self._frame_arrived(self._wire.exact(self._wire.u64()))
            self._stream_finished()
        else:
            raise ProtocolError(f"the server sent something unknown: {header!r}")

    def _read_list(self) -> None:
        body = self._wire.exact(self._wire.u32())
        try:
            names = [str(name) for name in json.loads(body)]
        except (TypeError, ValueError):
            raise ProtocolError("the server sent a list of videos that is none") from None
        with self._changed:
            self._list = names
            self._changed.notify_all()

    def _read_block(self) -> bytes:
        """The block after `CHAT`, which is as long as the key of its recipient, whoever that is.

        While all users have keys of one size, there is no question. Otherwise a size fits if the next
        header follows the block, or nothing for a while: servers leave a gap after each message. Our own
        size is tried first, then the others. A block that is of our size and decrypts is certain.
        """
        sizes = [self._own_block_size]
        sizes += sorted(self._block_sizes - {self._own_block_size})
        if len(sizes) == 1:
            return self._wire.exact(sizes[0])
        while len(self._wire.buffer) < max(sizes) + 4 and self._wire.fill_within(QUIET):
            pass
        received = bytes(self._wire.buffer)
        if decrypt(self._private_key, received[: sizes[0]]) is not None:
            return self._wire.exact(sizes[0])
        for size in sizes:
            if len(received) == size or received[size : size + 4] in HEADERS:
                return self._wire.exact(size)
        # A key that we don't know. Nothing in there is for us, so all that matters is where it ends.
        ends = [at for at in (received.find(header) for header in HEADERS) if at >= 0]
        return self._wire.exact(min(ends, default=len(received)))

    def _split_sender(self, text: str) -> Tuple[str, str]:
        """Take the sender off a text that begins with the name of somebody here."""
        senders = [name for name in self.users if text.startswith(name + ": ")]
        if not senders:
            return "", text
        sender = max(senders, key=len)
        return sender, text[len(sender) + 2 :]

    def _send_parts(self, to: str, key: rsa.RSAPublicKey, text: str) -> int:
        beginning = self.name + ": "
        room = (key.key_size + 7) // 8 - PKCS1_OVERHEAD - len(beginning.encode("utf-8"))
        if room < 16:
            raise ClientError("your name leaves no room for a text")
        parts = split_text(text, room)
        for part in parts:
            self._send_block(key.encrypt((beginning + part).encode("utf-8"), padding.PKCS1v15()))
        return len(parts)

    def _send_block(self, block: bytes) -> None:
        with self._sending:
            if self._in_stream:
                self._kept.append(block)
                return
            if not self._in_chat:
                self._send_alone(b"[CHAT]")
                self._in_chat = True
            self._send_alone(b"CHAT" + block)

    def _send_alone(self, data: bytes) -> None:
        with self._sending:
            gap = self._last_sent + SEND_GAP - time.monotonic()
            if gap > 0:
                time.sleep(gap)
            self._wire.send(data)
            self._last_sent = time.monotonic()

    def _say_goodbye(self) -> None:
        with self._sending:
            if not self._in_stream:
                if self._in_chat:
                    self._send_alone(b"QUIT")
                self._send_alone(b"[DISCONNECT]")
        # In the middle of a video there is no word for leaving; the end of what we send has to do.
        self._wire.finish_sending()

    @property
    def _own_block_size(self) -> int:
        return (self._private_key.key_size + 7) // 8

    def _is_own_key(self, pem: str) -> bool:
        return same_key(pem, self._own_pem)


def decrypt(private_key: rsa.RSAPrivateKey, block: bytes) -> Optional[str]:
    """The text of a PKCS#1 v1.5 block if it was encrypted for this key, else None.

    Every user gets every message, so "not for us" is the usual case and has to be recognised. Libraries
    answer it with random bytes instead of an error, on purpose: telling the two apart lets an attacker who
    can ask often enough decrypt messages (Bleichenbacher 1998). Here the format leaves no choice, so the
    padding is looked at directly: 00 02, at least eight bytes that are not 00, 00, the text. A foreign block
    passes once in 65,536 at best, and then it still has to be text.
    """
    numbers = private_key.private_numbers()
    modulus = numbers.public_numbers.n
    size = (modulus.bit_length() + 7) // 8
    value = int.from_bytes(block, "big")
    if len(block) != size or value >= modulus:
        return None
    plain = pow(value, numbers.d, modulus).to_bytes(size, "big")
    end = plain.find(b"\x00", 2)
    if plain[:2] != b"\x00\x02" or end < 10:
        return None
    try:
        text = plain[end + 1 :].decode("utf-8")
    except UnicodeDecodeError:
        return None
    if any(unicodedata.category(letter) == "Cc" and letter not in "\n\r\t" for letter in text):
        return None
    return text


def main() -> int:
    from . import console
    from .watching import VideoConsole

    def add_options(parser: Any) -> None:
        parser.add_argument(
            "--bits",
            type=int,
            choices=(1024, 2048, 3072, 4096),
            default=DEFAULT_BITS,
            help="size of our key (default %(default)s)",
        )

    def connect(options: Any, host: str, port: int, name: str, on_event: Callable[[Event], None]) -> Session:
        return Chatroom.connect(host, port, name, bits=options.bits, on_event=on_event, timeout=options.timeout)

    return console.main("chatroom", DEFAULT_PORT, connect, VideoConsole, add_options)


if __name__ == "__main__":
    raise SystemExit(main())
