"""A UDP socket to one server, for one thread that receives and any that send."""

from __future__ import annotations

import selectors
import socket
import struct
import sys
from typing import Any, List, Sequence, Tuple

from .wire import unreachable

RECEIVE_BUFFER = 4 * 1024 * 1024  # bytes that the system keeps for us, if it allows as many
AT_ONCE = 256  # packets that `receive` takes before it returns

# Linux cuts one large write into datagrams of equal size ("generic segmentation offload", udp(7)): many times
# cheaper than a call for each. From linux/udp.h, which Python does not name.
UDP_SEGMENT = 103
MOST_SEGMENTS = 64
LARGEST_WRITE = 65000  # bytes


def resolve(host: str, port: int) -> List[Tuple[Any, Any]]:
    """(family, address) of each address of that host, as `Datagrams` takes it. Unreachable: it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise unreachable(error, host, port) from None
    return [(family, address) for family, _, _, _, address in found]


class Datagrams:
    """Datagrams get lost, so sending one that the system refuses is no error: it counts as lost.

    `refusals` counts how often the other side's system has said that nobody listens there.
    """

    def __init__(self, family: int, address: Any) -> None:
        self.refusals = 0
        self._sock = socket.socket(family, socket.SOCK_DGRAM)
        self._segments = sys.platform == "linux"
        self._woken, self._waker = socket.socketpair()
        self._readable = selectors.DefaultSelector()
        try:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            self._sock.setblocking(False)
            self._woken.setblocking(False)
            self._waker.setblocking(False)
            self._readable.register(self._sock, selectors.EVENT_READ)
            self._readable.register(self._woken, selectors.EVENT_READ)
            self._sock.connect(address)
        except OSError as error:
            self.close()
            raise unreachable(error, *address[:2]) from None

    def send(self, packet: bytes) -> None:
        try:
            self._sock.send(packet)
        except ConnectionError:  # of an earlier packet; this one was not sent
            self.refusals += 1
        except OSError:
            pass

    def send_all(self, packets: Sequence[bytes]) -> None:
        """Send packets, in this order; cheap for those of equal size."""
        at = 0
        while at < len(packets):
            size = len(packets[at])
            most = min(MOST_SEGMENTS, max(LARGEST_WRITE // size, 1))
            end = at + 1
            while self._segments and end < len(packets) and end - at < most and len(packets[end]) == size:
                end += 1
            if end - at == 1 or not self._send_segments(packets[at:end], size):
                for packet in packets[at:end]:
                    self.send(packet)
            at = end

    def _send_segments(self, packets: Sequence[bytes], size: int) -> bool:
        """Send packets of one size in one call; whether that was possible."""
        try:
            self._sock.sendmsg(
                [b"".join(packets)], [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", size))]
            )
        except BlockingIOError:
            pass  # no room: lost
        except ConnectionError:
            self.refusals += 1
        except OSError:  # an older system, or a way out of this machine that cannot do it
            self._segments = False
            return False
        return True

    def receive(self, timeout: float) -> List[bytes]:
        """What has come; if nothing has, wait for it at most that many seconds, or until `wake`."""
        ready = self._readable.select(timeout)
        if any(key.fileobj is self._woken for key, _ in ready):
            self._woken.recv(4096)
        packets: List[bytes] = []
        receive, add = self._sock.recv, packets.append
        try:
            for _ in range(AT_ONCE):
                add(receive(65536))
        except BlockingIOError:
            pass
        except ConnectionError:  # told by the other side's system; there may be more behind that
            self.refusals += 1
        except OSError:
            pass
        return packets

    def wake(self) -> None:
        """Make `receive` return."""
        try:
            self._waker.send(b"\0")
        except OSError:
            pass  # it is awake: this is full, or closed

    def close(self) -> None:
        """Only when nobody is in `receive`."""
        self._readable.close()
        for sock in (self._sock, self._woken, self._waker):
            sock.close()
