"""The tumip library against servers in this process."""

from __future__ import annotations

import socket
import struct
import threading
import unittest
from typing import Any, Callable, List

from fake_house import Peer, read_exactly, read_to_end
from fake_tumip_house import ASK, FINE, REFUSED, FakeTumipHouse, free_udp_port, pack, read_request
from support import PATIENCE, eventually, fake_jpeg

from playhouse_clients import (
    BotFailed,
    ClientError,
    ConnectionLost,
    ProtocolError,
    Rejected,
    Tumip,
    WaitTimeout,
)

SMALL = fake_jpeg(230, 230, bytes(1000))


def tumip(server: Any, user: int = 32, form: str = "bare", timeout: float = PATIENCE) -> Tumip:
    return Tumip("127.0.0.1", server.port, user, form, timeout)


class ByteByByte:
    """A socket that never brings more than one byte at once."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def recv(self, _: int) -> bytes:
        return self._sock.recv(1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class RequestsTest(unittest.TestCase):
    def test_bytes_on_the_wire(self) -> None:
        exchanges = [
            (b"\0\0\0\x20\x01\0\x40\0", b"\0\0\0\x20\x01\0\xd6\xd9"),
            (b"\0\0\0\x20\x03\0\0\x03n\xc3\xa9", b"\0\0\0\x20\x03\0\0\x02ja"),
            (b"\0\0\0\x20\x03\0\0\x00", b"\0\0\0\x20\x03\x10\0\x05empty"),
            (b"\0\0\0\x20\x01\0\xce\xa4", b"\0\0\0\x20\x01\x10\0\0"),
        ]
        for form, marker in (("bare", b""), ("marked", b"\x01")):
            seen: List[bytes] = []

            def behaviour(sock: socket.socket) -> None:
                for question, answer in exchanges:
                    seen.append(read_exactly(sock, len(marker + question)))
                    sock.sendall(marker + answer)
                seen.append(read_to_end(sock))

            with self.subTest(form), Peer(behaviour) as house:
                with tumip(house, form=form) as anna:
                    self.assertEqual(anna.register(128, 128), 55_001)
                    self.assertEqual(anna.ask("né"), "ja")
                    with self.assertRaises(BotFailed) as failed:
                        anna.ask("")
                    self.assertEqual(failed.exception.reason, "empty")
                    with self.assertRaises(Rejected):
                        anna.register()
            self.assertEqual(seen, [marker + question for question, _ in exchanges] + [b""])

    def test_answers_that_come_in_pieces(self) -> None:
        for form in ("bare", "marked"):
            with self.subTest(form), FakeTumipHouse() as house, tumip(house, form=form) as anna:
                anna._wire.sock = ByteByByte(anna._wire.sock)  # type: ignore[assignment]
                self.assertGreater(anna.register(), 0)
                self.assertEqual(anna.ask("grüße 😀"), "you said grüße 😀")
                house.answer = lambda text: (REFUSED, "zu müde")
                with self.assertRaisesRegex(BotFailed, "zu müde"):
                    anna.ask("x")

    def test_users_that_begin_like_a_marker(self) -> None:
        for form, marker in (("bare", b""), ("marked", b"\x01")):
            for user in (0, 0x0100_0000, 0x01FF_FFFF, 0xFFFF_FFFF):
                with self.subTest(form=form, user=user), FakeTumipHouse() as house:
                    with tumip(house, user, form) as anna:
                        self.assertEqual(anna.ask("hi"), "you said hi")
                    self.assertEqual(house.forms, {user: marker})

    def test_long_texts(self) -> None:
        with FakeTumipHouse() as house, tumip(house) as anna:
            house.answer = lambda text: (FINE, text)
            longest = "ö" * 32_767 + "o"
            self.assertEqual(anna.ask(longest), longest)
            with self.assertRaisesRegex(ClientError, "at most 65,535 bytes, not 65,536"):
                anna.ask(longest + "o")
            self.assertEqual(anna.ask("still here"), "still here")

    def test_an_answer_that_is_no_utf_8(self) -> None:
        def behaviour(sock: socket.socket) -> None:
            read_request(sock)
            sock.sendall(pack(b"", 32, ASK, FINE, 3, b"a\xffb"))

        with Peer(behaviour) as house, tumip(house) as anna:
            self.assertEqual(anna.ask("x"), "a\ufffdb")

    def test_what_is_no_request_is_not_sent(self) -> None:
        with FakeTumipHouse() as house:
            for user in (-1, 1 << 32):
                with self.assertRaisesRegex(ClientError, "a user is a number"):
                    tumip(house, user)
            with self.assertRaisesRegex(ClientError, "bare, marked"):
                tumip(house, form="round")
            with tumip(house) as anna:
                for width, height in ((0, 10), (10, -1), (-10, -10), (256, 256)):
                    with self.assertRaisesRegex(ClientError, f"no pictures of {width}x{height}"):
                        anna.register(width, height)
        self.assertEqual(house.forms, {})

    def test_users_are_random_if_nobody_says(self) -> None:
        with FakeTumipHouse() as house:
            users = []
            for _ in range(3):
                with Tumip("127.0.0.1", house.port, timeout=PATIENCE) as anna:
                    users.append(anna.user)
                    anna.ask("x")
            self.assertGreater(len(set(users)), 1)
            self.assertEqual(set(house.forms), set(users))

    def test_a_rejected_user_may_still_ask(self) -> None:
        with FakeTumipHouse() as house, tumip(house) as anna:
            house.rejects = True
            with self.assertRaisesRegex(Rejected, "rejects user 32 with pictures of 230x230"):
                anna.register()
            with self.assertRaisesRegex(ClientError, "register before"):
                anna.send_picture(SMALL)
            self.assertEqual(anna.ask("why"), "you said why")


class PicturesTest(unittest.TestCase):
    def test_a_picture_that_fits_goes_out_untouched(self) -> None:
        largest = SMALL + bytes(65_507 - len(SMALL))
        with FakeTumipHouse() as house, tumip(house) as anna:
            with self.assertRaisesRegex(ClientError, "register before"):
                anna.send_picture(SMALL)
            anna.register()
            for picture in (SMALL, bytearray(SMALL), memoryview(SMALL), largest):
                self.assertEqual(anna.send_picture(picture), bytes(picture))
            eventually(lambda: len(house.pictures.get(32, [])) == 4, "all have come")
            self.assertEqual(house.pictures[32], [SMALL, SMALL, SMALL, largest])

    def test_pictures_come_from_the_address_of_the_connection(self) -> None:
        places: List[socket.socket] = []

        def behaviour(sock: socket.socket) -> None:
            read_request(sock)
            place = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.addCleanup(place.close)
            place.bind(("127.0.0.1", 0))
            place.settimeout(PATIENCE)
            sock.sendall(pack(b"", 32, 1, FINE, place.getsockname()[1]))
            places.append(place)
            jpeg, sender = place.recvfrom(65_536)
            self.assertEqual((jpeg, sender[0]), (SMALL, sock.getpeername()[0]))
            sock.sendall(pack(b"", *read_request(sock)[1:3], FINE, 2, b"ok"))

        with Peer(behaviour) as house, tumip(house) as anna:
            anna.register()
            anna.send_picture(SMALL)
            self.assertEqual(anna.ask("did it come"), "ok")

    def test_registering_again(self) -> None:
        with FakeTumipHouse() as house, tumip(house) as anna:
            first = anna.register()
            anna.send_picture(SMALL)
            eventually(lambda: house.pictures.get(32) == [SMALL], "the first has come")
            self.assertNotEqual(anna.register(100, 50), first)
            small = fake_jpeg(100, 50)
            anna.send_picture(small)
            eventually(lambda: house.pictures[32] == [SMALL, small], "the second has come")

    def test_pictures_go_on_while_a_question_waits(self) -> None:
        asked, answer = threading.Event(), threading.Event()

        def slow(text: str) -> Any:
            asked.set()
            answer.wait(PATIENCE)
            return FINE, text

        with FakeTumipHouse() as house, tumip(house) as anna:
            house.answer = slow
            anna.register()
            said: List[str] = []
            thread = threading.Thread(target=lambda: said.append(anna.ask("hm")))
            thread.start()
            self.assertTrue(asked.wait(PATIENCE))
            for _ in range(5):
                anna.send_picture(SMALL)
            self.assertEqual(said, [])
            answer.set()
            thread.join(PATIENCE)
            self.assertEqual(said, ["hm"])
            eventually(lambda: len(house.pictures.get(32, [])) == 5, "all have come")

    def test_nobody_at_the_port(self) -> None:
        port = free_udp_port()

        def behaviour(sock: socket.socket) -> None:
            read_request(sock)
            sock.sendall(pack(b"", 32, 1, FINE, port))
            read_to_end(sock)

        with Peer(behaviour) as house, tumip(house) as anna:
            anna.register()
            with self.assertRaisesRegex(ConnectionLost, "takes no pictures"):
                eventually(lambda: not anna.send_picture(SMALL), "the port is refused")


class TroubleTest(unittest.TestCase):
    def answering(self, answer: bytes) -> Callable[[socket.socket], None]:
        def behaviour(sock: socket.socket) -> None:
            read_request(sock)
            sock.sendall(answer)
            read_to_end(sock)

        return behaviour

    def test_nothing_listens(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        with self.assertRaisesRegex(ClientError, f"connection refused: nothing listens at 127.0.0.1:{port}"):
            Tumip("127.0.0.1", port)

    def test_answers_that_are_none(self) -> None:
        cases = {
            "user 33 and not 32": pack(b"", 33, ASK, FINE, 2, b"hi"),
            "request 1 and not 3": pack(b"", 32, 1, FINE, 2),
            "unknown flag 20": pack(b"", 32, ASK, 0x20, 2, b"hi"),
            "no tumip server": b"Enter your name: ",
        }
        for message, answer in cases.items():
            with self.subTest(message), Peer(self.answering(answer)) as house, tumip(house) as anna:
                for _ in range(2):  # there is no way back into step
                    with self.assertRaisesRegex(ProtocolError, message):
                        anna.ask("hello")
                with self.assertRaisesRegex(ProtocolError, message):
                    anna.check()

    def test_another_form(self) -> None:
        with Peer(self.answering(pack(b"", 32, ASK, FINE, 2, b"hi"))) as house:
            with tumip(house, form="marked") as anna, self.assertRaisesRegex(ProtocolError, "another form"):
                anna.ask("hello")
        with Peer(self.answering(pack(b"\x01", 32, ASK, FINE, 2, b"hi"))) as house:
            with tumip(house) as anna, self.assertRaisesRegex(ProtocolError, "answers user"):
                anna.ask("hello")

    def test_no_port(self) -> None:
        with Peer(self.answering(pack(b"", 32, 1, FINE, 0))) as house, tumip(house) as anna:
            with self.assertRaisesRegex(ProtocolError, "no UDP port"):
                anna.register()

    def test_what_nobody_asked_for(self) -> None:
        with Peer(lambda sock: sock.sendall(b"hello")) as house, tumip(house) as anna:
            with self.assertRaisesRegex(ProtocolError, "nobody asked for"):
                eventually(anna.check, "something has come")

    def test_a_late_answer_is_not_taken_for_the_next(self) -> None:
        def behaviour(sock: socket.socket) -> None:
            first, second = read_request(sock), read_request(sock)
            for _, user, request, field, text in (first, second):
                for byte in pack(b"", user, request, FINE, field, text):
                    sock.sendall(bytes([byte]))
            read_to_end(sock)

        with Peer(behaviour) as house, tumip(house, timeout=0.05) as anna:
            with self.assertRaisesRegex(WaitTimeout, "no answer within 0.05 s"):
                anna.ask("first")
            anna.check()  # the connection is fine
            anna.timeout = PATIENCE
            self.assertEqual(anna.ask("second"), "second")

    def test_an_answer_that_is_cut_by_the_end(self) -> None:
        whole = pack(b"\x01", 32, ASK, FINE, 5, b"hello")
        for cut in range(len(whole)):

            def behaviour(sock: socket.socket) -> None:
                read_request(sock)
                sock.sendall(whole[:cut])

            with self.subTest(cut=cut), Peer(behaviour) as house, tumip(house, form="marked") as anna:
                with self.assertRaises(ConnectionLost):
                    anna.ask("x")

    def test_losing_the_connection(self) -> None:
        def behaviour(sock: socket.socket) -> None:
            read_request(sock)
            sock.sendall(pack(b"", 32, 1, FINE, free_udp_port()))

        with Peer(behaviour) as house, tumip(house) as anna:
            anna.register()
            with self.assertRaisesRegex(ConnectionLost, "the server closed it"):
                eventually(anna.check, "the end is noticed")
            for use in (anna.register, lambda: anna.ask("x"), lambda: anna.send_picture(SMALL)):
                with self.assertRaises(ConnectionLost):
                    use()

    def test_a_reset(self) -> None:
        def behaviour(sock: socket.socket) -> None:
            read_request(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        with Peer(behaviour) as house, tumip(house) as anna, self.assertRaises(ConnectionLost):
            anna.ask("x")

    def test_closing(self) -> None:
        asked, end = threading.Event(), threading.Event()

        def never(text: str) -> Any:
            asked.set()
            end.wait(PATIENCE)
            return FINE, text

        with FakeTumipHouse() as house, tumip(house) as anna:
            house.answer = never
            anna.register()
            failures: List[ClientError] = []

            def ask() -> None:
                try:
                    anna.ask("hm")
                except ClientError as error:
                    failures.append(error)

            thread = threading.Thread(target=ask)
            thread.start()
            self.assertTrue(asked.wait(PATIENCE))
            anna.close()
            thread.join(PATIENCE)
            end.set()
            self.assertEqual([str(failure) for failure in failures], ["this session has ended"])
            anna.close()  # once more does no harm
            for use in (anna.register, anna.check, lambda: anna.ask("x"), lambda: anna.send_picture(SMALL)):
                with self.assertRaisesRegex(ClientError, "this session has ended"):
                    use()

    def test_closing_after_an_interrupt_at_the_worst_moment(self) -> None:
        class Interrupted:
            """The lock, when Ctrl-C comes right after it was taken."""

            def __init__(self, lock: Any) -> None:
                self._lock = lock

            def acquire(self, blocking: bool) -> bool:
                self._lock.acquire(blocking=blocking)
                raise KeyboardInterrupt

        def interrupted() -> None:
            with tumip(house) as anna:
                lock = anna._talking
                anna._talking = Interrupted(lock)  # type: ignore[assignment]
                try:
                    anna.check()
                except KeyboardInterrupt:
                    anna._talking = lock

        with FakeTumipHouse() as house:
            # A thread of its own, so that this test ends also when that one hangs.
            thread = threading.Thread(target=interrupted, daemon=True)
            thread.start()
            thread.join(PATIENCE)
            self.assertFalse(thread.is_alive(), "it waits for itself")


if __name__ == "__main__":
    unittest.main()
