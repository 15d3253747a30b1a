"""Clients as people wrote them for the first servers of these protocols.

They call `recv` once and take what comes for one whole message. That works only as long as a server keeps its
messages apart, which is what these clients are here to find out: nothing in them may be made more careful.
"""

from __future__ import annotations

import base64
import json
import pickle
import queue
import select
import socket
import struct
import threading
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, TextIO, Tuple

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from support import PATIENCE

from playhouse_clients.chatroom import decrypt


def receive_all(sock: socket.socket, size: int) -> bytes:
    """The one thing that they read in a loop: a picture."""
    data = b""
    while len(data) < size:
        packet = sock.recv(size - len(data))
        if not packet:
            raise ConnectionError("closed in the middle of a frame")
        data += packet
    return data


class OldVideochat:
    def __init__(self, host: str, port: int, name: str) -> None:
        self.name = name
        self.clients: Dict[str, str] = {}
        self.private_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = self.private_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.sock = socket.create_connection((host, port), PATIENCE)
        self.prompts = [self.sock.recv(1024).decode()]
        self.sock.send(name.encode())
        self.prompts.append(self.sock.recv(1024).decode())
        self.sock.send(pem)

    def receive(self) -> Tuple[str, Any]:
        """("frame", JPEG) or (identifier, the message)."""
        header = self.sock.recv(5)
        kind, length = struct.unpack(">BI", header)
        if kind == 2:
            size = int(receive_all(self.sock, 16).decode().strip())
            assert length == 16 + size, (length, size)
            return "frame", receive_all(self.sock, size)
        message = json.loads(self.sock.recv(length).decode())
        identifier = message["identifier"]
        if identifier in ("broadcast_message", "AFK"):
            self.clients = message["data"]
        return identifier, message

    def receive_until(self, wanted: Callable[[str, Any], bool]) -> Any:
        while True:
            identifier, message = self.receive()
            if wanted(identifier, message):
                return message

    def send(self, message: Any) -> None:
        body = json.dumps(message).encode()
        self.sock.send(struct.pack(">BI", 1, len(body)) + body)

    def say(self, to: str, text: str) -> None:
        key: Any = serialization.load_pem_public_key(self.clients[to].encode())
        encrypted = key.encrypt(text.encode(), self._oaep())
        self.send(
            {
                "identifier": "Communication",
                "encrypt_message": base64.b64encode(encrypted).decode(),
                "from": self.name,
            }
        )

    def decrypt(self, message: Any) -> Optional[str]:
        try:
            return self.private_key.decrypt(base64.b64decode(message["encrypt_message"]), self._oaep()).decode()
        except ValueError:
            return None

    def videos(self) -> List[str]:
        self.send({"identifier": "Video List"})
        names: List[str] = self.receive_until(lambda identifier, _: identifier == "Video List")["data"]
        return names

    def watch(self, choice: str) -> List[bytes]:
        self.send({"identifier": "Video Choice", "choice": choice, "from": self.name})
        self.receive_until(lambda identifier, _: identifier == "Video Frame")
        frames = []
        while True:
            identifier, message = self.receive()
            if identifier == "frame":
                frames.append(message)
            elif identifier == "Video Finish":
                return frames

    def quit(self) -> None:
        self.send({"identifier": "QUIT"})
        self.receive_until(lambda identifier, _: identifier == "Disconnection")
        self.sock.close()

    @staticmethod
    def _oaep() -> padding.OAEP:
        return padding.OAEP(mgf=padding.MGF1(algorithm=hashes.SHA256()), algorithm=hashes.SHA256(), label=None)


class OldChatroom:
    """Good for three users: the list of four no longer fits its `recv(1024)`.

    A thread reads all the time, as theirs did: what lies unread joins up, however the server wrote it.
    """

    def __init__(self, host: str, port: int, name: str) -> None:
        self.name = name
        self.users: Dict[str, str] = {}
        self.private_key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
        pem = self.private_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.PKCS1
        )
        self.sock = socket.create_connection((host, port), PATIENCE)
        self.server_key = serialization.load_pem_public_key(self.sock.recv(1024))
        self.sock.send(name.encode())
        self.answer = self.sock.recv(1024)
        self.sock.send(pem)
        self.received: "queue.Queue[Any]" = queue.Queue()
        threading.Thread(target=self._receive_always, daemon=True).start()
        self.receive()  # the first list of users

    def receive(self) -> Tuple[str, Any]:
        """(header, what came with it): of a message its text, or None where it was for somebody else."""
        received = self.received.get(timeout=PATIENCE)
        if isinstance(received, Exception):
            raise received
        header, content = received
        if header == "URIF":
            self.users = content
        return header, content

    def _receive_always(self) -> None:
        while True:
            try:
                self.received.put(self._receive_one())
            except Exception as failure:
                self.received.put(failure)
                return

    def _receive_one(self) -> Tuple[str, Any]:
        message = self.sock.recv(1024)
        header = message[:4].decode()
        if header == "URIF":
            return header, json.loads(message[4:].decode())
        if header == "CHAT":
            # A test may not go by luck, so this is the one thing done better: see `decrypt`.
            return header, decrypt(self.private_key, message[4:])
        if header == "STLI":
            (length,) = struct.unpack(">I", message[4:])
            return header, json.loads(self.sock.recv(length).decode())
        if header == "STRM":
            (count,) = struct.unpack(">I", message[4:])
            frames = []
            for _ in range(count):
                (size,) = struct.unpack(">Q", self.sock.recv(8))
                frames.append(receive_all(self.sock, size))
            return header, frames
        raise AssertionError(f"what is {message!r}?")

    def receive_until(self, wanted: Callable[[str, Any], bool]) -> Any:
        while True:
            header, content = self.receive()
            if wanted(header, content):
                return content

    def enter_chat(self) -> None:
        self.sock.send(b"[CHAT]")

    def say(self, to: str, text: str) -> None:
        key: Any = serialization.load_pem_public_key(self.users[to].encode())
        self.sock.send(b"CHAT" + key.encrypt(text.encode(), padding.PKCS1v15()))

    def leave_chat(self) -> None:
        self.sock.send(b"QUIT")

    def watch(self, choice: str) -> Tuple[List[str], List[bytes]]:
        """(all videos, the frames of that one)"""
        self.sock.send(b"[STREAM]")
        videos = self.receive_until(lambda header, _: header == "STLI")
        self.sock.send(choice.encode())
        return videos, self.receive_until(lambda header, _: header == "STRM")

    def disconnect(self) -> None:
        self.sock.send(b"[DISCONNECT]")
        self.sock.shutdown(socket.SHUT_RDWR)  # ends the thread
        self.sock.close()


def old_lan_file(host: str, port: int, path: Path) -> None:
    """All that comes, until nothing does, into a file."""
    with socket.create_connection((host, port), PATIENCE) as sock, path.open("wb") as file:
        while True:
            data = sock.recv(1024)
            if not data:
                return
            file.write(data)


class OldLanChat:
    """Looks at what is typed and at the server in turns, and shows whatever one `recv` brings."""

    def __init__(self, host: str, port: int, typed: TextIO) -> None:
        self.sock = socket.create_connection((host, port), PATIENCE)
        self.typed = typed
        self.shown = ""

    def turn(self) -> None:
        """Wait for something to read, and read it."""
        sources: List[Any] = [self.typed, self.sock]
        readable, _, _ = select.select(sources, [], [], PATIENCE)
        assert readable, "nothing came"
        for each in readable:
            if each is self.sock:
                message = self.sock.recv(2048)
                assert message, "the server closed"
                self.shown += message.decode()
            else:
                self.sock.send(self.typed.readline().encode())

    def show_until(self, text: str) -> None:
        while not self.shown.endswith(text):
            self.turn()

    def __enter__(self) -> "OldLanChat":
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()


class OldSpeaker:
    """A stream of 16 bit samples, to which nothing else can be written."""

    def __init__(self) -> None:
        self.played = b""

    def write(self, data: bytes) -> None:
        if len(data) % 2:
            raise ValueError(f"{len(data)} bytes are not whole samples")
        self.played += data


def old_lan_audio(host: str, port: int, stream: OldSpeaker, length: int) -> None:
    """Play so many bytes, each piece as it comes."""
    with socket.create_connection((host, port), PATIENCE) as sock:
        while len(stream.played) < length:
            data = sock.recv(4096)
            assert data, "the server closed"
            stream.write(data)


class OldLanVideo:
    """A camera. `length` is how its system packs a C long: `<L` is what Windows makes of `L`."""

    def __init__(self, host: str, port: int, length: str = "L") -> None:
        self.sock = socket.create_connection((host, port), PATIENCE)
        self.length = length

    def send(self, frame: Any) -> None:
        data = pickle.dumps(frame)
        message_size = struct.pack(self.length, len(data))
        self.sock.sendall(message_size + data)

    def __enter__(self) -> "OldLanVideo":
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()
