"""The videochat client: encrypted messages for one user or everybody, videos between them.

After two prompts every message is a type (u8), a length (u32, big-endian) and a body: type 1 is JSON with an
`identifier`, type 2 a frame. Messages are encrypted with RSA-OAEP (SHA-256) for their recipient; the server
passes each to everybody and only the recipient can read it. People of other services are in the list as
`name@service`: their keys are the server's, which reads what is for them and passes it on.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from typing import Any, Callable, List, Optional

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from .frames import Frame, Summary
from .keys import same_key
from .people import Event
from .session import Session
from .wire import ConnectionLost, ProtocolError, ServerError, Wire, open_socket, split_text

DEFAULT_PORT = 10000
KEY_BITS = 2048
JSON_MESSAGE = 1
FRAME_MESSAGE = 2
FRAME_SIZE_DIGITS = 16  # decimal, left-justified, in front of each JPEG

NAME_PROMPT = b"Enter your name: "
KEY_PROMPT = b"Enter the public key: "
# Before the key, the server's errors are plain text.
REFUSAL = b"Error: "

OAEP = padding.OAEP(mgf=padding.MGF1(algorithm=hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
OAEP_OVERHEAD = 2 * 32 + 2  # two SHA-256 digests and two bytes: 190 of 256 bytes are left for text


class Videochat(Session):
    """A user in videochat. `connect` returns when the server has registered us."""

    @classmethod
    def connect(
        cls,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        name: str = "guest",
        *,
        on_event: Optional[Callable[[Event], None]] = None,
        timeout: float = 10.0,
    ) -> "Videochat":
        private_key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        wire = Wire(open_socket(host, port, timeout))
        session = cls(wire, name, on_event)
        session._private_key = private_key
        session._own_pem = (
            private_key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode("ascii")
        )
        try:
            session._expect(NAME_PROMPT)
            wire.send(name.encode("utf-8"))
            session._expect(KEY_PROMPT)
            wire.send(session._own_pem.encode("ascii"))
        except BaseException:
            wire.close()
            raise
        session._start()
        return session

    _private_key: rsa.RSAPrivateKey
    _list: Optional[List[str]] = None

    def videos(self, timeout: float = 30.0) -> List[str]:
        """The files that can be watched, such as `wildlife_240p.mp4`."""
        with self._question:
            self._list = None
            self._ask()
            self._send_json({"identifier": "Video List"})
            self._answer(lambda: self._list is not None, timeout, "no list of videos came")
            return list(self._list or [])

    def watch(
        self, choice: str, on_frame: Optional[Callable[[Frame], None]] = None, timeout: float = 30.0
    ) -> Summary:
        """See `Session.watch`. Any quality of a video stands for all of them: the stream goes through each."""
        with self._question:
            viewing = self._view()
            try:
                self._ask()
                self._send_json({"identifier": "Video Choice", "choice": choice, "from": self.name})
                self._answer(lambda: viewing.started or viewing.finished, timeout, "the video did not begin")
                return self._play(viewing, on_frame, timeout)
            finally:
                self._stop_viewing()

    def _expect(self, prompt: bytes) -> None:
        if self._wire.peek(1) == bytes([JSON_MESSAGE]):  # too early for a message, unless it is a refusal
            self._receive_one()
        said = self._wire.exact(len(prompt))
        if said.startswith(REFUSAL):
            while not said.endswith(b"\n"):
                said += self._wire.exact(1)
            raise ServerError(said[len(REFUSAL) :].decode("utf-8", "replace").strip())
        if said != prompt:
            raise ProtocolError("this is no videochat server: it does not say " + prompt.decode().strip())

    def _receive_one(self) -> None:
        kind, length = struct.unpack(">BI", self._wire.exact(5))
        body = self._wire.exact(length)
        if kind == FRAME_MESSAGE:
            self._frame_arrived(body[FRAME_SIZE_DIGITS:])
        elif kind == JSON_MESSAGE:
            try:
                message = json.loads(body)
                identifier = message["identifier"]
            except (ValueError, TypeError, KeyError):
                raise ProtocolError("the server sent something that is no message") from None
            self._handle(identifier, message)
        else:
            raise ProtocolError(f"the server sent a message of the unknown type {kind}")

    def _handle(self, identifier: str, message: Any) -> None:
        if identifier in ("broadcast_message", "AFK"):
            self._update_users(message.get("data"))
        elif identifier == "Communication":
            text = self._decrypt(str(message.get("encrypt_message", "")))
            if text is not None:
                self._message_arrived(str(message.get("from", "")), text)
        elif identifier == "Video List":
            with self._changed:
                self._list = [str(name) for name in message.get("data") or []]
                self._changed.notify_all()
        elif identifier == "Video Frame":
            self._stream_started(None)
        elif identifier == "Video Finish":
            self._stream_finished()
        elif identifier == "Error":
            reason = str(message.get("message", "the server reports an error"))
            if not self._registered:
                raise ServerError(reason)
            self._refused(reason)
        elif identifier == "Disconnection":
            raise ConnectionLost("connection lost: the server ended the session")
        # Anything else is from a newer server and not meant for this client.

    def _decrypt(self, encrypted: str) -> Optional[str]:
        """The text if it was for us. OAEP tells: a block for another key fails to decrypt."""
        try:
            return self._private_key.decrypt(base64.b64decode(encrypted), OAEP).decode("utf-8")
        except (ValueError, binascii.Error):
            return None

    def _send_parts(self, to: str, key: rsa.RSAPublicKey, text: str) -> int:
        parts = split_text(text, (key.key_size + 7) // 8 - OAEP_OVERHEAD)
        for part in parts:
            block = key.encrypt(part.encode("utf-8"), OAEP)
            self._send_json(
                {
                    "identifier": "Communication",
                    "encrypt_message": base64.b64encode(block).decode("ascii"),
                    "from": self.name,
                    "to": to,  # of use only where the server reads it, for somebody of another service
                }
            )
        return len(parts)

    def _send_json(self, message: Any) -> None:
        body = json.dumps(message).encode("utf-8")
        with self._sending:
            self._wire.send(struct.pack(">BI", JSON_MESSAGE, len(body)) + body)

    def _say_goodbye(self) -> None:
        self._send_json({"identifier": "QUIT"})

    def _is_own_key(self, pem: str) -> bool:
        return same_key(pem, self._own_pem)


def main() -> int:
    from . import console
    from .watching import VideoConsole

    def connect(options: Any, host: str, port: int, name: str, on_event: Callable[[Event], None]) -> Session:
        return Videochat.connect(host, port, name, on_event=on_event, timeout=options.timeout)

    return console.main("videochat", DEFAULT_PORT, connect, VideoConsole)


if __name__ == "__main__":
    raise SystemExit(main())
