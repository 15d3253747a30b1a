"""What the protocols need, without anything to install: errors, addresses, exact reads, JPEG sizes, cut texts."""

from __future__ import annotations

import json
import selectors
import socket
import struct
from typing import Any, List, Optional, Tuple

# No list of users or single frame is near this. A length above it means that the stream is out of step.
LARGEST_BODY = 64 * 1024 * 1024


class ClientError(Exception):
    """Anything that a caller may want to show in one line. `exit_code` is what the commands end with."""

    exit_code = 1


class ServerError(ClientError):
    """The server refused what it was asked for; the connection goes on."""


class WaitTimeout(ClientError):
    """What was waited for did not come in time."""


class Unreachable(ClientError):
    """No connection could be made."""

    exit_code = 3


class ConnectionLost(ClientError):
    """The connection ended, though nobody here ended it."""

    exit_code = 4


class ConnectionClosed(ConnectionLost):
    """The other side ended the connection in order: nothing that it sent is missing."""


class ProtocolError(ClientError):
    """The other side speaks something else."""

    exit_code = 5


def parse_address(text: str, default_port: int) -> Tuple[str, int]:
    """`HOST`, `HOST:PORT`, `[IPv6]` or `[IPv6]:PORT`; a bare IPv6 address is a host."""
    host, port = text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"not an address: {text}")
        port = rest[1:]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not host:
        raise ValueError(f"not an address: {text}")
    if not port:
        return host, default_port
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"not a port: {port}")
    return host, int(port)


def open_socket(host: str, port: int, timeout: float) -> socket.socket:
    where = f"{host}:{port}"
    try:
        sock = socket.create_connection((host, port), timeout)
    except socket.timeout:
        raise Unreachable(f"no answer from {where} within {timeout:g} s") from None
    except OSError as error:
        raise unreachable(error, host, port) from None
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def unreachable(error: OSError, host: str, port: int) -> Unreachable:
    """What to tell about a connection that could not be made."""
    if isinstance(error, ConnectionRefusedError):
        return Unreachable(f"connection refused: nothing listens at {host}:{port}")
    if isinstance(error, socket.gaierror):
        return Unreachable(f"unknown host: {host}")
    return Unreachable(f"cannot connect to {host}:{port}: {error.strerror or error}")


class Wire:
    """A socket with a buffer in front of it, so that a read takes exactly what a message needs.

    Reading is for one thread. Sending is independent of it and is locked by the caller.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = bytearray()

    def set_timeout(self, seconds: Optional[float]) -> None:
        self.sock.settimeout(seconds)

    def fill(self) -> None:
        """Read more into the buffer; wait for it."""
        try:
            data = self.sock.recv(65536)
        except socket.timeout:
            raise WaitTimeout("the server does not answer") from None
        except OSError as error:
            raise ConnectionLost(f"connection lost: {error.strerror or error}") from None
        if not data:
            raise ConnectionClosed("connection lost: the server closed it")
        self.buffer += data

    def fill_within(self, seconds: Optional[float]) -> bool:
        """Read more into the buffer if something comes in that time (None: at any); say whether it did."""
        with selectors.DefaultSelector() as readable:
            readable.register(self.sock, selectors.EVENT_READ)
            if not readable.select(seconds):
                return False
        self.fill()
        return True

    def peek(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self.fill()
        return bytes(self.buffer[:count])

    def exact(self, count: int) -> bytes:
        if count > LARGEST_BODY:
            raise ProtocolError(f"the server announced {count} bytes at once")
        data = self.peek(count)
        del self.buffer[:count]
        return data

    def skip_line_end(self) -> None:
        """Drop line ends in front. A PEM text may or may not end with one, which nothing announces."""
        while self.peek(1) in (b"\r", b"\n"):
            del self.buffer[:1]

    def u32(self) -> int:
        return int(struct.unpack(">I", self.exact(4))[0])

    def u64(self) -> int:
        return int(struct.unpack(">Q", self.exact(8))[0])

    def pem(self) -> str:
        """One PEM text, up to the last dash of its `END` line."""
        while True:
            end = self.buffer.find(b"-----END ")
            close = self.buffer.find(b"-----", end + 9) if end >= 0 else -1
            if close >= 0:
                return self.exact(close + 5).decode("ascii", "replace")
            if len(self.buffer) > 65536:
                raise ProtocolError("no end of the server's public key")
            self.fill()

    def json(self) -> Any:
        """One JSON object or array without a length: it ends where its syntax ends."""
        opening = self.peek(1)
        if opening not in (b"{", b"["):
            raise ProtocolError(f"no JSON where it has to be: {opening!r}")
        closing = b"}" if opening == b"{" else b"]"
        looked_at = 0
        while True:
            # Parsing starts over each time, so it waits until a possible end has come.
            if closing in self.buffer[looked_at:]:
                # What follows may be cipher text, and a character may be cut. `surrogateescape` lets any
                # byte pass and gives the same bytes back, so that the end can be counted in bytes.
                text = self.buffer.decode("utf-8", "surrogateescape")
                try:
                    value, end = json.JSONDecoder().raw_decode(text)
                except json.JSONDecodeError:
                    pass
                else:
                    del self.buffer[: len(text[:end].encode("utf-8", "surrogateescape"))]
                    return value
            looked_at = len(self.buffer)
            if looked_at > LARGEST_BODY:
                raise ProtocolError("a JSON text without end")
            self.fill()

    def send(self, data: bytes) -> None:
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise ConnectionLost(f"connection lost: {error.strerror or error}") from None

    def finish_sending(self) -> None:
        """Tell the other side that nothing more comes from here."""
        self._shut_down(socket.SHUT_WR)

    def hang_up(self) -> None:
        """End the connection; wakes the thread that reads. `close` follows when that has ended."""
        self._shut_down(socket.SHUT_RDWR)

    def _shut_down(self, how: int) -> None:
        try:
            self.sock.shutdown(how)
        except OSError:
            pass  # the other side was first

    def close(self) -> None:
        self.sock.close()


def split_text(text: str, limit: int) -> List[str]:
    """Cut a text into parts of at most `limit` bytes of UTF-8, never inside a character."""
    if limit < 4:
        raise ValueError("no room for a character")
    parts: List[str] = []
    rest = text.encode("utf-8")
    while len(rest) > limit:
        end = limit
        while rest[end] & 0xC0 == 0x80:  # a continuation byte: the character began before
            end -= 1
        parts.append(rest[:end].decode("utf-8"))
        rest = rest[end:]
    parts.append(rest.decode("utf-8"))
    return parts


def jpeg_size(data: bytes) -> Optional[Tuple[int, int]]:
    """(width, height) from the frame header of a JPEG, or None where there is none."""
    if data[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:  # these have no body
            at += 2
            continue
        # C0 to CF begin a frame, except three that are tables: C4 Huffman, C8 reserved, CC arithmetic
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if at + 9 > len(data):
                return None
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        if marker in (0xD9, 0xDA):  # the end, or the picture itself: too late for a header
            return None
        at += 2 + int(struct.unpack(">H", data[at + 2 : at + 4])[0])
    return None
