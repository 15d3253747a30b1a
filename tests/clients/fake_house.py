"""Small servers for both protocols, in this process, so that the clients can be tested by themselves.

`Peer` runs a function against one connection: for a test that wants to decide about every byte. `FakeVideochat`
and `FakeChatroom` have users that meet, as far as the tests need it.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from support import PATIENCE

ALONE_GAP = 0.03  # what a server leaves after a message that has no length


class Server:
    """Accepts on a free port; each connection has a thread. What goes wrong in one fails the test at the end."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.failures: List[BaseException] = []
        self._threads: List[threading.Thread] = []
        self._sockets: List[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def serve(self, sock: socket.socket) -> None:
        raise NotImplementedError

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.settimeout(PATIENCE)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.append(sock)
            thread = threading.Thread(target=self._run, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, sock: socket.socket) -> None:
        try:
            self.serve(sock)
        except ConnectionError:
            pass
        except BaseException as failure:
            self.failures.append(failure)
        finally:
            sock.close()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(PATIENCE)
        if kind is not None:  # the test has failed already: don't wait for what it left
            for sock in self._sockets:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        for thread in self._threads:
            thread.join(PATIENCE)
            if thread.is_alive():
                self.failures.append(AssertionError("a connection was left open"))
        if kind is None and self.failures:
            raise AssertionError(f"in the fake server: {self.failures!r}") from self.failures[0]


class Peer(Server):
    def __init__(self, behaviour: Callable[[socket.socket], None]) -> None:
        self._behaviour = behaviour
        super().__init__()

    def serve(self, sock: socket.socket) -> None:
        self._behaviour(sock)


def read_exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise ConnectionError("closed")
        data += more
    return data


def read_pem(sock: socket.socket) -> str:
    data = b""
    while b"-----END" not in data or not data.rstrip().endswith(b"KEY-----"):
        more = sock.recv(4096)
        if not more:
            raise ConnectionError("closed")
        data += more
    return data.decode()


def read_to_end(sock: socket.socket) -> bytes:
    data = b""
    while True:
        more = sock.recv(4096)
        if not more:
            return data
        data += more


def free_name(wanted: str, taken: Any) -> str:
    number, name = 1, wanted
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name


# videochat


def pack_json(message: Any) -> bytes:
    body = json.dumps(message).encode()
    return struct.pack(">BI", 1, len(body)) + body


def pack_frame(jpeg: bytes) -> bytes:
    return struct.pack(">BI", 2, 16 + len(jpeg)) + str(len(jpeg)).ljust(16).encode() + jpeg


def read_json(sock: socket.socket) -> Any:
    kind, length = struct.unpack(">BI", read_exactly(sock, 5))
    assert kind == 1, kind
    return json.loads(read_exactly(sock, length))


def greet_videochat(sock: socket.socket) -> Tuple[str, str]:
    """The prompts; (name, PEM) of the client."""
    sock.sendall(b"Enter your name: ")
    name = sock.recv(1024).decode()
    sock.sendall(b"Enter the public key: ")
    return name, read_pem(sock)


class FakeVideochat(Server):
    def __init__(self, videos: Optional[Dict[str, List[bytes]]] = None) -> None:
        self.videos = videos or {}
        # called on the streaming thread before each frame, with its number: lets a test do things meanwhile
        self.before_frame: Callable[[int], None] = lambda number: None
        self.users: Dict[str, Tuple[str, socket.socket]] = {}
        self._lock = threading.RLock()
        super().__init__()

    def serve(self, sock: socket.socket) -> None:
        wanted, pem = greet_videochat(sock)
        with self._lock:
            name = free_name(wanted, self.users)
            self.users[name] = (pem, sock)
            self._to_all(self._presence("broadcast_message", name))
        try:
            while self._answer(sock, name, read_json(sock)):
                pass
        finally:
            with self._lock:
                del self.users[name]
                self._to_all(self._presence("AFK", name))

    def _answer(self, sock: socket.socket, name: str, message: Any) -> bool:
        identifier = message["identifier"]
        if identifier == "Communication":
            self._to_all({**message, "from": name})
        elif identifier == "Video List":
            self._send(sock, {"identifier": "Video List", "data": sorted(self.videos)})
        elif identifier == "Video Choice":
            if message["choice"] not in self.videos:
                self._send(sock, {"identifier": "Error", "message": f"no such video: {message['choice']}"})
                return True
            # on a thread of its own: chat goes on meanwhile
            frames = self.videos[message["choice"]]
            thread = threading.Thread(target=self._stream, args=(sock, frames), daemon=True)
            self._threads.append(thread)
            thread.start()
        elif identifier == "QUIT":
            self._send(sock, {"identifier": "Disconnection"})
            return False
        return True

    def _stream(self, sock: socket.socket, frames: List[bytes]) -> None:
        try:
            self._send(sock, {"identifier": "Video Frame"})
            for number, jpeg in enumerate(frames, 1):
                self.before_frame(number)
                with self._lock:
                    sock.sendall(pack_frame(jpeg))
            self._send(sock, {"identifier": "Video Finish"})
        except OSError:
            pass  # the viewer left

    def _presence(self, identifier: str, name: str) -> Any:
        return {"identifier": identifier, "name": name, "data": {n: pem for n, (pem, _) in self.users.items()}}

    def _send(self, sock: socket.socket, message: Any) -> None:
        with self._lock:
            sock.sendall(pack_json(message))

    def _to_all(self, message: Any) -> None:
        with self._lock:
            for _, sock in self.users.values():
                try:
                    sock.sendall(pack_json(message))
                except OSError:
                    pass  # it is about to be missed


# chatroom

# Never used for anything but being shown.
SERVER_PEM = (
    rsa.generate_private_key(65537, 1024)
    .public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1)
)


def send_alone(sock: socket.socket, data: bytes) -> None:
    sock.sendall(data)
    time.sleep(ALONE_GAP)  # the gap is part of the protocol


def greet_chatroom(sock: socket.socket) -> Tuple[str, str]:
    send_alone(sock, SERVER_PEM)
    name = sock.recv(1024).decode()
    send_alone(sock, b"OK")
    return name, read_pem(sock)


def pack_users(users: Dict[str, str]) -> bytes:
    return b"URIF" + json.dumps(users, separators=(",", ":"), ensure_ascii=False).encode()


class FakeChatroom(Server):
    """Knows keys of 1024 and 2048 bits."""

    def __init__(self, videos: Optional[Dict[str, List[bytes]]] = None) -> None:
        self.videos = videos or {}
        self.before_frame: Callable[[int], None] = lambda number: None
        self.users: Dict[str, Tuple[str, socket.socket]] = {}
        self._busy: Dict[str, List[bytes]] = {}  # who is watching, and what came for them meanwhile
        self._lock = threading.RLock()
        super().__init__()

    def serve(self, sock: socket.socket) -> None:
        wanted, pem = greet_chatroom(sock)
        with self._lock:
            name = free_name(wanted, self.users)
            self.users[name] = (pem.strip(), sock)
            self._tell_users()
        try:
            self._choose(sock, name)
        finally:
            with self._lock:
                del self.users[name]
                self._tell_users()

    def _choose(self, sock: socket.socket, name: str) -> None:
        while True:
            service = b""
            while not service.endswith(b"]"):
                service += read_exactly(sock, 1)
            if service == b"[CHAT]":
                self._chat(sock)
            elif service == b"[STREAM]":
                self._stream(sock, name)
            elif service == b"[DISCONNECT]":
                return
            else:
                raise AssertionError(f"not a service: {service!r}")

    def _chat(self, sock: socket.socket) -> None:
        while True:
            header = read_exactly(sock, 4)
            if header == b"QUIT":
                return
            assert header == b"CHAT", header
            block = read_exactly(sock, 128)
            # A larger block goes on at once. Whatever follows a smaller one begins with a word.
            if select.select([sock], [], [], 0.01)[0]:
                following = sock.recv(4, socket.MSG_PEEK)
                if following and following not in (b"CHAT", b"QUIT"):
                    block += read_exactly(sock, 128)
            self._to_all(b"CHAT" + block)

    def _stream(self, sock: socket.socket, name: str) -> None:
        body = json.dumps(list(self.videos)).encode()
        with self._lock:
            send_alone(sock, b"STLI" + struct.pack(">I", len(body)))
            send_alone(sock, body)
        frames = self.videos.get(sock.recv(1024).decode(), [])
        with self._lock:
            self._busy[name] = []
            send_alone(sock, b"STRM" + struct.pack(">I", len(frames)))
        for number, jpeg in enumerate(frames, 1):
            self.before_frame(number)
            sock.sendall(struct.pack(">Q", len(jpeg)) + jpeg)
        with self._lock:
            for message in self._busy.pop(name):
                send_alone(sock, message)

    def _tell_users(self) -> None:
        self._to_all(pack_users({name: pem for name, (pem, _) in self.users.items()}))

    def _to_all(self, message: bytes) -> None:
        with self._lock:
            for name, (_, sock) in self.users.items():
                if name in self._busy:
                    self._busy[name].append(message)
                    continue
                try:
                    sock.sendall(message)
                except OSError:
                    pass
            time.sleep(ALONE_GAP)
