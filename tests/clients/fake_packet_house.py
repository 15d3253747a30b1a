"""A small packetchat server in this process, behind a bad link if the test wants one.

It does what the protocol says and keeps what it was sent for the test to look at. The link drops, repeats and
delays (so that packets overtake each other) in both directions, as a random generator with a fixed seed says.
"""

from __future__ import annotations

import heapq
import itertools
import random
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from support import PATIENCE

from playhouse_clients import packets
from playhouse_clients.packets import CHUNK

FIRST_REPEAT = 0.125  # seconds until an incoming message is sent again; doubles
REPEATS = 5
DELAY = 0.02  # seconds, at most


@dataclass
class Link:
    """Probabilities."""

    drop: float = 0.0
    repeat: float = 0.0
    delay: float = 0.0


@dataclass
class Shared:
    """A file; while it is uploaded, which chunks are there."""

    name: str
    data: bytearray
    chunks: Set[int] = field(default_factory=set)
    whole: bool = False


@dataclass
class Sent:
    """A message of somebody's: to whom, and how to answer when they have it."""

    acknowledged: bool
    answer: bytes
    sender: Any


class FakePacketHouse:
    def __init__(self, link: Optional[Link] = None, seed: int = 1, numbering: str = packets.CLIENT) -> None:
        self.link = link or Link()
        self.numbering = numbering
        self.received: List[bytes] = []  # as the link let them through
        self.users: Dict[int, str] = {}
        self.files: Dict[int, Shared] = {}
        # says which requests get no answer, by the name of the packet and its values
        self.ignores: Callable[[str, Tuple[Any, ...]], bool] = lambda name, values: False
        self.sync_delay = 0.0  # seconds until a whole file is acknowledged
        self.chunks_left: Optional[int] = None  # the server dies after so many more
        self.stopped = threading.Event()
        self.failures: List[BaseException] = []
        self._random = random.Random(seed)
        self._numbers = random.Random(seed)
        self._sessions: Dict[int, int] = {}  # session → user
        self._addresses: Dict[int, Any] = {}  # user → where it is
        self._registered: Dict[Tuple[Any, bytes], Tuple[int, int]] = {}
        self._transactions: Dict[int, int] = {}  # → file
        self._sent: Dict[Tuple[int, int], Sent] = {}  # by session and the sender's message number
        self._incoming: Dict[int, Tuple[int, int]] = {}  # our message number → the above
        self._later: List[Tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._thread: Optional[threading.Thread] = None
        self._sock: socket.socket
        self.port = 0
        self.start()
        self.address = f"127.0.0.1:{self.port}"

    def __enter__(self) -> "FakePacketHouse":
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        self.stop()
        if kind is None and self.failures:
            raise AssertionError(f"in the fake server: {self.failures!r}") from self.failures[0]

    def start(self) -> None:
        """Also again, with all that it knew, at the same port."""
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        self._sock.bind(("127.0.0.1", self.port))
        self.port = self._sock.getsockname()[1]
        self.stopped.clear()
        self._stop = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop = True
        assert self._thread is not None
        self._thread.join(PATIENCE)

    def number(self) -> int:
        return self._numbers.getrandbits(63)

    def add_file(self, name: str, data: bytes) -> int:
        number = self.number()
        self.files[number] = Shared(name, bytearray(data), whole=True)
        return number

    def add_user(self, name: str) -> int:
        """Somebody who is listed and never answers."""
        number = self.number()
        self.users[number] = name
        return number

    def sent_by_clients(self, *names: str) -> List[Tuple[Any, ...]]:
        """What came so far, decoded, of these packets."""
        decoded = [packets.decode(packet, self.numbering, from_server=False) for packet in list(self.received)]
        return [(name, *values) for name, values in decoded if name in names]

    def say(self, to: int, packet: bytes) -> None:
        """Send anything to a user, past the link."""
        self._sock.sendto(packet, self._addresses[to])

    def _run(self) -> None:
        try:
            while not self._stop:
                now = time.monotonic()
                while self._later and self._later[0][0] <= now:
                    heapq.heappop(self._later)[2]()
                until = self._later[0][0] if self._later else now + 1
                self._sock.settimeout(min(max(until - now, 1e-4), 0.02))
                try:
                    packet, address = self._sock.recvfrom(65536)
                except socket.timeout:
                    continue
                self._through_link(lambda packet=packet, address=address: self._came(packet, address))
        except BaseException as failure:
            self.failures.append(failure)
        finally:
            self._sock.close()
            self.stopped.set()

    def _in(self, seconds: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._order), do))

    def _through_link(self, do: Callable[[], None]) -> None:
        if self._random.random() < self.link.drop:
            return
        for _ in range(2 if self._random.random() < self.link.repeat else 1):
            if self._random.random() < self.link.delay:
                self._in(self._random.random() * DELAY, do)
            else:
                do()

    def _answer(self, address: Any, name: str, *values: Any) -> None:
        self._send(address, packets.encode(name, self.numbering, *values))

    def _send(self, address: Any, packet: bytes) -> None:
        def send() -> None:
            try:
                self._sock.sendto(packet, address)
            except ConnectionError:
                pass  # a client has gone

        self._through_link(send)

    def _came(self, packet: bytes, address: Any) -> None:
        if self._stop:
            return
        self.received.append(packet)
        name, values = packets.decode(packet, self.numbering, from_server=False)
        if self.ignores(name, values):
            return
        if name == packets.SESSION_REQUEST:
            self._answer(address, packets.SESSION_COOKIE, *self._register(address, values[0]))
        elif name == packets.RECEIVED:
            self._acknowledged(values[0])
        elif name in (packets.DOWNLOAD_CHUNK_REQUEST, packets.UPLOAD_CHUNK_REQUEST):
            self._chunk(address, name, *values)
        elif values[0] in self._sessions:
            self._addresses[self._sessions[values[0]]] = address
            self._request(address, name, *values)

    def _register(self, address: Any, wanted: bytes) -> Tuple[int, int]:
        if (address, wanted) not in self._registered:
            name, count = wanted.decode(), 1
            while name in self.users.values():
                count += 1
                name = f"{wanted.decode()}-{count}"
            user, session = self.number(), self.number()
            self.users[user] = name
            self._sessions[session], self._addresses[user] = user, address
            self._registered[address, wanted] = user, session
        return self._registered[address, wanted]

    def _request(self, address: Any, name: str, session: int, *values: Any) -> None:
        own = self._sessions[session]
        if name == packets.SESSION_PRESERVE:
            self._answer(address, packets.SESSION_COOKIE, own, session)
        elif name == packets.USERS_REQUEST:
            self._answer(address, packets.USERS, list(self.users))
        elif name == packets.USER_DATA_REQUEST and values[0] in self.users:
            self._answer(address, packets.USER_DATA, values[0], self.users[values[0]].encode())
        elif name == packets.MESSAGE_REQUEST:
            to, message, text = values
            answer = packets.encode(packets.MESSAGE, self.numbering, message)
            self._message((session, message), Sent(False, answer, address), [to], own, text)
        elif name == packets.BROADCAST_REQUEST:
            message, text = values
            answer = packets.encode(packets.BROADCAST, self.numbering, message)
            others = [user for user in self._addresses if user != own]
            self._message((session, message), Sent(True, answer, address), others, own, text)
        elif name == packets.FILES_REQUEST:
            self._answer(address, packets.FILES, [number for number, file in self.files.items() if file.whole])
        elif name == packets.FILE_DATA_REQUEST and values[0] in self.files:
            file = self.files[values[0]]
            if file.whole:
                label = file.name.encode("utf-8", "surrogateescape")
                self._answer(address, packets.FILE_DATA, values[0], len(file.data), label)
        elif name == packets.DOWNLOAD_REQUEST and values[0] in self.files:
            transaction = self.number()
            self._transactions[transaction] = values[0]
            self._answer(address, packets.DOWNLOAD, values[0], transaction)
        elif name == packets.UPLOAD_REQUEST:
            size, label = values
            number, transaction = self.number(), self.number()
            self.files[number] = Shared(label.decode(), bytearray(size), whole=size == 0)
            self._transactions[transaction] = number
            self._answer(address, packets.UPLOAD, number, transaction)

    def _message(self, key: Tuple[int, int], sent: Sent, to: List[int], sender: int, text: bytes) -> None:
        if key not in self._sent:
            self._sent[key] = sent
            for user in to:
                if user in self._addresses:
                    number = self.number()
                    self._incoming[number] = key
                    packet = packets.encode(packets.INCOMING, self.numbering, sender, number, text)
                    self._deliver(user, number, packet, 0)
        if self._sent[key].acknowledged:
            self._send(sent.sender, sent.answer)

    def _deliver(self, user: int, number: int, packet: bytes, repeats: int) -> None:
        if number in self._incoming and repeats <= REPEATS:
            self._send(self._addresses[user], packet)
            self._in(FIRST_REPEAT * 2**repeats, lambda: self._deliver(user, number, packet, repeats + 1))

    def _acknowledged(self, number: int) -> None:
        key = self._incoming.pop(number, None)
        if key is not None and not self._sent[key].acknowledged:
            self._sent[key].acknowledged = True
            self._send(self._sent[key].sender, self._sent[key].answer)

    def _chunk(self, address: Any, name: str, transaction: int, chunk: int, *data: bytes) -> None:
        if self.chunks_left is not None:
            if self.chunks_left == 0:
                self.chunks_left = None
                self._stop = True
                return
            self.chunks_left -= 1
        file = self.files[self._transactions[transaction]]
        at = chunk * CHUNK
        if name == packets.DOWNLOAD_CHUNK_REQUEST:
            self._answer(address, packets.DOWNLOAD_CHUNK, transaction, chunk, bytes(file.data[at : at + CHUNK]))
            return
        expected = max(min(CHUNK, len(file.data) - at), 0)
        assert len(data[0]) == expected, (chunk, len(data[0]), expected)
        file.data[at : at + expected] = data[0]
        file.chunks.add(chunk)
        needed = -(-len(file.data) // CHUNK)
        whole = len(file.chunks & set(range(needed))) == needed if len(file.chunks) >= needed else False

        def acknowledge() -> None:
            file.whole = file.whole or whole
            self._answer(address, packets.UPLOAD_CHUNK, transaction, chunk)

        if whole and not file.whole and self.sync_delay:
            self._in(self.sync_delay, acknowledge)
        else:
            acknowledge()
