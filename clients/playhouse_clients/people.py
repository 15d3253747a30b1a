"""What every client is to whoever uses it: somebody with a name who gets messages and waits for things."""

from __future__ import annotations

import threading
import time
import unicodedata
from dataclasses import dataclass
from typing import Any, Callable, List, Mapping, Optional

from .wire import ClientError, WaitTimeout

LONGEST_NAME = 64  # characters
BOT = "bot"  # the house's; nobody else has that name


def checked_name(name: str) -> str:
    """The name as the server takes it. ClientError: it would not."""
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME or any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        raise ClientError(f"a name has 1 to {LONGEST_NAME} characters, and none of them is a control character")
    return name


def reads_all(name: str) -> bool:
    """Whether somebody of that name is to get what is for everybody. People of other services are shown with
    `@` and its name; those of tumip have no way to read."""
    return name != BOT and not name.endswith("@tumip")


@dataclass(frozen=True)
class Event:
    """Something that happened: `kind` is joined, left, message, error or closed.

    `name` is the user concerned (the sender of a message, "" where unknown), `text` the message or the reason.
    """

    kind: str
    name: str = ""
    text: str = ""


@dataclass(frozen=True)
class Message:
    """A message that was for us. `sender` is "" where the protocol does not tell."""

    sender: str
    text: str


class Participant:
    """The part of all clients that depends on no protocol. What is waited for is guarded by `_changed`."""

    def __init__(self, name: str, on_event: Optional[Callable[[Event], None]]) -> None:
        self.name = name  # becomes the registered name, which may differ
        self._on_event = on_event
        self._changed = threading.Condition()
        self._messages: List[Message] = []
        self._unread: List[Message] = []
        self._leaving = False
        self._ended: Optional[ClientError] = None

    def __enter__(self) -> Any:
        return self

    @property
    def users(self) -> Mapping[str, object]:
        """Who is here by name, ourselves included."""
        raise NotImplementedError

    def wait_for(self, name: str, timeout: float = 30.0) -> None:
        """Wait until that user is here."""
        raise NotImplementedError

    def send(self, to: str, text: str) -> int:
        """Send to one user. The result says in how many messages: long texts need several."""
        raise NotImplementedError

    def send_all(self, text: str) -> int:
        """Send to everybody else; the result says to how many."""
        raise NotImplementedError

    @property
    def others(self) -> List[str]:
        return [name for name in self.users if name != self.name]

    @property
    def ended(self) -> Optional[ClientError]:
        """Why the session is over, or None while it lasts."""
        with self._changed:
            return self._ended

    def messages(self) -> List[Message]:
        """All messages for us so far."""
        with self._changed:
            return list(self._messages)

    def wait_message(self, sender: Optional[str] = None, timeout: float = 30.0) -> Message:
        """The oldest message, of that sender if one is given, that no call returned before; wait for it."""

        def take() -> Optional[Message]:
            for at, message in enumerate(self._unread):
                if sender is None or message.sender == sender:
                    return self._unread.pop(at)
            return None

        who = f" from {sender}" if sender else ""
        message: Message = self._wait(take, timeout, f"no message{who} came")
        return message

    def _happened(self, event: Event) -> None:
        if self._on_event is not None:
            self._on_event(event)

    def _message_arrived(self, sender: str, text: str) -> None:
        message = Message(sender, text)
        with self._changed:
            self._messages.append(message)
            self._unread.append(message)
            self._changed.notify_all()
        self._happened(Event("message", sender, text))

    def _over(self, reason: ClientError) -> None:
        """The session has ended; who did not end it here is told."""
        with self._changed:
            if self._ended is not None:
                return
            self._ended = reason
            leaving = self._leaving
            self._changed.notify_all()
        if not leaving:
            self._happened(Event("closed", "", str(reason)))

    def _check_open(self) -> None:
        """ClientError if the session is over; call it under the lock."""
        if self._leaving:
            raise ClientError("this session has ended")
        if self._ended is not None:
            # a fresh one: the same exception raised twice would collect both tracebacks
            raise type(self._ended)(str(self._ended))

    def _wait(self, look: Callable[[], Any], timeout: float, failure: str) -> Any:
        """Wait until `look` returns something true and return that; `look` runs under the lock."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = look()
                if found:
                    return found
                self._check_open()
                left = deadline - time.monotonic()
                if left <= 0:
                    raise WaitTimeout(f"{failure} within {timeout:g} s")
                self._changed.wait(left)
