"""The chatroom library against servers in this process."""

from __future__ import annotations

import json
import socket
import struct
import threading
import unittest
from typing import Dict, List

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from fake_house import FakeChatroom, Peer, greet_chatroom, pack_users, read_to_end, send_alone
from support import PATIENCE, Events, fake_jpeg

from playhouse_clients import Chatroom, ClientError, ConnectionLost, ProtocolError, ServerError
from playhouse_clients.chatroom import decrypt
from playhouse_clients.keys import load_public_key

CLIP = [fake_jpeg(426, 240, bytes(1000))] * 3 + [fake_jpeg(854, 480, bytes(4000))] * 5


def pem_of(key: rsa.RSAPrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1)
        .decode()
    )


class PeopleTest(unittest.TestCase):
    def test_messages_reach_only_their_recipient(self) -> None:
        with FakeChatroom() as house:
            with Chatroom.connect("127.0.0.1", house.port, "anna") as anna, Chatroom.connect(
                "127.0.0.1", house.port, "bob"
            ) as bob, Chatroom.connect("127.0.0.1", house.port, "carl") as carl:
                anna.wait_for("carl", PATIENCE)
                self.assertEqual(anna.send("bob", "grüße: 😀"), 1)
                message = bob.wait_message(timeout=PATIENCE)
                self.assertEqual((message.sender, message.text), ("anna", "grüße: 😀"))
                bob.wait_for("carl", PATIENCE)
                self.assertEqual(bob.send_all("to all"), 2)
                self.assertEqual(anna.wait_message("bob", PATIENCE).text, "to all")
                self.assertEqual(carl.wait_message(timeout=PATIENCE).text, "to all")
                self.assertEqual([message.text for message in carl.messages()], ["to all"])

    def test_keys_of_different_sizes(self) -> None:
        with FakeChatroom() as house:
            with Chatroom.connect("127.0.0.1", house.port, "small") as small, Chatroom.connect(
                "127.0.0.1", house.port, "large", bits=2048
            ) as large, Chatroom.connect("127.0.0.1", house.port, "other") as other:
                small.wait_for("other", PATIENCE)
                for number in range(5):
                    small.send("large", f"large {number}")
                    small.send("other", f"other {number}")
                    small.send("small", f"small {number}")
                for user, name in ((small, "small"), (large, "large"), (other, "other")):
                    texts = [user.wait_message("small", PATIENCE).text for _ in range(5)]
                    self.assertEqual(texts, [f"{name} {number}" for number in range(5)])

    def test_long_texts_arrive_in_parts(self) -> None:
        text = "ö" * 200 + "😀" * 30
        with FakeChatroom() as house:
            with Chatroom.connect("127.0.0.1", house.port, "anna") as anna:
                parts = anna.send("anna", text)
                self.assertEqual(parts, 5)
                received = [anna.wait_message("anna", PATIENCE).text for _ in range(parts)]
                self.assertEqual("".join(received), text)

    def test_presence_and_taken_names(self) -> None:
        events = Events()
        with FakeChatroom() as house:
            with Chatroom.connect("127.0.0.1", house.port, "anna", on_event=events):
                with Chatroom.connect("127.0.0.1", house.port, "anna") as second:
                    self.assertEqual(second.name, "anna-2")
                    self.assertEqual(second.others, ["anna"])
                    events.wait("joined", "anna-2")
                events.wait("left", "anna-2")
                self.assertEqual(events.kinds(), ["joined", "left"])

    def test_a_name_that_leaves_no_room(self) -> None:
        with FakeChatroom() as house:
            with Chatroom.connect("127.0.0.1", house.port, "a" * 110) as anna:
                with self.assertRaisesRegex(ClientError, "no room"):
                    anna.send("a" * 110, "hello")


class ListTest(unittest.TestCase):
    def test_a_list_far_over_1024_bytes_in_pieces(self) -> None:
        pem = pem_of(rsa.generate_private_key(65537, 1024))

        def behaviour(sock: socket.socket) -> None:
            name, own = greet_chatroom(sock)
            users: Dict[str, str] = {f"üser {number} }}": pem for number in range(50)}
            users[name] = own
            message = pack_users(users)
            for at in range(0, len(message), 1024):
                sock.sendall(message[at : at + 1024])
            read_to_end(sock)

        with Peer(behaviour) as house:
            with Chatroom.connect("127.0.0.1", house.port, "anna") as anna:
                self.assertEqual(len(anna.others), 50)


class BlockTest(unittest.TestCase):
    """Messages without a length, in a room with keys of two sizes, at their worst."""

    def receive(self, arrange: str) -> List[str]:
        small = rsa.generate_private_key(65537, 1024)
        large = rsa.generate_private_key(65537, 2048)

        def behaviour(sock: socket.socket) -> None:
            name, own = greet_chatroom(sock)
            users = pack_users({name: own, "small": pem_of(small), "large": pem_of(large)})
            to_us = load_public_key(own)

            def block(key: rsa.RSAPublicKey, text: str) -> bytes:
                return b"CHAT" + key.encrypt(text.encode(), padding.PKCS1v15())

            messages = [
                block(large.public_key(), "x"),
                block(to_us, "large: one"),
                block(small.public_key(), "x"),
                block(large.public_key(), "x"),
                block(to_us, "from an old client"),
                users,
                block(to_us, "nobody: here"),
                b"CHAT" + bytes(range(1, 101)),  # of a size that nobody has
                block(to_us, "small: two"),
            ]
            send_alone(sock, users)
            if arrange == "together":
                sock.sendall(b"".join(messages))
            else:
                for message in messages:
                    send_alone(sock, message)
            read_to_end(sock)

        with Peer(behaviour) as house:
            with Chatroom.connect("127.0.0.1", house.port, "anna") as anna:
                found = [anna.wait_message(timeout=PATIENCE) for _ in range(4)]
        return [f"{message.sender}|{message.text}" for message in found]

    EXPECTED = ["large|one", "|from an old client", "|nobody: here", "small|two"]

    def test_alone(self) -> None:
        self.assertEqual(self.receive("alone"), self.EXPECTED)

    def test_together(self) -> None:
        self.assertEqual(self.receive("together"), self.EXPECTED)

    def test_decrypt_takes_only_what_was_for_us(self) -> None:
        ours = rsa.generate_private_key(65537, 1024)
        other = rsa.generate_private_key(65537, 1024)
        for text in ("hello", "ä" * 58, "tab\tand\nline"):
            block = ours.public_key().encrypt(text.encode(), padding.PKCS1v15())
            self.assertEqual(decrypt(ours, block), text)
            self.assertIsNone(decrypt(ours, block[:-1]))
        for number in range(200):
            self.assertIsNone(decrypt(ours, other.public_key().encrypt(b"hello", padding.PKCS1v15())))
        for bad in (b"\xff\xfe", b"bell\x07", b"\x1b[2J"):
            self.assertIsNone(decrypt(ours, ours.public_key().encrypt(bad, padding.PKCS1v15())))
        self.assertIsNone(decrypt(ours, b"\xff" * 128))
        self.assertIsNone(decrypt(ours, b""))


class VideosTest(unittest.TestCase):
    def test_watching_between_messages(self) -> None:
        with FakeChatroom({"clip": CLIP}) as house:
            with Chatroom.connect("127.0.0.1", house.port, "anna") as anna:
                anna.send("anna", "before")
                self.assertEqual(anna.videos(PATIENCE), ["clip"])
                anna.send("anna", "between")
                frames = []
                summary = anna.watch("clip", frames.append, PATIENCE)
                self.assertEqual([frame.jpeg for frame in frames], CLIP)
                self.assertEqual(frames[7][:4], (8, 8, 854, 480))
                self.assertEqual((summary.frames, summary.bytes), (8, sum(map(len, CLIP))))
                self.assertEqual(summary.resolutions, {"426x240": 3, "854x480": 5})
                anna.send("anna", "after")
                texts = [anna.wait_message(timeout=PATIENCE).text for _ in range(3)]
                self.assertEqual(texts, ["before", "between", "after"])

    def test_a_video_that_does_not_exist(self) -> None:
        with FakeChatroom({"clip": CLIP}) as house:
            with Chatroom.connect("127.0.0.1", house.port, "anna") as anna:
                for name in ("nothing", ""):
                    with self.assertRaisesRegex(ServerError, "no such video"):
                        anna.watch(name, timeout=PATIENCE)
                self.assertEqual(anna.watch("clip", timeout=PATIENCE).frames, 8)

    def test_messages_during_a_video(self) -> None:
        with FakeChatroom({"clip": CLIP}) as house:
            with Chatroom.connect("127.0.0.1", house.port, "anna") as anna, Chatroom.connect(
                "127.0.0.1", house.port, "bob"
            ) as bob:
                anna.wait_for("bob", PATIENCE)
                own = Events()
                bob._on_event = own

                def before_frame(number: int) -> None:
                    if number == 3:
                        bob.send("bob", "to myself")
                        bob.send("anna", "for later")
                        own.wait("message", "bob")  # so the house has dealt with the first

                house.before_frame = before_frame
                answered = []

                def on_frame(frame: object) -> None:
                    if not answered:
                        answered.append(anna.send("bob", "kept until the end"))

                self.assertEqual(anna.watch("clip", on_frame, PATIENCE).frames, 8)
                self.assertEqual(anna.wait_message("bob", PATIENCE).text, "for later")
                self.assertEqual(bob.wait_message("anna", PATIENCE).text, "kept until the end")

    def test_leaving_in_the_middle(self) -> None:
        long = [fake_jpeg(16, 16, bytes(20000))] * 200

        def stop(_: object) -> None:
            raise KeyboardInterrupt

        with FakeChatroom({"long": long}) as house:
            with self.assertRaises(KeyboardInterrupt):
                with Chatroom.connect("127.0.0.1", house.port, "anna") as anna:
                    anna.watch("long", stop, PATIENCE)


class TroubleTest(unittest.TestCase):
    def test_another_protocol(self) -> None:
        with Peer(lambda sock: sock.sendall(b"Enter your name: ")) as house:
            with self.assertRaisesRegex(ProtocolError, "no chatroom server"):
                Chatroom.connect("127.0.0.1", house.port, "anna")

    def test_an_unknown_header(self) -> None:
        go = threading.Event()

        def behaviour(sock: socket.socket) -> None:
            name, pem = greet_chatroom(sock)
            send_alone(sock, pack_users({name: pem}))
            go.wait(PATIENCE)
            sock.sendall(b"WHAT is this")

        events = Events()
        with Peer(behaviour) as house:
            with Chatroom.connect("127.0.0.1", house.port, "anna", on_event=events) as anna:
                go.set()
                self.assertIn("unknown", events.wait("closed").text)
                self.assertIsInstance(anna.ended, ProtocolError)

    def test_losing_the_connection_in_a_video(self) -> None:
        def behaviour(sock: socket.socket) -> None:
            name, pem = greet_chatroom(sock)
            send_alone(sock, pack_users({name: pem}))
            self.assertEqual(sock.recv(1024), b"[STREAM]")
            body = json.dumps(["clip"]).encode()
            send_alone(sock, b"STLI" + struct.pack(">I", len(body)))
            send_alone(sock, body)
            self.assertEqual(sock.recv(1024), b"clip")
            sock.sendall(b"STRM" + struct.pack(">IQ", 2, len(CLIP[0])) + CLIP[0])

        with Peer(behaviour) as house:
            with Chatroom.connect("127.0.0.1", house.port, "anna") as anna:
                with self.assertRaises(ConnectionLost):
                    anna.watch("clip", timeout=PATIENCE)


if __name__ == "__main__":
    unittest.main()
