"""Small servers for the plain services, in this process. What they were sent is kept for the test to look at."""

from __future__ import annotations

import pickle
import socket
import struct
import threading
from typing import Any, List, Optional

from fake_house import Server, read_exactly
from support import PATIENCE

WELCOME = b"Welcome to this chatroom!"
LENGTH = struct.Struct("<Q")


def reset(sock: socket.socket) -> None:
    """End the connection as a server does that has no more of what it has promised."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class FakeLanFile(Server):
    """Sends the pieces; afterwards it closes, or breaks off when `breaks_off` is set, which is waited for."""

    def __init__(self, *pieces: bytes, breaks_off: Optional[threading.Event] = None) -> None:
        self.pieces = pieces
        self.breaks_off = breaks_off
        super().__init__()

    def serve(self, sock: socket.socket) -> None:
        for piece in self.pieces:
            sock.sendall(piece)
        if self.breaks_off is not None:
            self.breaks_off.wait(PATIENCE)
            reset(sock)


class FakeLanChat(Server):
    """Everybody's lines go to all others; a test may say things, too, in any pieces."""

    def __init__(self) -> None:
        self.here: List[socket.socket] = []
        self.said: List[bytes] = []  # what came, in lines
        self._lock = threading.Lock()
        super().__init__()

    def serve(self, sock: socket.socket) -> None:
        with self._lock:  # whoever has the welcome hears what comes next
            self.here.append(sock)
            sock.sendall(WELCOME)
        try:
            rest = b""
            while True:
                data = sock.recv(65_536)
                if not data:
                    return
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self.said.append(line)
                    self.tell(b"<127.0.0.1> " + line + b"\n", but=sock)
        finally:
            with self._lock:
                self.here.remove(sock)

    def tell(self, data: bytes, but: Optional[socket.socket] = None) -> None:
        with self._lock:
            for sock in self.here:
                if sock is not but:
                    sock.sendall(data)


class FakeLanAudio(Server):
    """Sends these pieces at once, and then stays, or closes."""

    def __init__(self, *pieces: bytes, stays: bool = True) -> None:
        self.pieces = pieces
        self.stays = stays
        super().__init__()

    def serve(self, sock: socket.socket) -> None:
        for piece in self.pieces:
            sock.sendall(piece)
        if self.stays:
            sock.recv(1)  # nothing but its end


class FakeLanVideo(Server):
    """Takes frames; closes at one that is larger than `largest`."""

    def __init__(self, largest: int = 1 << 25) -> None:
        self.largest = largest
        self.pickles: List[bytes] = []
        super().__init__()

    def serve(self, sock: socket.socket) -> None:
        while True:
            (length,) = LENGTH.unpack(read_exactly(sock, LENGTH.size))
            if not 0 < length <= self.largest:
                return
            self.pickles.append(read_exactly(sock, length))

    @property
    def frames(self) -> List[Any]:
        """The arrays."""
        return [pickle.loads(data) for data in list(self.pickles)]  # which came from this test
