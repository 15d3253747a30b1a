"""The packets of packetchat: one a datagram, a type (u16) and its fields, all numbers big-endian and unsigned.

There are two numberings of the types: that of the protocol's document, and that of its clients. They differ for
files only. In the document's, download and upload share theirs; there, an answer that opens a transaction looks
the same for both, and is decoded as that to a download.
"""

from __future__ import annotations

import struct
from typing import Any, Dict, List, NamedTuple, Tuple

CLIENT = "client"
DOCUMENT = "document"
NUMBERINGS = (CLIENT, DOCUMENT)

CHUNK = 256  # bytes; the last chunk of a file may be shorter
LARGEST_PACKET = 65507  # bytes: what one datagram carries over IPv4
LONGEST_TEXT = LARGEST_PACKET - 28  # bytes: a message request has 28 in front of its text
LARGEST_FILE = 2**32 - 1  # bytes: the size is a u32

# what a packet may end with
NOTHING = ""
BYTES = "bytes"  # a length (u16) and so many bytes
NUMBERS = "numbers"  # a count (u16) and so many u64

SESSION_REQUEST = "session request"
SESSION_COOKIE = "session cookie"
SESSION_PRESERVE = "session preserve"
USERS_REQUEST = "users request"
USERS = "users response"
USER_DATA_REQUEST = "user data request"
USER_DATA = "user data response"
MESSAGE_REQUEST = "message request"
MESSAGE = "message response"
BROADCAST_REQUEST = "broadcast request"
BROADCAST = "broadcast response"
INCOMING = "incoming message request"
RECEIVED = "incoming message response"
FILES_REQUEST = "files request"
FILES = "files response"
FILE_DATA_REQUEST = "file data request"
FILE_DATA = "file data response"
DOWNLOAD_REQUEST = "file download request"
DOWNLOAD = "file download response"
DOWNLOAD_CHUNK_REQUEST = "download chunk request"
DOWNLOAD_CHUNK = "download chunk response"
UPLOAD_REQUEST = "file upload request"
UPLOAD = "file upload response"
UPLOAD_CHUNK_REQUEST = "upload chunk request"
UPLOAD_CHUNK = "upload chunk response"


class Malformed(ValueError):
    """A datagram that is no packet, or none for this side."""


class Shape(NamedTuple):
    """How a packet looks: its type in both numberings, the format of its fields (Q is u64, I u32), its end."""

    document: int
    client: int
    from_server: bool
    fields: str
    end: str

    def type(self, numbering: str) -> int:
        return self.document if numbering == DOCUMENT else self.client


SHAPES: Dict[str, Shape] = {
    SESSION_REQUEST: Shape(1, 1, False, "", BYTES),  # name
    SESSION_COOKIE: Shape(2, 2, True, "QQ", NOTHING),  # user, session
    SESSION_PRESERVE: Shape(4, 4, False, "Q", NOTHING),  # session
    USERS_REQUEST: Shape(5, 5, False, "Q", NOTHING),  # session
    USERS: Shape(6, 6, True, "", NUMBERS),  # users
    USER_DATA_REQUEST: Shape(7, 7, False, "QQ", NOTHING),  # session, user
    USER_DATA: Shape(8, 8, True, "Q", BYTES),  # user, name
    MESSAGE_REQUEST: Shape(9, 9, False, "QQQ", BYTES),  # session, user, message, text
    MESSAGE: Shape(10, 10, True, "Q", NOTHING),  # message
    BROADCAST_REQUEST: Shape(11, 11, False, "QQ", BYTES),  # session, message, text
    BROADCAST: Shape(12, 12, True, "Q", NOTHING),  # message
    INCOMING: Shape(13, 13, True, "QQ", BYTES),  # sender, message, text
    RECEIVED: Shape(14, 14, False, "Q", NOTHING),  # message
    FILES_REQUEST: Shape(19, 15, False, "Q", NOTHING),  # session
    FILES: Shape(20, 16, True, "", NUMBERS),  # files
    FILE_DATA_REQUEST: Shape(21, 17, False, "QQ", NOTHING),  # session, file
    FILE_DATA: Shape(22, 18, True, "QI", BYTES),  # file, size, name
    DOWNLOAD_REQUEST: Shape(15, 19, False, "QQ", NOTHING),  # session, file
    DOWNLOAD: Shape(16, 20, True, "QQ", NOTHING),  # file, transaction
    DOWNLOAD_CHUNK_REQUEST: Shape(17, 21, False, "QI", NOTHING),  # transaction, chunk
    DOWNLOAD_CHUNK: Shape(18, 22, True, "QI", BYTES),  # transaction, chunk, bytes
    UPLOAD_REQUEST: Shape(15, 23, False, "QI", BYTES),  # session, size, name
    UPLOAD: Shape(16, 24, True, "QQ", NOTHING),  # file, transaction
    UPLOAD_CHUNK_REQUEST: Shape(17, 25, False, "QI", BYTES),  # transaction, chunk, bytes
    UPLOAD_CHUNK: Shape(18, 26, True, "QI", NOTHING),  # transaction, chunk
}


def _by_type() -> Dict[Tuple[str, bool, int], List[str]]:
    found: Dict[Tuple[str, bool, int], List[str]] = {}
    for name, shape in SHAPES.items():
        for numbering in NUMBERINGS:
            found.setdefault((numbering, shape.from_server, shape.type(numbering)), []).append(name)
    return found


_NAMES = _by_type()


def encode(name: str, numbering: str, *values: Any) -> bytes:
    """A packet: the numbers of its fields and, where it has one, its end (bytes, or a list of numbers).

    ValueError: a number or the end does not fit.
    """
    shape = SHAPES[name]
    numbers = values[: len(shape.fields)]
    try:
        packet = struct.pack(f">H{shape.fields}", shape.type(numbering), *numbers)
        if shape.end:
            end = values[len(shape.fields)]
            packet += struct.pack(">H", len(end))
            packet += struct.pack(f">{len(end)}Q", *end) if shape.end == NUMBERS else end
    except struct.error as error:
        raise ValueError(f"{name}: {error}") from None
    if len(packet) > LARGEST_PACKET:
        raise ValueError(f"{name}: {len(packet)} bytes are more than a datagram takes")
    return packet


def decode(packet: bytes, numbering: str, from_server: bool = True) -> Tuple[str, Tuple[Any, ...]]:
    """(name, values) of a packet, the values as for `encode`. Malformed: it is none."""
    kind = int.from_bytes(packet[:2], "big")
    for name in _NAMES.get((numbering, from_server, kind), []):
        shape = SHAPES[name]
        at = 2 + struct.calcsize(f">{shape.fields}")
        if len(packet) < at:
            continue
        numbers = struct.unpack_from(f">{shape.fields}", packet, 2)
        if not shape.end:
            if len(packet) == at:
                return name, numbers
            continue
        count = int.from_bytes(packet[at : at + 2], "big")
        end = packet[at + 2 :]
        if len(packet) < at + 2 or len(end) != count * (8 if shape.end == NUMBERS else 1):
            continue
        return name, (*numbers, list(struct.unpack(f">{count}Q", end)) if shape.end == NUMBERS else end)
    raise Malformed(f"not a packet: {len(packet)} bytes of type {kind}")
