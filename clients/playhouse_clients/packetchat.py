"""The packetchat client: messages and files over UDP, one packet a datagram, asked again until answered.

A server that refuses something says nothing, as if the packet was lost: see `Asking` for what is done about it.
Transfers are in `transfers`, the packets in `packets`.
"""

from __future__ import annotations

import os
import queue
import secrets
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union

from . import packets
from .asking import Asking, Question, Recent, Refused
from .datagrams import Datagrams, resolve
from .local_files import sha256_of, target_of, written_beside
from .people import Event, checked_name
from .round_trip import SILENCE_MEANS
from .transfers import DEFAULT_WINDOW, Download, Upload
from .wire import ClientError, Unreachable, WaitTimeout, split_text, unreachable

DEFAULT_PORT = 55000
REMEMBERED_MESSAGES = 4096  # that are known again when they are repeated
REMEMBERED_NAMES = 65536  # of users, and data of files
NAME_PATIENCE = 5.0  # seconds until a user goes without a name
NAMELESS = 30.0  # seconds until such a user is asked about again
FRESH = 2.0  # seconds for which a list of users is good enough to find somebody
LOOK_EVERY = 0.25  # seconds between two looks for somebody who is waited for
FOLLOW_EVERY = 2.0  # seconds between two looks at who comes and goes

# called with the bytes that are done and those that there are, on the thread that waits for the transfer
Progress = Callable[[int, int], None]


class User(NamedTuple):
    number: int
    name: str


@dataclass(frozen=True)
class File:
    """A file of the server's; `size` in bytes. After a transfer also its SHA-256 in hexadecimal, and after a
    download where it is here."""

    number: int
    name: str
    size: int
    sha256: str = ""
    path: str = ""

    @property
    def hex(self) -> str:
        """The number as people read it and the operator's commands take it."""
        return f"{self.number:016x}"


def only_file(name: str, files: Sequence[File]) -> File:
    """The one that is called that. ClientError: there is none, or there are several."""
    found = [file for file in files if file.name == name]
    if not found:
        raise ClientError(f'there is no file called "{name}"')
    if len(found) > 1:
        numbers = ", ".join(file.hex for file in found)
        raise ClientError(f"several files are called {name}, so take one by its number: {numbers}")
    return found[0]


class Packetchat(Asking):
    """A user in packetchat. `connect` returns when the server has told our name.

    Every method may be called from any thread. `on_event` is called on a thread of its own and may call
    anything; messages wait meanwhile. What gets no answer raises WaitTimeout, when `timeout` seconds have passed,
    or `stall_timeout` seconds without progress in a transfer. There is no goodbye: `close` just stops, and the
    server forgets us half a minute later.
    """

    @classmethod
    def connect(
        cls,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        name: str = "guest",
        *,
        on_event: Optional[Callable[[Event], None]] = None,
        numbering: str = packets.CLIENT,
        old_style: bool = False,
        window: int = DEFAULT_WINDOW,
        timeout: float = 10.0,
        stall_timeout: float = 30.0,
    ) -> "Packetchat":
        """`old_style` waits and transfers as the old clients do, whatever the other numbers are."""
        name = checked_name(name)  # the server would say nothing
        failure = Unreachable(f"unknown host: {host}")
        for family, address in resolve(host, port):
            try:
                datagrams = Datagrams(family, address)
            except Unreachable as error:
                failure = error
                continue
            chat = cls(name, on_event, datagrams, numbering, old_style, window, timeout, stall_timeout)
            try:
                chat._register(f"{host}:{port}")
                return chat
            except Refused:
                chat.close()
                failure = unreachable(ConnectionRefusedError(), host, port)
            except BaseException:
                chat.close()
                raise
        raise failure

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.user = 0  # our number
        self._seen = Recent(REMEMBERED_MESSAGES)
        self._names = Recent(REMEMBERED_NAMES)
        self._nameless = Recent(REMEMBERED_NAMES)  # user → when nobody told a name
        self._listed: Dict[str, int] = {}
        self._listed_at = float("-inf")
        self._files = Recent(REMEMBERED_NAMES)
        self._opening_upload = threading.Lock()
        self._upload: Optional[Tuple[bytes, int]] = None  # name and size of the one that is being opened
        self._opened = Recent(REMEMBERED_NAMES)  # transaction → for which upload
        self._following = False
        # (sender, text), or None to wake the thread that delivers
        self._incoming: "queue.Queue[Optional[Tuple[int, bytes]]]" = queue.Queue()
        self._deliverer = threading.Thread(target=self._deliver, name=f"deliver {self.name}", daemon=True)
        self._receiver.start()
        self._deliverer.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._changed:
            if self._leaving:
                return
            self._leaving = True
            self._changed.notify_all()
        self._datagrams.wake()
        self._incoming.put(None)
        for thread in (self._receiver, self._deliverer):
            if thread is not threading.current_thread():
                thread.join()
        self._datagrams.close()

    # people

    def who(self) -> List[User]:
        """Who is here, ourselves included, as the server says it now. One that it has no name for is `user N`."""
        (numbers,) = self._ask_for(packets.USERS_REQUEST, packets.USERS, "the request for the users")
        names = self._names_of(numbers)
        users = [User(number, names[number]) for number in numbers]
        self._listed, self._listed_at = {user.name: user.number for user in users}, time.monotonic()
        return users

    @property
    def users(self) -> Dict[str, int]:
        """The same: name → number. Asks the server."""
        return {user.name: user.number for user in self.who()}

    def wait_for(self, name: str, timeout: float = 30.0) -> None:
        self._look_for(lambda: name in self.users, timeout, f"nobody called {name} came")

    def wait_until_gone(self, name: str, timeout: float = 30.0) -> None:
        """The server takes half a minute to notice."""
        self._look_for(lambda: name not in self.users, timeout, f"{name} did not leave")

    def follow(self) -> None:
        """From now on, tell who comes and goes as events: that asks the server every few seconds."""
        self._following = True
        self._incoming.put(None)

    def send(self, to: Union[int, str], text: str) -> int:
        """See `Participant`. Returns when the recipient has acknowledged it; `to` is a name or a number."""
        number, who = (self._number_of(to), to) if isinstance(to, str) else (to, f"user {to}")
        parts = split_text(text, packets.LONGEST_TEXT)
        for part in parts:
            self._send_message(
                f"the message to {who}", f"{who} may be gone, ", packets.MESSAGE_REQUEST, packets.MESSAGE, part, number
            )
        return len(parts)

    def broadcast(self, text: str) -> None:
        """Send to everybody else. Returns when the server has it."""
        for part in split_text(text, packets.LONGEST_TEXT):
            self._send_message("the message to all", "", packets.BROADCAST_REQUEST, packets.BROADCAST, part)

    def send_all(self, text: str) -> int:
        others = len(self.others)
        if others:
            self.broadcast(text)
        return others

    # files

    def files(self) -> List[File]:
        """What can be downloaded."""
        (numbers,) = self._ask_for(packets.FILES_REQUEST, packets.FILES, "the request for the files")
        return self._files_of(numbers)

    def find_file(self, which: Union[int, str]) -> File:
        """A file by its number or its name. ClientError: there is none, or several have that name."""
        if isinstance(which, int):
            return self._files_of([which])[0]
        return only_file(which, self.files())

    def upload(
        self, path: Union[str, Path], name: Optional[str] = None, progress: Optional[Progress] = None
    ) -> File:
        """Send a file, under its own name or another; returns when the server has it on its disk.

        OSError: it cannot be read.
        """
        path = Path(path)
        if path.exists() and not path.is_file():
            raise ClientError(f"{path} is no plain file")
        with path.open("rb") as source:
            size = os.fstat(source.fileno()).st_size
            if size > packets.LARGEST_FILE:
                raise ClientError(f"{path} is too large: {packets.LARGEST_FILE:,} bytes are the most")
            number, transaction = self._open_upload(path.name if name is None else name, size)
            transfer = Upload(self.numbering, source, *self._for_transfer(transaction, size))
            self._run_transfer(transfer, progress)
        (file,) = self._files_of([number])
        if file.size != size:
            raise ClientError(f"the server took {file.size:,} bytes instead of {size:,}: upload {path} again")
        return replace(file, sha256=transfer.sha256)

    def download(
        self,
        which: Union[int, str],
        to: Union[str, Path] = ".",
        progress: Optional[Progress] = None,
        overwrite: bool = False,
    ) -> File:
        """Fetch a file by its number or name; returns when it is whole and in its place.

        Into the folder `to`, under its name (made safe, see `local_files`), or to exactly that path. ClientError:
        it exists already, and `overwrite` is not set. OSError: it cannot be written.
        """
        file = self.find_file(which)
        target = target_of(file.name, to, overwrite)
        with written_beside(target, overwrite) as part:
            question = self._question(packets.DOWNLOAD_REQUEST, (packets.DOWNLOAD, file.number), file.number)
            _, transaction = self._ask(question, f"the request to download {file.name}")
            transfer = Download(self.numbering, part, *self._for_transfer(transaction, file.size))
            self._run_transfer(transfer, progress)
            digest = sha256_of(part)
        return replace(file, sha256=digest, path=str(target))

    # asking

    def _register(self, where: str) -> None:
        question = Question((packets.SESSION_COOKIE, None), self._pack(packets.SESSION_REQUEST, self.name.encode()))
        try:
            self.user, self.session = self._ask(question, "the request for a session")
        except WaitTimeout:
            raise Unreachable(
                f"no answer from {where} within {self._timeout:g} s: {SILENCE_MEANS}"
            ) from None
        self._names_of([self.user], self._timeout)
        self.name = self._names.get(self.user, self.name)

    def _question(self, request: str, key: Tuple[str, Any], *values: Any) -> Question:
        return Question(key, self._pack(request, self.session, *values))

    def _ask_for(self, request: str, response: str, what: str) -> Tuple[Any, ...]:
        return self._ask(self._question(request, (response, None)), what)

    def _send_message(self, what: str, hint: str, request: str, response: str, text: str, *to: int) -> None:
        message = secrets.randbits(64)
        question = self._question(request, (response, message), *to, message, text.encode("utf-8"))
        self._ask(question, what, hint, delivery=request == packets.MESSAGE_REQUEST)

    def _names_of(self, numbers: Iterable[int], patience: Optional[float] = None) -> Dict[int, str]:
        """The names of users; nobody is asked about twice who has one."""
        now = time.monotonic()
        numbers = list(numbers)
        unknown = [
            number
            for number in numbers
            if number not in self._names and now - self._nameless.get(number, float("-inf")) > NAMELESS
        ]
        questions = [
            self._question(packets.USER_DATA_REQUEST, (packets.USER_DATA, number), number) for number in unknown
        ]
        self._ask_all(questions, min(patience or NAME_PATIENCE, self._timeout), self._round_trip)
        for number, question in zip(unknown, questions):
            if question.answer is None:
                self._nameless[number] = now
            else:
                self._names[number] = question.answer[1].decode("utf-8", "replace")
        return {number: self._names.get(number, f"user {number}") for number in numbers}

    def _number_of(self, name: str) -> int:
        if name not in self._listed or time.monotonic() - self._listed_at > FRESH:
            self.who()
        if name not in self._listed:
            raise ClientError(f"nobody here is called {name}")
        return self._listed[name]

    def _look_for(self, look: Callable[[], bool], timeout: float, failure: str) -> None:
        deadline = time.monotonic() + timeout
        while not look():
            left = deadline - time.monotonic()
            if left <= 0:
                raise WaitTimeout(f"{failure} within {timeout:g} s")
            with self._changed:
                self._changed.wait_for(lambda: self._leaving or self._ended is not None, min(left, LOOK_EVERY))

    def _files_of(self, numbers: Sequence[int]) -> List[File]:
        unknown = [number for number in numbers if number not in self._files]
        questions = [
            self._question(packets.FILE_DATA_REQUEST, (packets.FILE_DATA, number), number) for number in unknown
        ]
        self._ask_all(questions, self._timeout, self._round_trip)
        for number, question in zip(unknown, questions):
            if question.answer is None:
                raise WaitTimeout(
                    f"no answer to the request for file {number} within {self._timeout:g} s: "
                    f"there may be no such file, {SILENCE_MEANS}"
                )
            _, size, name = question.answer
            self._files[number] = File(number, name.decode("utf-8", "replace"), size)
        return [self._files[number] for number in numbers]

    def _open_upload(self, name: str, size: int) -> Tuple[int, int]:
        """(file, transaction). One at a time: the answer does not tell which request it answers."""
        label = name.encode("utf-8", "surrogateescape")
        question = self._question(packets.UPLOAD_REQUEST, (packets.UPLOAD, None), size, label)
        with self._opening_upload:
            self._upload = (label, size)
            try:
                file, transaction = self._ask(question, f"the request to upload {name}")
            finally:
                self._upload = None
        return file, transaction

    def _for_transfer(self, transaction: int, size: int) -> Tuple[Any, ...]:
        return transaction, size, self._style, self._round_trip.copy(), self._datagrams.send_all

    # what comes

    def _packet_came(self, name: str, values: Tuple[Any, ...]) -> None:
        if name == packets.INCOMING:
            sender, message, text = values
            # Also when it is repeated: that answer was lost.
            self._datagrams.send(self._pack(packets.RECEIVED, message))
            if message not in self._seen:
                self._seen[message] = True
                self._incoming.put((sender, text))
        elif name in (packets.DOWNLOAD, packets.UPLOAD):
            self._transaction_came(name, *values)
        elif name in (packets.USERS, packets.FILES, packets.SESSION_COOKIE):
            self._answered((name, None), values)
        else:
            self._answered((name, values[0]), values)

    def _transaction_came(self, name: str, file: int, transaction: int) -> None:
        download = (packets.DOWNLOAD, file)
        if name == packets.DOWNLOAD and self._is_asked(download):
            self._opened[transaction] = download
            self._answered(download, (file, transaction))
        elif name == packets.UPLOAD or self.numbering == packets.DOCUMENT:
            # A late answer to an earlier request, which was repeated, must not pass for the one that is awaited.
            if self._opened.setdefault(transaction, self._upload) == self._upload:
                self._answered((packets.UPLOAD, None), (file, transaction))

    def _deliver(self) -> None:
        """Messages, in the order in which they came, with the name of their sender, which may have to be asked
        for; and between them who comes and goes."""
        known: Optional[Dict[int, str]] = None
        look_at = 0.0
        try:
            while not self._leaving:
                try:
                    message = self._incoming.get(
                        timeout=max(look_at - time.monotonic(), 0) if self._following else None
                    )
                except queue.Empty:
                    known = self._look_around(known)
                    look_at = time.monotonic() + FOLLOW_EVERY
                    continue
                if message is not None:
                    sender, text = message
                    self._message_arrived(self._sender(sender), text.decode("utf-8", "replace"))
        except Exception as error:
            if not self._leaving:  # else it may just be what `on_event` was at when the session was closed
                self._over(ClientError(f"internal error: {error!r}"))
                raise  # for the traceback

    def _sender(self, number: int) -> str:
        try:
            return self._names_of([number])[number]
        except ClientError:  # the session ends just now
            return f"user {number}"

    def _look_around(self, known: Optional[Dict[int, str]]) -> Optional[Dict[int, str]]:
        """Tell who came and left since; number → name of who is here now."""
        try:
            here = dict(self.who())
        except ClientError:
            return known
        if known is None:  # who was here before us did not join
            return here
        for number in known.keys() - here.keys():
            self._happened(Event("left", known[number]))
        for number in here.keys() - known.keys():
            self._happened(Event("joined", here[number]))
        return here


def main() -> int:
    from . import console
    from .file_console import FileConsole

    def connect(options: Any, host: str, port: int, name: str, on_event: Callable[[Event], None]) -> Packetchat:
        return Packetchat.connect(
            host,
            port,
            name,
            on_event=on_event,
            numbering=options.numbering,
            old_style=options.old_style,
            window=options.window,
            timeout=options.answer_timeout,
            stall_timeout=options.timeout,
        )

    return console.main("packetchat", DEFAULT_PORT, connect, FileConsole)


if __name__ == "__main__":
    raise SystemExit(main())
