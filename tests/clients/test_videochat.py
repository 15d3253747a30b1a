"""The videochat library against servers in this process."""

from __future__ import annotations

import base64
import socket
import threading
import unittest

from fake_house import FakeVideochat, Peer, greet_videochat, pack_frame, pack_json, read_json, read_to_end
from support import PATIENCE, Events, fake_jpeg

from playhouse_clients import (
    ClientError,
    ConnectionLost,
    ProtocolError,
    ServerError,
    Videochat,
    WaitTimeout,
)

CLIP = [fake_jpeg(426, 240, bytes(1000))] * 3 + [fake_jpeg(854, 480, bytes(4000))] * 5


class PeopleTest(unittest.TestCase):
    def test_messages_reach_only_their_recipient(self) -> None:
        with FakeVideochat() as house:
            with Videochat.connect("127.0.0.1", house.port, "anna") as anna, Videochat.connect(
                "127.0.0.1", house.port, "bob"
            ) as bob, Videochat.connect("127.0.0.1", house.port, "carl") as carl:
                anna.wait_for("carl", PATIENCE)
                self.assertEqual(anna.send("bob", "grüße"), 1)
                message = bob.wait_message(timeout=PATIENCE)
                self.assertEqual((message.sender, message.text), ("anna", "grüße"))
                bob.wait_for("carl", PATIENCE)
                self.assertEqual(bob.send_all("to all"), 2)
                self.assertEqual(anna.wait_message("bob", PATIENCE).text, "to all")
                # one connection keeps order: had the first been readable for carl, it would be here
                self.assertEqual(carl.wait_message(timeout=PATIENCE).text, "to all")
                self.assertEqual([message.text for message in carl.messages()], ["to all"])

    def test_long_texts_arrive_in_parts(self) -> None:
        text = "ö" * 200 + "😀" * 100
        with FakeVideochat() as house:
            with Videochat.connect("127.0.0.1", house.port, "anna") as anna:
                parts = anna.send("anna", text)
                self.assertEqual(parts, 5)
                received = [anna.wait_message(timeout=PATIENCE).text for _ in range(parts)]
                self.assertEqual("".join(received), text)

    def test_presence(self) -> None:
        events = Events()
        with FakeVideochat() as house:
            with Videochat.connect("127.0.0.1", house.port, "anna", on_event=events) as anna:
                self.assertEqual(anna.others, [])
                with Videochat.connect("127.0.0.1", house.port, "bob") as bob:
                    self.assertEqual(bob.others, ["anna"])
                    events.wait("joined", "bob")
                events.wait("left", "bob")
                anna.wait_until_gone("bob", PATIENCE)
                with self.assertRaises(ClientError):
                    anna.send("bob", "too late")
                self.assertEqual(events.kinds(), ["joined", "left"])

    def test_a_taken_name_gets_a_suffix(self) -> None:
        with FakeVideochat() as house:
            with Videochat.connect("127.0.0.1", house.port, "anna") as first, Videochat.connect(
                "127.0.0.1", house.port, "anna"
            ) as second:
                self.assertEqual((first.name, second.name), ("anna", "anna-2"))

    def test_merged_updates(self) -> None:
        go = threading.Event()

        def behaviour(sock: socket.socket) -> None:
            name, pem = greet_videochat(sock)
            users = {"old": "x", name: pem}
            joined = {"identifier": "broadcast_message", "data": users, "name": f"old, {name}"}
            sock.sendall(pack_json(joined))
            go.wait(PATIENCE)
            users = {name: pem, "one": "x", "two": "y"}
            sock.sendall(pack_json({"identifier": "broadcast_message", "data": users, "name": "one, two"}))
            read_to_end(sock)

        events = Events()
        with Peer(behaviour) as house:
            with Videochat.connect("127.0.0.1", house.port, "anna", on_event=events) as anna:
                self.assertEqual(anna.others, ["old"])
                go.set()
                events.wait("joined", "one")
                events.wait("joined", "two")
                events.wait("left", "old")
                # these keys are none: told, and no reason to fail
                self.assertEqual(anna.send_all("hello"), 0)
                self.assertEqual(events.kinds().count("error"), 2)
                with self.assertRaises(ClientError):
                    anna.send("one", "hello")
                anna.quit(timeout=0)


class VideosTest(unittest.TestCase):
    def test_watching(self) -> None:
        with FakeVideochat({"clip_240p.mp4": CLIP, "clip_480p.mp4": CLIP}) as house:
            with Videochat.connect("127.0.0.1", house.port, "anna") as anna:
                self.assertEqual(anna.videos(), ["clip_240p.mp4", "clip_480p.mp4"])
                frames = []
                summary = anna.watch("clip_240p.mp4", frames.append, PATIENCE)
                self.assertEqual([frame.jpeg for frame in frames], CLIP)
                self.assertEqual(frames[7][:4], (8, None, 854, 480))
                self.assertEqual(summary.frames, 8)
                self.assertEqual(summary.bytes, sum(map(len, CLIP)))
                self.assertEqual(summary.resolutions, {"426x240": 3, "854x480": 5})

    def test_a_video_that_does_not_exist(self) -> None:
        events = Events()
        with FakeVideochat({"clip_240p.mp4": CLIP}) as house:
            with Videochat.connect("127.0.0.1", house.port, "anna", on_event=events) as anna:
                with self.assertRaisesRegex(ServerError, "no such video: nothing"):
                    anna.watch("nothing", timeout=PATIENCE)
                self.assertEqual(anna.watch("clip_240p.mp4", timeout=PATIENCE).frames, 8)
        self.assertEqual(events.kinds(), [])  # the answer was raised; it is not told twice

    def test_chat_during_a_video(self) -> None:
        with FakeVideochat({"clip_240p.mp4": CLIP}) as house:
            with Videochat.connect("127.0.0.1", house.port, "anna") as anna, Videochat.connect(
                "127.0.0.1", house.port, "bob"
            ) as bob:
                heard_at = []

                def before_frame(number: int) -> None:
                    if number == 3:  # the stream stands still until the message has made its way
                        bob.send("anna", "look at that")
                        heard_at.append(anna.wait_message("bob", PATIENCE).text)

                house.before_frame = before_frame
                answered = []

                def on_frame(frame: object) -> None:
                    if not answered:
                        answered.append(anna.send("bob", "yes"))

                self.assertEqual(anna.watch("clip_240p.mp4", on_frame, PATIENCE).frames, 8)
                self.assertEqual(heard_at, ["look at that"])
                self.assertEqual(bob.wait_message("anna", PATIENCE).text, "yes")

    def test_a_slow_viewer_gets_every_frame(self) -> None:
        long = [fake_jpeg(16, 16, bytes([number % 250]) * 20000) for number in range(300)]
        with FakeVideochat({"long_16p.mp4": long}) as house:
            with Videochat.connect("127.0.0.1", house.port, "anna") as anna:
                most = []
                anna.watch("long_16p.mp4", lambda frame: most.append(frame.jpeg), PATIENCE)
                self.assertEqual(most, long)

    def test_giving_up_in_the_middle(self) -> None:
        long = [fake_jpeg(16, 16, bytes(20000))] * 300

        def stop(_: object) -> None:
            raise KeyboardInterrupt

        with FakeVideochat({"long_16p.mp4": long}) as house:
            with Videochat.connect("127.0.0.1", house.port, "anna") as anna:
                with self.assertRaises(KeyboardInterrupt):
                    anna.watch("long_16p.mp4", stop, PATIENCE)
                # what still comes of it is dropped, the session goes on
                self.assertEqual(anna.videos(PATIENCE), ["long_16p.mp4"])


class TroubleTest(unittest.TestCase):
    def register(self, sock: socket.socket) -> None:
        name, pem = greet_videochat(sock)
        sock.sendall(pack_json({"identifier": "broadcast_message", "data": {name: pem}, "name": name}))

    def test_nothing_listens(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        with self.assertRaisesRegex(ClientError, "connection refused"):
            Videochat.connect("127.0.0.1", port, "anna")

    def test_another_protocol(self) -> None:
        with Peer(lambda sock: sock.sendall(b"-----BEGIN RSA PUBLIC KEY-----")) as house:
            with self.assertRaisesRegex(ProtocolError, "no videochat server"):
                Videochat.connect("127.0.0.1", house.port, "anna")

    def test_a_silent_server(self) -> None:
        with Peer(lambda sock: self.assertEqual(read_to_end(sock), b"")) as house:
            with self.assertRaises(WaitTimeout):
                Videochat.connect("127.0.0.1", house.port, "anna", timeout=0.05)

    def test_refused_at_the_door(self) -> None:
        refusal = pack_json({"identifier": "Error", "message": "the house is full"})
        with Peer(lambda sock: sock.sendall(refusal)) as house:
            with self.assertRaisesRegex(ServerError, "the house is full"):
                Videochat.connect("127.0.0.1", house.port, "anna")

        def after_the_key(sock: socket.socket) -> None:
            greet_videochat(sock)
            sock.sendall(refusal)

        with Peer(after_the_key) as house:
            with self.assertRaisesRegex(ServerError, "the house is full"):
                Videochat.connect("127.0.0.1", house.port, "anna")

    def test_losing_the_connection(self) -> None:
        events = Events()
        with Peer(self.register) as house:
            with Videochat.connect("127.0.0.1", house.port, "anna", on_event=events) as anna:
                events.wait("closed")
                with self.assertRaises(ConnectionLost):
                    anna.wait_for("bob", PATIENCE)
                with self.assertRaises(ConnectionLost):
                    anna.watch("x", timeout=PATIENCE)

    def test_losing_it_in_the_middle_of_a_frame(self) -> None:
        def behaviour(sock: socket.socket) -> None:
            self.register(sock)
            self.assertEqual(read_json(sock)["choice"], "x")
            sock.sendall(pack_json({"identifier": "Video Frame"}) + pack_frame(CLIP[0]) + pack_frame(CLIP[0])[:99])

        with Peer(behaviour) as house:
            with Videochat.connect("127.0.0.1", house.port, "anna") as anna:
                frames = []
                with self.assertRaises(ConnectionLost):
                    anna.watch("x", frames.append, PATIENCE)
                self.assertEqual(len(frames), 1)

    def test_what_is_no_message_for_us(self) -> None:
        def behaviour(sock: socket.socket) -> None:
            self.register(sock)
            for encrypted in ("", "%%%", "AAAA", base64.b64encode(bytes(256)).decode()):
                sock.sendall(
                    pack_json({"identifier": "Communication", "encrypt_message": encrypted, "from": "eve"})
                )
            sock.sendall(pack_json({"identifier": "Something New", "data": 1}))
            sock.sendall(pack_json({"identifier": "Error", "message": "that was wrong"}))
            self.assertEqual(read_json(sock), {"identifier": "QUIT"})
            sock.sendall(pack_json({"identifier": "Disconnection"}))

        events = Events()
        with Peer(behaviour) as house:
            with Videochat.connect("127.0.0.1", house.port, "anna", on_event=events) as anna:
                self.assertEqual(events.wait("error").text, "that was wrong")
                self.assertEqual(anna.messages(), [])
        self.assertEqual(events.kinds(), ["error"])

    def test_waiting_has_an_end(self) -> None:
        with FakeVideochat() as house:
            with Videochat.connect("127.0.0.1", house.port, "anna") as anna:
                with self.assertRaisesRegex(WaitTimeout, "bob"):
                    anna.wait_for("bob", 0.01)
                with self.assertRaises(WaitTimeout):
                    anna.wait_message(timeout=0.01)
            with self.assertRaises(ClientError):
                anna.wait_message(timeout=PATIENCE)
            anna.quit()  # once more does no harm


if __name__ == "__main__":
    unittest.main()
