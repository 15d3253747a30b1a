"""The packetchat library against a server in this process, over good links and bad ones."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import tempfile
import threading
import time
import unittest
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, List, Optional
from unittest import mock

from fake_packet_house import FakePacketHouse, Link
from support import PATIENCE, Events, eventually

from playhouse_clients import ClientError, ConnectionLost, Packetchat, WaitTimeout, asking, packetchat, packets
from playhouse_clients.round_trip import FixedWaits
from playhouse_clients.wire import Unreachable

BAD = Link(drop=0.1, repeat=0.1, delay=0.2)


class Case(unittest.TestCase):
    def setUp(self) -> None:
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))

    def open_house(self, link: Optional[Link] = None, **options: Any) -> FakePacketHouse:
        return self.stack.enter_context(FakePacketHouse(link, **options))

    def join(self, house: FakePacketHouse, name: str, **options: Any) -> Packetchat:
        options.setdefault("numbering", house.numbering)
        return self.stack.enter_context(Packetchat.connect("127.0.0.1", house.port, name, **options))

    def file(self, size: int, name: str = "a file.bin") -> Path:
        path = self.folder / name
        path.write_bytes(random.Random(size).randbytes(size))
        return path

    def in_background(self, run: Any) -> List[Any]:
        """Run it on a thread; the list gets what it returns or raises."""
        results: List[Any] = []

        def caught() -> None:
            try:
                results.append(run())
            except Exception as error:
                results.append(error)

        thread = threading.Thread(target=caught, daemon=True)
        thread.start()
        self.stack.callback(thread.join, PATIENCE)
        return results


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class PeopleTest(Case):
    def test_talking(self) -> None:
        house = self.open_house()
        anna, bob, carl = (self.join(house, name) for name in ("anna", "bob", "carl"))
        self.assertEqual(anna.others, ["bob", "carl"])
        self.assertEqual([(user.number, user.name) for user in bob.who()], list(house.users.items()))
        self.assertEqual(anna.send("bob", "grüße 😀"), 1)
        message = bob.wait_message("anna", PATIENCE)
        self.assertEqual((message.sender, message.text), ("anna", "grüße 😀"))
        anna.send(carl.user, "by number")
        self.assertEqual(carl.wait_message("anna", PATIENCE).text, "by number")
        self.assertEqual(bob.send_all("to all"), 2)
        for user in (anna, carl):
            self.assertEqual(user.wait_message("bob", PATIENCE).text, "to all")
        self.assertEqual([message.text for message in bob.messages()], ["grüße 😀"])
        with self.assertRaisesRegex(ClientError, "nobody here is called dora"):
            anna.send("dora", "hello")

    def test_a_taken_name(self) -> None:
        house = self.open_house()
        self.assertEqual([self.join(house, "anna").name for _ in range(3)], ["anna", "anna-2", "anna-3"])

    def test_long_texts_arrive_in_parts(self) -> None:
        house = self.open_house()
        anna = self.join(house, "anna")
        text = "ö" * 40000
        self.assertEqual(anna.send("anna", text), 2)
        self.assertEqual("".join(anna.wait_message("anna", PATIENCE).text for _ in range(2)), text)

    def test_names_are_asked_for_once(self) -> None:
        house = self.open_house()
        anna, bob = self.join(house, "anna"), self.join(house, "bob")
        for _ in range(3):
            anna.who()
            anna.send("bob", "hello")
            bob.wait_message("anna", PATIENCE)
        asked = Counter(house.sent_by_clients(packets.USER_DATA_REQUEST))
        self.assertEqual(set(asked.values()), {1})
        self.assertEqual(len(asked), 4)  # each about themselves and the other

    def test_exactly_once_over_a_bad_link(self) -> None:
        for numbering in packets.NUMBERINGS:
            house = self.open_house(BAD, seed=5, numbering=numbering)
            users = [self.join(house, name) for name in ("anna", "bob")]

            def talk(user: Packetchat, other: Packetchat) -> None:
                for number in range(6):
                    user.send(other.name, f"alone {number}")
                    user.broadcast(f"all {number}")

            talks = [self.in_background(lambda u=u, o=o: talk(u, o)) for u, o in (users, users[::-1])]
            expected = Counter(f"{to} {number}" for to in ("alone", "all") for number in range(6))
            for user in users:
                # a broadcast is acknowledged before it has arrived
                eventually(lambda: len(user.messages()) >= 12, f"{user.name} has 12 messages")
                self.assertEqual(Counter(message.text for message in user.messages()), expected)
            eventually(lambda: all(talks), "both have said all")
            self.assertEqual(talks, [[None], [None]])

    def test_a_repeated_message_is_delivered_once_and_acknowledged_each_time(self) -> None:
        with mock.patch.object(packetchat, "REMEMBERED_MESSAGES", 8):
            house = self.open_house()
            anna = self.join(house, "anna")
            number = {text: house.number() for text in ("one", "two", *map(str, range(8)))}
            for text in ("one", "one", "two", "one", *map(str, range(8)), "7"):
                house.say(anna.user, packets.encode(packets.INCOMING, "client", anna.user, number[text], text.encode()))
            eventually(lambda: len(house.sent_by_clients(packets.RECEIVED)) == 13, "13 acknowledgements")
            eventually(lambda: len(anna.messages()) >= 10, "10 messages")
            self.assertEqual(
                [message.text for message in anna.messages()], ["one", "two", *map(str, range(8))]
            )
            self.assertEqual(len(anna._seen), 8)

    def test_coming_and_going(self) -> None:
        with mock.patch.object(packetchat, "FOLLOW_EVERY", 0.02), mock.patch.object(packetchat, "LOOK_EVERY", 0.02):
            house = self.open_house()
            house.add_user("carl")
            events = Events()
            anna = self.join(house, "anna", on_event=events)
            anna.follow()
            eventually(lambda: len(house.sent_by_clients(packets.USERS_REQUEST)) > 1, "anna has looked")
            bob = house.add_user("bob")
            anna.wait_for("bob", PATIENCE)
            events.wait("joined", "bob")
            del house.users[bob]
            events.wait("left", "bob")
            anna.wait_until_gone("bob", PATIENCE)
            self.assertEqual(events.kinds(), ["joined", "left"])
            with self.assertRaisesRegex(WaitTimeout, "nobody called dora"):
                anna.wait_for("dora", 0.01)

    def test_on_event_may_answer(self) -> None:
        house = self.open_house()
        anna = self.join(house, "anna")
        bob: Packetchat = self.join(
            house, "bob", on_event=lambda event: bob.send(event.name, "yes") if event.kind == "message" else None
        )
        anna.send("bob", "there?")
        self.assertEqual(anna.wait_message("bob", PATIENCE).text, "yes")

    def test_somebody_without_a_name(self) -> None:
        with mock.patch.object(packetchat, "NAME_PATIENCE", 0.05):
            house = self.open_house()
            anna = self.join(house, "anna")
            for number in (1, 2):
                house.say(anna.user, packets.encode(packets.INCOMING, "client", 77, number, b"boo"))
            self.assertEqual([anna.wait_message("user 77", PATIENCE).text for _ in range(2)], ["boo", "boo"])
            self.assertEqual(len(set(house.sent_by_clients(packets.USER_DATA_REQUEST))), 2)


class SilenceTest(Case):
    def test_nothing_listens(self) -> None:
        with FakePacketHouse() as house:
            pass
        with self.assertRaisesRegex(Unreachable, f"connection refused: nothing listens at 127.0.0.1:{house.port}"):
            Packetchat.connect("127.0.0.1", house.port, "anna")

    def test_no_session(self) -> None:
        house = self.open_house()
        house.ignores = lambda name, values: True
        with self.assertRaisesRegex(Unreachable, "no answer from .* within 0.2 s"):
            Packetchat.connect("127.0.0.1", house.port, "anna", timeout=0.2)

    def test_names_that_cannot_be(self) -> None:
        house = self.open_house()
        for name in ("", " ", "x" * 65, "a\x00b", "a\nb", "a\x85b", "\udce4"):
            with self.assertRaisesRegex(ClientError, "^a name has 1 to 64 characters"):
                Packetchat.connect("127.0.0.1", house.port, name)
        self.assertEqual(self.join(house, f" {'ä' * 64}\n").name, "ä" * 64)

    def test_what_got_no_answer_is_named(self) -> None:
        house = self.open_house()
        anna = self.join(house, "anna", timeout=0.15, stall_timeout=0.15)
        gone = house.add_user("gone")
        known, path = house.add_file("known.txt", b"x" * 1000), self.file(1000)
        house.ignores = lambda name, values: name != packets.USERS_REQUEST
        cases = {
            "no answer to the message to user .* within 0.15 s: .* may be gone.* limit": lambda: anna.send(gone, "x"),
            "no answer to the message to all within .* limit": lambda: anna.broadcast("x"),
            "no answer to the request for the files .* limit": anna.files,
            "no answer to the request for file 5 .* limit": lambda: anna.download(5),
            "no answer to the request to upload a file.bin .* limit": lambda: anna.upload(path),
        }
        for what, ask in cases.items():
            with self.assertRaisesRegex(WaitTimeout, what):
                ask()
        chunks = (packets.DOWNLOAD_CHUNK_REQUEST, packets.UPLOAD_CHUNK_REQUEST)
        house.ignores = lambda name, values: name in chunks
        for transfer in (lambda: anna.upload(path), lambda: anna.download(known, self.folder)):
            with self.assertRaisesRegex(WaitTimeout, "no progress for 0.15 s at 0 of 1,000 bytes: .* limit"):
                transfer()
        self.assertEqual([entry.name for entry in self.folder.iterdir()], [path.name])
        house.ignores = lambda name, values: False
        anna.broadcast("still here")

    def test_keeping_the_session(self) -> None:
        with mock.patch.object(asking, "PRESERVE_AFTER", 0.05):
            house = self.open_house(Link(drop=0.2), seed=3)
            anna = self.join(house, "anna")
            kept = (packets.SESSION_PRESERVE, anna.session)
            eventually(lambda: house.sent_by_clients(packets.SESSION_PRESERVE).count(kept) >= 3, "kept three times")
            self.assertIsNone(anna.ended)

    def test_losing_the_session(self) -> None:
        with mock.patch.object(asking, "PRESERVE_AFTER", 0.02), mock.patch.object(asking, "SILENCE", 0.2):
            house = self.open_house()
            events = Events()
            anna = self.join(house, "anna", on_event=events)
            house.ignores = lambda name, values: True
            self.assertIn("no answer for 0.2 s", events.wait("closed").text)
            with self.assertRaises(ConnectionLost):
                anna.wait_message(timeout=PATIENCE)
            with self.assertRaises(ConnectionLost):
                anna.broadcast("hello?")

    def test_after_close(self) -> None:
        house = self.open_house()
        anna = self.join(house, "anna")
        waiting = self.in_background(lambda: anna.wait_message(timeout=PATIENCE))
        anna.close()
        anna.close()
        eventually(lambda: waiting, "the wait has ended")
        self.assertIsInstance(waiting[0], ClientError)
        with self.assertRaisesRegex(ClientError, "has ended"):
            anna.who()

    def test_garbage(self) -> None:
        house = self.open_house()
        events = Events()
        anna = self.join(house, "anna", on_event=events)
        path = self.file(20000)
        dice = random.Random(11)
        transactions = list(house._transactions)

        def garbage() -> bytes:
            body = dice.randbytes(dice.randrange(300))
            if dice.random() < 0.5:
                body = dice.choice([anna.user, anna.session, *transactions, 0]).to_bytes(8, "big") + body
            return dice.randrange(30).to_bytes(2, "big") + body

        # an incoming message with a made-up sender is one; nobody has a name for them
        with mock.patch.object(packetchat, "NAME_PATIENCE", 0.001):
            for _ in range(2000):
                house.say(anna.user, garbage())
            house.say(anna.user, b"")
            uploaded = anna.upload(path)
        self.assertEqual(uploaded.sha256, sha256(path))
        self.assertIsNone(anna.ended)
        self.assertNotIn("closed", events.kinds())


class FilesTest(Case):
    def test_there_and_back(self) -> None:
        for numbering in packets.NUMBERINGS:
            house = self.open_house(numbering=numbering)
            anna, bob = self.join(house, "anna"), self.join(house, "bob")
            for size in (0, 1, 255, 256, 257, 512, 100_000, 4096 * 256 + 5):
                # longer than the first time-out: the last chunk is repeated, which is no loss
                house.sync_delay = 0.25 if size == 257 else 0.0
                path = self.file(size, f"{size} {numbering}.bin")
                told: List[Any] = []
                uploaded = anna.upload(path, progress=lambda *now: told.append(now))
                self.assertEqual((uploaded.name, uploaded.size), (path.name, size))
                self.assertEqual(uploaded.sha256, sha256(path))
                self.assertEqual(told[-1], (size, size))
                self.assertEqual(bytes(house.files[uploaded.number].data), path.read_bytes())
                for which in (uploaded.number, path.name):
                    target = self.folder / f"got {size} {numbering} {which}"
                    downloaded = bob.download(which, target)
                    self.assertEqual(downloaded.sha256, uploaded.sha256)
                    self.assertEqual(sha256(target), uploaded.sha256)
            self.assertEqual(len(anna.files()), 8)

    def test_over_a_bad_link(self) -> None:
        for numbering in packets.NUMBERINGS:
            house = self.open_house(Link(0.05, 0.05, 0.1), seed=9, numbering=numbering)
            anna = self.join(house, "anna")
            path = self.file(150_001, numbering)
            uploaded = anna.upload(path, name=f"named {numbering}")
            self.assertEqual(bytes(house.files[uploaded.number].data), path.read_bytes())
            downloaded = anna.download(f"named {numbering}", self.folder)
            self.assertEqual(downloaded.path, str(self.folder / f"named {numbering}"))
            self.assertEqual(sha256(Path(downloaded.path)), sha256(path))

    def test_a_server_that_is_killed_and_comes_back(self) -> None:
        house = self.open_house()
        anna = self.join(house, "anna")
        path = self.file(200_000)
        target = self.folder / "back"
        for transfer in (lambda: anna.upload(path), lambda: anna.download(path.name, target)):
            house.chunks_left = 300
            result = self.in_background(transfer)
            self.assertTrue(house.stopped.wait(PATIENCE))
            refusals = anna._datagrams.refusals
            eventually(lambda: anna._datagrams.refusals > refusals, "the client was told that nobody is there")
            house.start()
            eventually(lambda: result, "the transfer is over")
            self.assertEqual(getattr(result[0], "sha256", result[0]), sha256(path))
        self.assertEqual(sha256(target), sha256(path))
        house.stop()
        talk = self.in_background(lambda: anna.send("anna", "still here"))
        eventually(lambda: anna._questions, "a question waits")
        house.start()
        self.assertEqual(anna.wait_message("anna", PATIENCE).text, "still here")
        eventually(lambda: talk, "it was sent")
        self.assertEqual(talk, [1])

    def test_several_at_once(self) -> None:
        house = self.open_house(Link(drop=0.02), seed=2)
        anna = self.join(house, "anna")
        paths = [self.file(50_000 + number, f"{number}.bin") for number in range(4)]
        uploads = [self.in_background(lambda path=path: anna.upload(path)) for path in paths]
        anna.broadcast("meanwhile")
        eventually(lambda: all(uploads), "all are there")
        self.assertEqual([result[0].sha256 for result in uploads], [sha256(path) for path in paths])

    def test_a_late_answer_opens_no_other_upload(self) -> None:
        house = self.open_house()
        anna = self.join(house, "anna")
        first = anna.upload(self.file(600, "first"))
        (opened,) = [number for number, file in house._transactions.items() if file == first.number]
        second = self.file(600, "second")

        def before(name: str, values: Any) -> bool:
            if name == packets.UPLOAD_REQUEST:
                house.say(anna.user, packets.encode(packets.UPLOAD, "client", first.number, opened))
            return False

        house.ignores = before
        self.assertEqual(anna.upload(second).name, "second")

    def test_nothing_is_overwritten(self) -> None:
        house = self.open_house()
        number = house.add_file("x", b"new")
        anna = self.join(house, "anna")
        target = self.folder / "x"
        target.write_text("old")
        for to in (self.folder, target):
            with self.assertRaisesRegex(ClientError, "exists already"):
                anna.download(number, to)
        self.assertEqual(target.read_text(), "old")
        anna.download(number, target, overwrite=True)
        self.assertEqual(target.read_text(), "new")
        self.assertEqual(os.listdir(self.folder), ["x"])
        # and if it comes into being while the other is fetched
        target.unlink()

        def meanwhile(name: str, values: Any) -> bool:
            if name == packets.DOWNLOAD_CHUNK_REQUEST:
                target.write_text("mine")
            return False

        house.ignores = meanwhile
        with self.assertRaisesRegex(ClientError, "exists already"):
            anna.download(number, target)
        self.assertEqual(target.read_text(), "mine")
        self.assertEqual(os.listdir(self.folder), ["x"])

    def test_hostile_names_stay_in_the_folder(self) -> None:
        house = self.open_house()
        anna = self.join(house, "anna")
        inner = self.folder / "a" / "b"
        inner.mkdir(parents=True)
        names = {"../../evil": "_._evil", "/tmp/evil\n": "_tmp_evil_", "..": "file", "\udcff": "\ufffd"}
        for label, name in names.items():
            file = anna.download(house.add_file(label, b"x"), inner)
            self.assertEqual(file.path, str(inner / name))
        self.assertEqual(len(list(self.folder.rglob("*"))), 2 + 4)

    def test_files_that_cannot_be(self) -> None:
        house = self.open_house()
        for _ in range(2):
            house.add_file("twin", b"x")
        anna = self.join(house, "anna")
        with self.assertRaisesRegex(ClientError, "several files are called twin, .* number: [0-9a-f]{16}, [0-9a-f]{16}"):
            anna.download("twin", self.folder)
        with self.assertRaisesRegex(ClientError, "no file called \"none\""):
            anna.download("none", self.folder)
        with self.assertRaisesRegex(ClientError, "no plain file"):
            anna.upload(self.folder)
        with self.assertRaises(FileNotFoundError):
            anna.upload(self.folder / "nothing")
        with self.assertRaises(FileNotFoundError):
            anna.download(anna.files()[0].number, self.folder / "nowhere" / "x")
        large = self.folder / "large"
        with large.open("wb") as file:
            file.truncate(2**32)
        with self.assertRaisesRegex(ClientError, "too large"):
            anna.upload(large)

    def test_a_transfer_that_is_given_up(self) -> None:
        house = self.open_house()
        anna = self.join(house, "anna")
        number = house.add_file("x", b"x" * 100_000)
        house.ignores = lambda name, values: name == packets.DOWNLOAD_CHUNK_REQUEST

        def stop(done: int, size: int) -> None:
            raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            anna.download(number, self.folder, stop)
        self.assertEqual(os.listdir(self.folder), [])
        self.assertEqual(anna._transfers, {})
        anna.who()
        closing = self.in_background(lambda: anna.download(number, self.folder))
        eventually(lambda: anna._transfers, "it is under way")
        anna.close()
        eventually(lambda: closing, "it has ended")
        self.assertIsInstance(closing[0], ClientError)

    def test_a_window_of_chunks_is_under_way(self) -> None:
        house = self.open_house()
        anna = self.join(house, "anna", window=24)
        asked: List[int] = []
        number = house.add_file("x", b"x" * 256 * 200)
        most: List[int] = []

        def look(name: str, values: Any) -> bool:
            if name == packets.DOWNLOAD_CHUNK_REQUEST:
                asked.append(values[1])
                most.extend(len(transfer._flight) for transfer in list(anna._transfers.values()))
            return False

        house.ignores = look
        anna.download(number, self.folder)
        self.assertEqual(sorted(set(asked)), list(range(200)))
        self.assertLessEqual(max(most), 24)
        self.assertGreater(max(most), 16)  # it has grown beyond its beginning

    def test_a_lost_chunk_is_repeated_before_its_time_out(self) -> None:
        house = self.open_house()
        anna = self.join(house, "anna")
        number = house.add_file("x", b"x" * 256 * 100)
        dropped: List[int] = []

        def drop_once(name: str, values: Any) -> bool:
            if name == packets.DOWNLOAD_CHUNK_REQUEST and values[1] == 30 and not dropped:
                dropped.append(30)
                return True
            return False

        house.ignores = drop_once
        with mock.patch("playhouse_clients.round_trip.LEAST", 5.0), mock.patch(
            "playhouse_clients.round_trip.MOST", 5.0
        ):
            began = time.monotonic()
            anna.download(number, self.folder)
            self.assertLess(time.monotonic() - began, 4.0)
        sent = [chunk for _, _, chunk in house.sent_by_clients(packets.DOWNLOAD_CHUNK_REQUEST)]
        self.assertEqual(Counter(sent)[30], 2)


class OldPeer:
    """The old client's transfers, written down as it did them: one chunk, its answer, the next."""

    def __init__(self, house: FakePacketHouse) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect(("127.0.0.1", house.port))
        self.sock.settimeout(PATIENCE)
        cookie = self.ask(bytes.fromhex("0001" "0003") + b"old")
        self.session = cookie[10:18]

    def ask(self, packet: bytes) -> bytes:
        self.sock.send(packet)
        return self.sock.recv(65536)

    def upload(self, name: str, data: bytes) -> bytes:
        opened = self.ask(
            b"\0\x17" + self.session + len(data).to_bytes(4, "big") + len(name).to_bytes(2, "big") + name.encode()
        )
        for chunk in range(len(data) // 256 + 1):
            part = data[chunk * 256 : (chunk + 1) * 256]
            self.ask(b"\0\x19" + opened[10:18] + chunk.to_bytes(4, "big") + len(part).to_bytes(2, "big") + part)
        return opened[2:10]

    def download(self, file: bytes, size: int) -> bytes:
        opened = self.ask(b"\0\x13" + self.session + file)
        data = b""
        for chunk in range(size // 256 + 1):
            data += self.ask(b"\0\x15" + opened[10:18] + chunk.to_bytes(4, "big"))[16:]
        return data


class OldStyleTest(Case):
    def test_byte_for_byte(self) -> None:
        transfers = (
            packets.UPLOAD_REQUEST,
            packets.UPLOAD_CHUNK_REQUEST,
            packets.DOWNLOAD_REQUEST,
            packets.DOWNLOAD_CHUNK_REQUEST,
        )

        def sent(house: FakePacketHouse) -> List[bytes]:
            kinds = [packets.SHAPES[name].type("client") for name in transfers]
            return [packet for packet in house.received if int.from_bytes(packet[:2], "big") in kinds]

        for size in (0, 100, 256, 1000, 1024):
            path = self.file(size, f"{size}")
            old_house, house = self.open_house(seed=4), self.open_house(seed=4)  # both draw the same numbers
            old = OldPeer(old_house)
            self.stack.callback(old.sock.close)
            self.assertEqual(old.download(old.upload(path.name, path.read_bytes()), size), path.read_bytes())
            ours = self.join(house, "old", old_style=True)
            uploaded = ours.upload(path)
            target = self.folder / f"{size} back"
            ours.download(uploaded.number, target)
            self.assertEqual(target.read_bytes(), path.read_bytes())
            self.assertEqual(sent(house), sent(old_house))
            self.assertEqual(len(sent(house)), 2 * (1 + size // 256 + 1))

    def test_five_tries(self) -> None:
        with mock.patch.multiple(FixedWaits, SHORTEST=0.0125, TOTAL=0.3875):
            house = self.open_house()
            anna = self.join(house, "anna", old_style=True, window=7)
            path = self.file(1000)
            silent: Dict[str, Any] = {}
            house.ignores = lambda name, values: name == silent["for"]
            for request, ask in (
                (packets.FILES_REQUEST, anna.files),
                (packets.UPLOAD_CHUNK_REQUEST, lambda: anna.upload(path)),
            ):
                silent["for"] = request
                with self.assertRaisesRegex(WaitTimeout, "0.3875 s"):
                    ask()
                self.assertEqual(len(house.sent_by_clients(request)), 5)
                self.assertEqual(len(set(house.sent_by_clients(request))), 1)


if __name__ == "__main__":
    unittest.main()
