"""Files in chunks: a window of them under way, what got lost sent again, the rate found by trying.

A `Transfer` lives in the thread that receives: that calls `take` with the packets that have come, and `work`
at the latest when that has asked for it. Others read `done`, wait for `finished`, and set `unwanted`.

The congestion control is that of TCP in short (RFC 5681): the number of chunks under way grows by one for each
that arrives up to a threshold, then by one a round trip, up to the window; a loss halves it, a time-out begins
again with the least. A chunk is lost when three that were sent later have arrived, or after a time-out.
"""

from __future__ import annotations

import hashlib
import struct
import threading
from typing import Any, BinaryIO, Callable, Dict, List, NamedTuple, Optional, Sequence

from . import packets
from .packets import CHUNK
from .round_trip import SILENCE_MEANS, RoundTrip
from .wire import ClientError, WaitTimeout

DEFAULT_WINDOW = 64  # chunks
INITIAL_ROOM = 16  # chunks under way at the beginning: the 4 kB that TCP begins with (RFC 3390)
LEAST_ROOM = 4  # with fewer a loss could not show itself by later chunks; less than one full packet of TCP's
REORDERING = 3  # later chunks that arrive before one counts as lost
BLOCK = 256 * CHUNK  # bytes that are read and written at once

HEAD = 2 + 8 + 4  # bytes of any packet with a chunk before what follows: type, transaction, chunk
_UPLOAD_HEAD = struct.Struct(">HQIH")
_DOWNLOAD_REQUEST = struct.Struct(">HQI")


class Style(NamedTuple):
    """How to transfer: chunks under way at most, the seconds without progress after which to give up.

    `extra_chunk`: count the chunks as the old clients do, which is one more where the last one is full.
    """

    window: int = DEFAULT_WINDOW
    patience: float = 30.0
    extra_chunk: bool = False

    def chunks(self, size: int) -> int:
        return size // CHUNK + 1 if self.extra_chunk else -(-size // CHUNK)


class _Sent(NamedTuple):
    sequence: int  # which transmission of this transfer it was
    at: float
    again: bool  # whether it was not the first of this chunk
    packet: bytes


class Transfer:
    """What upload and download have in common."""

    def __init__(
        self,
        transaction: int,
        size: int,
        style: Style,
        round_trip: RoundTrip,
        send_all: Callable[[Sequence[bytes]], None],
    ) -> None:
        self.transaction = transaction
        self.size = size
        self.chunks = style.chunks(size)
        self.error: Optional[Exception] = None
        self.finished = threading.Event()
        self.unwanted = False  # set by others: stop
        self._style = style
        self._round_trip = round_trip
        self._timeout = round_trip.timeout
        self._send_all = send_all
        self._arrived = 0  # chunks
        self._next = 0  # the first chunk that was not sent yet
        self._flight: Dict[int, _Sent] = {}  # by chunk, in the order of sending
        self._lost: Dict[int, _Sent] = {}  # to be sent again
        self._sequence = 0  # of the next transmission
        self._newest = -1  # the latest transmission that is known to have arrived
        self._recovery = 0  # losses of transmissions before this one were answered already
        self._room = float(min(INITIAL_ROOM, style.window))  # how many may be under way
        self._threshold = float(style.window)
        self._progress_at = 0.0

    # what upload and download do differently

    def _make(self, count: int) -> List[bytes]:
        """The packets of the next `count` chunks, from `_next` on. OSError, ClientError: impossible."""
        raise NotImplementedError

    def _is_chunk(self, chunk: int, packet: bytes) -> bool:
        """Whether a packet is what that chunk has to be."""
        raise NotImplementedError

    def _keep(self, chunk: int, packet: bytes) -> None:
        """Take what a chunk brings, once. OSError: impossible."""

    def _complete(self) -> None:
        """All is there. OSError: it cannot be finished."""

    @property
    def done(self) -> int:
        """Bytes that have arrived."""
        return min(self._arrived * CHUNK, self.size)

    def fail(self, error: Exception) -> None:
        self.error = error
        self.finished.set()

    def take(self, answers: Sequence[bytes], now: float) -> None:
        """Packets for this transfer have come."""
        flight, lost = self._flight, self._lost
        measured, arrived = 0.0, 0
        for packet in answers:
            chunk = int.from_bytes(packet[10:14], "big")
            sent = flight.get(chunk) or lost.get(chunk)
            if sent is None or not self._is_chunk(chunk, packet):
                continue  # a repeated one, or nonsense
            if flight.pop(chunk, None) is None:
                del lost[chunk]
            if not sent.again:  # else it may be the answer to an earlier one, which says nothing about time
                measured = sent.at
                self._newest = max(self._newest, sent.sequence)
            arrived += 1
            self._keep(chunk, packet)
        if not arrived:
            return
        self._arrived += arrived
        self._progress_at = now
        if measured:
            self._round_trip.measured(now - measured)
        else:
            self._round_trip.ambiguous(self._timeout)
        self._timeout = self._round_trip.timeout
        grown = arrived if self._room < self._threshold else arrived / self._room
        self._room = min(self._room + grown, self._style.window)

    def work(self, now: float) -> float:
        """Send what is due; the time at which there is more to do, if nothing comes before.

        WaitTimeout: there is no hope left. ClientError, OSError: of the file.
        """
        if self.unwanted:
            raise ClientError("given up")
        if self._arrived == self.chunks:
            self._complete()
            self.finished.set()
            return now
        if not self._progress_at:
            self._progress_at = now
        patient_until = self._progress_at + self._style.patience
        if now >= patient_until:
            raise WaitTimeout(
                f"no progress for {self._style.patience:g} s at {self.done:,} of {self.size:,} bytes: "
                + SILENCE_MEANS
            )
        self._find_lost(now)
        self._fill(now)
        return min(self._first_timeout(), patient_until)

    def _first_timeout(self) -> float:
        return next(iter(self._flight.values())).at + self._timeout

    def _find_lost(self, now: float) -> None:
        if not self._flight:
            return
        timed_out = now - self._timeout
        late = next(iter(self._flight.values())).at <= timed_out
        lost = []
        for chunk, sent in self._flight.items():
            if sent.sequence + REORDERING > self._newest and sent.at > timed_out:
                break  # those behind it were sent later
            lost.append(chunk)
        slower = False
        for chunk in lost:
            self._lost[chunk] = sent = self._flight.pop(chunk)
            slower = slower or sent.sequence >= self._recovery  # once a round trip
        if late:
            self._timeout = self._round_trip.longer(self._timeout)
        if late or slower:
            least = min(LEAST_ROOM, self._style.window)
            self._threshold = max(self._room / 2, least)
            self._room = least if late else self._threshold
            self._recovery = self._sequence

    def _fill(self, now: float) -> None:
        """Send as much as there is room for: first what was lost."""
        room = max(int(self._room) - len(self._flight), 0)
        again = list(self._lost)[:room]
        repeated = [self._lost.pop(chunk).packet for chunk in again]
        first = self._next
        fresh = self._make(min(room - len(again), self.chunks - first))
        self._next += len(fresh)
        for chunk, packet in zip(again, repeated):
            self._under_way(chunk, now, True, packet)
        for chunk, packet in enumerate(fresh, first):
            self._under_way(chunk, now, False, packet)
        if repeated or fresh:
            self._send_all(repeated + fresh)

    def _under_way(self, chunk: int, now: float, again: bool, packet: bytes) -> None:
        self._flight[chunk] = _Sent(self._sequence, now, again, packet)
        self._sequence += 1


class Upload(Transfer):
    """Sends the first `size` bytes of an open file. `sha256` is known in the end."""

    def __init__(self, numbering: str, file: BinaryIO, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.sha256 = ""
        self._type = packets.SHAPES[packets.UPLOAD_CHUNK_REQUEST].type(numbering)
        self._file = file
        self._hash = hashlib.sha256()
        self._block = b""
        self._block_first = 0  # the chunk that it begins with

    def _make(self, count: int) -> List[bytes]:
        made = []
        head, kind, transaction = _UPLOAD_HEAD.pack, self._type, self.transaction
        for chunk in range(self._next, self._next + count):
            at = (chunk - self._block_first) * CHUNK
            if at >= len(self._block):
                self._block, self._block_first, at = self._read(chunk), chunk, 0
            data = self._block[at : at + CHUNK]
            made.append(head(kind, transaction, chunk, len(data)) + data)
        return made

    def _read(self, chunk: int) -> bytes:
        wanted = min(BLOCK, self.size - chunk * CHUNK)
        block = self._file.read(wanted)
        if len(block) < wanted:
            raise ClientError("the file became shorter while it was sent")
        self._hash.update(block)
        return block

    def _is_chunk(self, chunk: int, packet: bytes) -> bool:
        return len(packet) == HEAD

    def _complete(self) -> None:
        self.sha256 = self._hash.hexdigest()


class Download(Transfer):
    """Writes into an open file, at the place of each chunk."""

    def __init__(self, numbering: str, file: BinaryIO, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._type = packets.SHAPES[packets.DOWNLOAD_CHUNK_REQUEST].type(numbering)
        self._file = file
        # chunks that follow each other and are not written yet
        self._first = 0
        self._parts: List[bytes] = []

    def _make(self, count: int) -> List[bytes]:
        request, kind, transaction = _DOWNLOAD_REQUEST.pack, self._type, self.transaction
        return [request(kind, transaction, chunk) for chunk in range(self._next, self._next + count)]

    def _is_chunk(self, chunk: int, packet: bytes) -> bool:
        length = max(min(CHUNK, self.size - chunk * CHUNK), 0)
        return len(packet) == HEAD + 2 + length and packet[14:16] == length.to_bytes(2, "big")

    def _keep(self, chunk: int, packet: bytes) -> None:
        if chunk != self._first + len(self._parts) or len(self._parts) * CHUNK >= BLOCK:
            self._write()
            self._first = chunk
        self._parts.append(packet[HEAD + 2 :])

    def _write(self) -> None:
        if self._parts:
            self._file.seek(self._first * CHUNK)
            self._file.write(b"".join(self._parts))
            self._parts.clear()

    def _complete(self) -> None:
        self._write()
        self._file.flush()
