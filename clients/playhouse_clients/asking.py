"""Packetchat's connection: one thread receives, asking again until there is an answer, transfers at work.

What the packets mean to people is in `packetchat`.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from typing import Any, Callable, Deque, Dict, Hashable, List, Optional, Sequence, Tuple

from . import packets
from .datagrams import Datagrams
from .people import Event, Participant
from .round_trip import MOST, SILENCE_MEANS, FixedWaits, RoundTrip
from .transfers import Style, Transfer
from .wire import ClientError, ConnectionLost, Unreachable, WaitTimeout

PRESERVE_AFTER = 10.0  # seconds without an answer; the server ends a session after 30
SILENCE = 60.0  # seconds without an answer after which the session counts as lost
ASKED_AT_ONCE = 32  # questions under way; a server may drop what comes faster than it reads

# What an answer is recognised by: the name of its packet and, where it has one, the number in it.
Key = Tuple[str, Hashable]


class Recent(OrderedDict):  # type: ignore[type-arg]
    """A dict that forgets the oldest beyond `most`."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: Hashable, value: Any) -> None:
        super().__setitem__(key, value)
        if len(self) > self._most:
            self.popitem(last=False)


class Question:
    """A packet that wants an answer; `answer` holds its values when it has come."""

    def __init__(self, key: Key, packet: bytes) -> None:
        self.key = key
        self.packet = packet
        self.answer: Optional[Tuple[Any, ...]] = None
        self.answered_at = 0.0
        self.sent_at = 0.0
        self.sent = 0  # times
        self.wait = 0.0


class Refused(Unreachable):
    """Nothing listens at this address; there may be another one."""


class Asking(Participant):
    """A participant that asks over UDP. The class that derives from it says what packets mean: `_packet_came`."""

    def __init__(
        self,
        name: str,
        on_event: Optional[Callable[[Event], None]],
        datagrams: Datagrams,
        numbering: str,
        old_style: bool,
        window: int,
        timeout: float,
        stall_timeout: float,
    ) -> None:
        super().__init__(name, on_event)
        self.numbering = numbering
        self.session = 0
        self._datagrams = datagrams
        if old_style:
            timeout = stall_timeout = FixedWaits.TOTAL
            window = 1
        self._timeout = timeout
        self._style = Style(window, stall_timeout, extra_chunk=old_style)
        # An answer of the server's comes at once; that to a message when its recipient has it.
        self._round_trip = FixedWaits() if old_style else RoundTrip()
        self._delivery = self._round_trip.copy()
        self._questions: Dict[Key, List[Question]] = {}
        self._transfers: Dict[int, Transfer] = {}  # only for the thread that receives
        self._new_transfers: Deque[Transfer] = deque()
        self._heard = time.monotonic()  # when the last answer came
        self._preserve_at = 0.0
        self._preserve_wait = 0.0
        types = (packets.SHAPES[name].type(numbering) for name in (packets.DOWNLOAD_CHUNK, packets.UPLOAD_CHUNK))
        self._chunk_types = tuple(kind.to_bytes(2, "big") for kind in types)
        self._receiver = threading.Thread(target=self._receive, name=f"receive {name}", daemon=True)

    def _packet_came(self, name: str, values: Tuple[Any, ...]) -> None:
        """A packet that is no chunk, on the thread that receives."""
        raise NotImplementedError

    # asking, on the caller's thread

    def _pack(self, name: str, *values: Any) -> bytes:
        try:
            return packets.encode(name, self.numbering, *values)
        except ValueError as error:
            raise ClientError(str(error)) from None

    def _ask(self, question: Question, what: str, hint: str = "", delivery: bool = False) -> Tuple[Any, ...]:
        """The answer to one question; `what` is that for people. WaitTimeout: none came."""
        self._ask_all([question], self._timeout, self._delivery if delivery else self._round_trip)
        if question.answer is None:
            raise WaitTimeout(
                f"no answer to {what} within {self._timeout:g} s: {hint}{SILENCE_MEANS}"
            )
        return question.answer

    def _ask_all(self, questions: Sequence[Question], patience: float, round_trip: RoundTrip) -> None:
        """Send each until its answer comes; return when all have one, or none came for `patience` seconds.

        ClientError: the session has ended.
        """
        waiting = deque(questions)
        asked: List[Question] = []
        deadline = time.monotonic() + patience
        with self._changed:
            try:
                while waiting or asked:
                    self._check_open()
                    if not self.session and self._datagrams.refusals:
                        raise Refused("connection refused")
                    now = time.monotonic()
                    while waiting and len(asked) < ASKED_AT_ONCE:
                        asked.append(waiting.popleft())
                        self._questions.setdefault(asked[-1].key, []).append(asked[-1])
                    self._send_due(asked, now, round_trip)
                    until = min(min(question.sent_at + question.wait for question in asked), deadline)
                    self._changed.wait(max(until - now, 0))
                    for question in [question for question in asked if question.answer is not None]:
                        asked.remove(question)
                        self._forget(question)
                        deadline = time.monotonic() + patience
                        if question.sent == 1:
                            round_trip.measured(question.answered_at - question.sent_at)
                        else:
                            round_trip.ambiguous(question.wait)
                    if time.monotonic() >= deadline:
                        return
            finally:
                for question in asked:
                    self._forget(question)

    def _send_due(self, asked: List[Question], now: float, round_trip: RoundTrip) -> None:
        for question in asked:
            if question.sent_at + question.wait <= now:
                question.wait = round_trip.longer(question.wait) if question.sent else round_trip.timeout
                question.sent_at = now
                question.sent += 1
                self._datagrams.send(question.packet)

    def _forget(self, question: Question) -> None:
        same = self._questions[question.key]
        same.remove(question)
        if not same:
            del self._questions[question.key]

    def _is_asked(self, key: Key) -> bool:
        with self._changed:
            return key in self._questions

    def _answered(self, key: Key, values: Tuple[Any, ...]) -> None:
        with self._changed:
            for question in self._questions.get(key, []):
                if question.answer is None:
                    question.answer, question.answered_at = values, time.monotonic()
            self._changed.notify_all()

    def _run_transfer(self, transfer: Transfer, progress: Optional[Callable[[int, int], None]]) -> None:
        """Let the thread that receives do it; return when it is done. Raises what went wrong in it."""
        self._new_transfers.append(transfer)
        self._datagrams.wake()
        try:
            while not transfer.finished.wait(0.1):
                if not self._receiver.is_alive():
                    transfer.fail(self.ended or ClientError("this session has ended"))
                elif progress is not None:
                    progress(transfer.done, transfer.size)
        finally:
            # If we are here for another reason, that thread must not work on a file that is closed next.
            transfer.unwanted = True
            while self._receiver.is_alive() and not transfer.finished.wait(0.1):
                self._datagrams.wake()
        if transfer.error is not None:
            raise transfer.error
        if progress is not None:
            progress(transfer.size, transfer.size)

    # the thread that receives

    def _receive(self) -> None:
        reason: ClientError = ConnectionLost("connection lost")
        try:
            wait = 0.0
            while not self._leaving:
                came = self._datagrams.receive(wait)
                now = time.monotonic()
                while self._new_transfers:
                    transfer = self._new_transfers.popleft()
                    self._transfers[transfer.transaction] = transfer
                if came:
                    self._sort(came, now)
                if not self.session and self._datagrams.refusals:
                    with self._changed:
                        self._changed.notify_all()  # who asks for a session need not wait any longer
                due = [self._work(transfer, now) for transfer in list(self._transfers.values())]
                if self.session:
                    due.append(self._preserve(now))
                wait = max(min(due, default=now + MOST) - now, 0)
        except ClientError as error:
            reason = error
        except Exception as error:
            reason = ClientError(f"internal error: {error!r}")
            raise  # for the traceback
        finally:
            self._over(reason)

    def _sort(self, came: List[bytes], now: float) -> None:
        """Chunks to their transfers, all of one at once; the rest to whom it means something."""
        chunks: Dict[int, List[bytes]] = {}
        for packet in came:
            if packet[:2] in self._chunk_types:
                transaction = int.from_bytes(packet[2:10], "big")
                if transaction in self._transfers:
                    chunks.setdefault(transaction, []).append(packet)
                continue
            try:
                name, values = packets.decode(packet, self.numbering)
            except packets.Malformed:
                continue  # anybody may send anything
            if name != packets.INCOMING:
                self._heard = now
            self._packet_came(name, values)
        for transaction, answers in chunks.items():
            self._heard = now
            transfer = self._transfers[transaction]
            try:
                transfer.take(answers, now)
            except OSError as error:  # of our file
                transfer.fail(error)

    def _work(self, transfer: Transfer, now: float) -> float:
        try:
            if not transfer.finished.is_set():
                return transfer.work(now)
        except (ClientError, OSError) as error:
            transfer.fail(error)
        del self._transfers[transfer.transaction]
        return now + MOST

    def _preserve(self, now: float) -> float:
        """Keep the session if nothing else does; the time at which that is to be looked at again."""
        idle = now - self._heard
        if idle < PRESERVE_AFTER:
            self._preserve_at, self._preserve_wait = now, self._round_trip.timeout
            return self._heard + PRESERVE_AFTER
        if idle >= SILENCE:
            raise ConnectionLost(
                f"connection lost: no answer for {SILENCE:g} s, so the server is gone, or it has ended the session"
            )
        if now >= self._preserve_at:
            self._datagrams.send(self._pack(packets.SESSION_PRESERVE, self.session))
            self._preserve_at = now + self._preserve_wait
            self._preserve_wait = self._round_trip.longer(self._preserve_wait)
        return self._preserve_at
