"""A small tumip server in this process. What it was sent is kept for the test to look at."""

from __future__ import annotations

import select
import socket
import struct
from typing import Callable, Dict, List, Optional, Tuple

from fake_house import Server, read_exactly

REGISTER, ASK = 1, 3
FINE, REFUSED = 0x00, 0x10


def pack(marker: bytes, user: int, request: int, flag: int, field: int, text: bytes = b"") -> bytes:
    return marker + struct.pack(">IBBH", user, request, flag, field) + text


def read_request(sock: socket.socket, marker: Optional[bytes] = None) -> Tuple[bytes, int, int, int, bytes]:
    """(marker, user, request, field, text); without a marker given, the form is found out."""
    header = read_exactly(sock, 8 + len(marker or b""))
    if marker is None:
        # Bare, this is the flag, which requests don't set; marked, it is the request.
        marker = b"\x01" if header[0] == 1 and header[5] != 0 else b""
        header += read_exactly(sock, len(marker))
    assert header.startswith(marker), header
    user, request, flag, field = struct.unpack(">IBBH", header[len(marker) :])
    assert flag == FINE, flag
    return marker, user, request, field, read_exactly(sock, field) if request == ASK else b""


def free_udp_port() -> int:
    """One at which nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


class FakeTumipHouse(Server):
    def __init__(self) -> None:
        self.rejects = False
        # (flag, text) for a question; called on the thread of the connection
        self.answer: Callable[[str], Tuple[int, str]] = lambda text: (FINE, f"you said {text}")
        self.forms: Dict[int, bytes] = {}  # user → the marker of its headers
        self.asked: List[str] = []
        self.pictures: Dict[int, List[bytes]] = {}  # user → what came
        self.connections: Dict[int, socket.socket] = {}
        self._places: Dict[int, socket.socket] = {}  # user → where pictures come
        super().__init__()

    def serve(self, sock: socket.socket) -> None:
        marker: Optional[bytes] = None
        place: Optional[socket.socket] = None
        user = 0
        try:
            while True:
                readable, _, _ = select.select([each for each in (sock, place) if each is not None], [], [])
                if place in readable:
                    self.take(user)
                if sock not in readable:
                    continue
                marker, user, request, field, text = read_request(sock, marker)
                self.forms[user], self.connections[user] = marker, sock
                if request == ASK:
                    self.asked.append(text.decode())
                    flag, said = self.answer(text.decode())
                    sock.sendall(pack(marker, user, ASK, flag, len(said.encode()), said.encode()))
                elif request != REGISTER or self.rejects or not 0 < field <= 52_900:
                    sock.sendall(pack(marker, user, request, REFUSED, 0))
                else:
                    if place is not None:
                        place.close()
                    place = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    place.bind(("127.0.0.1", 0))
                    place.setblocking(False)
                    self._places[user] = place
                    sock.sendall(pack(marker, user, REGISTER, FINE, place.getsockname()[1]))
        finally:
            if place is not None:
                self.take(user)
                place.close()

    def take(self, user: int) -> int:
        """Receive what has come; how many pictures there are now. For the thread of the connection."""
        pictures = self.pictures.setdefault(user, [])
        while True:
            try:
                pictures.append(self._places[user].recv(65_536))
            except BlockingIOError:
                return len(pictures)
