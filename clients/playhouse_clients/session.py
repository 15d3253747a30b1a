"""What the clients over TCP are: a thread that receives, encrypted messages, one video at a time."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Callable, Deque, Dict, List, Optional

from cryptography.hazmat.primitives.asymmetric import rsa

from .frames import Frame, Summary
from .keys import load_public_key
from .people import Event, Participant, reads_all
from .wire import ClientError, ConnectionLost, ProtocolError, ServerError, Wire, jpeg_size

# How many frames may wait for whoever watches. Beyond that the connection is left unread, so that a slow
# viewer slows the server instead of filling the memory here.
WAITING_FRAMES = 64


@dataclass
class _Viewing:
    frames: Deque[bytes] = field(default_factory=deque)
    total: Optional[int] = None
    started: bool = False
    finished: bool = False


class Session(Participant):
    """The part of `Videochat` and `Chatroom` that does not depend on the protocol.

    Every method may be called from any thread. `on_event` is called on the thread that receives (a failed
    recipient of `send_all`: on the caller's); it may call `send`, but nothing that waits. `with` ends the
    session politely.
    """

    def __init__(self, wire: Wire, name: str, on_event: Optional[Callable[[Event], None]]) -> None:
        super().__init__(name, on_event)
        self._wire = wire
        self._sending = threading.RLock()
        self._question = threading.Lock()  # answers carry no number: one question at a time
        self._own_pem = ""
        self._registered = False
        self._users: Dict[str, str] = {}
        self._keys: Dict[str, Optional[rsa.RSAPublicKey]] = {}
        self._viewing: Optional[_Viewing] = None
        self._asking = False
        self._refusal: Optional[str] = None
        self._thread = threading.Thread(target=self._receive, name=f"receive {name}", daemon=True)

    # what a protocol provides

    def _receive_one(self) -> None:
        """Read one message and do what it says; ClientError ends the session."""
        raise NotImplementedError

    def _say_goodbye(self) -> None:
        raise NotImplementedError

    def _is_own_key(self, pem: str) -> bool:
        raise NotImplementedError

    def _send_parts(self, to: str, key: rsa.RSAPublicKey, text: str) -> int:
        """Encrypt a text for one user and send it, in as many messages as it needs; say how many."""
        raise NotImplementedError

    def videos(self, timeout: float = 30.0) -> List[str]:
        """What can be watched, as the server names it."""
        raise NotImplementedError

    def watch(
        self, choice: str, on_frame: Optional[Callable[[Frame], None]] = None, timeout: float = 30.0
    ) -> Summary:
        """Watch a video to its end; `on_frame` is called for each frame, on this thread.

        `timeout` is the longest silence, not the length of the video. ServerError: there is no such video.
        Don't ask for another video or list from within `on_frame`.
        """
        raise NotImplementedError

    # people and messages

    def __exit__(self, *_: object) -> None:
        self.quit()

    @property
    def users(self) -> Dict[str, str]:
        """Who is here, ourselves included: name → public key as PEM."""
        with self._changed:
            return dict(self._users)

    def wait_for(self, name: str, timeout: float = 30.0) -> None:
        self._wait(lambda: name in self._users, timeout, f"nobody called {name} came")

    def wait_until_gone(self, name: str, timeout: float = 30.0) -> None:
        self._wait(lambda: name not in self._users, timeout, f"{name} did not leave")

    def send(self, to: str, text: str) -> int:
        with self._changed:
            pem = self._users.get(to)
        if pem is None:
            raise ClientError(f"nobody here is called {to}")
        key = self._key(pem)
        if key is None:
            raise ClientError(f"{to} has no usable public key")
        with self._sending:
            return self._send_parts(to, key, text)

    def send_all(self, text: str) -> int:
        """Send to everybody else who can read it, encrypted for each; the result says to how many.

        The bot is left out: it would answer everything. It is written to by its name.
        """
        reached = 0
        with self._changed:
            others = [(name, pem) for name, pem in self._users.items() if name != self.name and reads_all(name)]
        for name, pem in others:
            key = self._key(pem)
            if key is None:
                self._happened(Event("error", name, f"{name} has no usable public key"))
                continue
            with self._sending:
                self._send_parts(name, key, text)
            reached += 1
        return reached

    def quit(self, timeout: float = 5.0) -> None:
        """Say goodbye, wait until the server has closed, at most for that time, and close."""
        with self._changed:
            if self._leaving:
                return
            self._leaving = True
            self._viewing = None
            self._changed.notify_all()
            over = self._ended is not None
        if not over:
            try:
                self._say_goodbye()
                with self._changed:
                    self._changed.wait_for(lambda: self._ended is not None, timeout)
            except ClientError:
                pass  # it is gone already, which is what we want
        self._wire.hang_up()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout)
        self._wire.close()

    # for the protocols

    def _start(self) -> None:
        """Receive until our own name is known, then go on in the background."""
        try:
            while not self._registered:
                self._receive_one()
            self._wire.set_timeout(None)
        except BaseException:
            self._wire.close()
            raise
        self._thread.start()

    def _receive(self) -> None:
        reason: Optional[ClientError] = None
        try:
            while True:
                self._receive_one()
        except ClientError as error:
            reason = error
        except Exception as error:
            reason = ClientError(f"internal error: {error!r}")
            raise  # for the traceback
        finally:
            self._over(reason or ConnectionLost("connection lost"))

    def _key(self, pem: str) -> Optional[rsa.RSAPublicKey]:
        with self._changed:
            if pem not in self._keys:
                try:
                    self._keys[pem] = load_public_key(pem)
                except ValueError:
                    self._keys[pem] = None
            return self._keys[pem]

    def _update_users(self, data: Any) -> None:
        """Take over the full list. What changed is found by comparing: updates may be merged on their way."""
        if not isinstance(data, dict):
            raise ProtocolError("the server sent a list of users that is none")
        new = {name: str(pem) for name, pem in data.items()}
        with self._changed:
            old, self._users = self._users, new
            if not self._registered:
                for name, pem in new.items():
                    if self._is_own_key(pem):
                        self.name, self._registered = name, True
                old = new  # who was here before us did not join
            self._changed.notify_all()
        for name in old:
            if new.get(name) != old[name]:
                self._happened(Event("left", name))
        for name in new:
            if old.get(name) != new[name]:
                self._happened(Event("joined", name))

    def _refused(self, reason: str) -> None:
        """The server said no: to the question under way, or to something else that we sent."""
        with self._changed:
            answered = self._asking
            if answered:
                self._refusal, self._asking = reason, False
                self._changed.notify_all()
        if not answered:
            self._happened(Event("error", "", reason))

    def _ask(self) -> None:
        with self._changed:
            self._asking, self._refusal = True, None

    def _answer(self, look: Callable[[], Any], timeout: float, failure: str) -> Any:
        """Wait for what `look` finds or for a refusal, whichever comes first."""
        try:
            found = self._wait(lambda: self._refusal or look(), timeout, failure)
            if self._refusal is not None:
                raise ServerError(self._refusal)
            return found
        finally:
            with self._changed:
                self._asking = False

    def _view(self) -> _Viewing:
        with self._changed:
            self._viewing = _Viewing()
            return self._viewing

    def _stop_viewing(self) -> None:
        """Whatever still comes of the video is dropped."""
        with self._changed:
            self._viewing = None
            self._changed.notify_all()

    def _stream_started(self, total: Optional[int]) -> None:
        with self._changed:
            self._asking = False
            if self._viewing is not None:
                self._viewing.started, self._viewing.total = True, total
                self._changed.notify_all()

    def _frame_arrived(self, jpeg: bytes) -> None:
        with self._changed:
            viewing = self._viewing
            if viewing is None:
                return
            self._changed.wait_for(
                lambda: self._viewing is not viewing or len(viewing.frames) < WAITING_FRAMES
            )
            viewing.frames.append(jpeg)
            self._changed.notify_all()

    def _stream_finished(self) -> None:
        with self._changed:
            if self._viewing is not None:
                self._viewing.finished = True
                self._changed.notify_all()

    def _play(self, viewing: _Viewing, on_frame: Optional[Callable[[Frame], None]], timeout: float) -> Summary:
        """Hand the frames of a stream that has started to `on_frame` until it ends."""
        summary = Summary()
        began = time.monotonic()
        while True:
            self._wait(lambda: viewing.frames or viewing.finished, timeout, "no further frame came")
            with self._changed:
                if not viewing.frames:
                    break
                jpeg = viewing.frames.popleft()
                self._changed.notify_all()
            if summary.frames == 0:
                began = time.monotonic()
            width, height = jpeg_size(jpeg) or (0, 0)
            frame = Frame(summary.frames + 1, viewing.total, width, height, jpeg)
            summary.add(frame)
            summary.seconds = time.monotonic() - began
            if on_frame is not None:
                on_frame(frame)
        summary.seconds = time.monotonic() - began
        return summary
