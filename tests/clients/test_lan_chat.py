"""The lan_chat client, as a library and as a command, against servers in this process."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import unittest
from typing import Any, List

from fake_house import Peer, read_exactly, read_to_end
from fake_lan_house import WELCOME, FakeLanChat, reset
from support import PATIENCE, TerminalCase, command, eventually, finish, json_lines, start, talk

from playhouse_clients import ClientError, ConnectionLost, LanChat, LanMessage, ProtocolError, WaitTimeout
from playhouse_clients.lan_chat import LONGEST_LINE


def lan_chat(house: Any, timeout: float = PATIENCE) -> LanChat:
    return LanChat("127.0.0.1", house.port, timeout)


def say_nothing(sock: socket.socket) -> None:
    read_to_end(sock)


class LibraryTest(unittest.TestCase):
    def test_bytes_on_the_wire(self) -> None:
        came: List[bytes] = []

        def behaviour(sock: socket.socket) -> None:
            sock.sendall(WELCOME)
            came.append(read_exactly(sock, 22))
            sock.sendall("<192.168.1.5> grüße\n<fe80::1> <b>\r\n".encode())
            came.append(read_to_end(sock))

        with Peer(behaviour) as house:
            with lan_chat(house) as anna:
                self.assertEqual(anna.welcome, "Welcome to this chatroom!")
                anna.say("hello")
                anna.say("two\nlines: äöü"[:-1])
                self.assertEqual(anna.receive(PATIENCE), LanMessage("192.168.1.5", "grüße"))
                self.assertEqual(anna.receive(PATIENCE), LanMessage("fe80::1", "<b>"))
                self.assertIsNone(anna.receive(0))
                anna.say("")
        self.assertEqual(b"".join(came), "hello\ntwo\nlines: äö\n\n".encode())

    def test_text_in_any_pieces(self) -> None:
        text = WELCOME + "<10.0.0.1> grüße\n<10.0.0.2> 😀\n".encode()
        wanted = [LanMessage("10.0.0.1", "grüße"), LanMessage("10.0.0.2", "😀")]
        # all at once, and cut at each place; the rest comes when the first part was looked at
        for cut in range(len(text)):
            go_on = threading.Event()

            def behaviour(sock: socket.socket) -> None:
                sock.sendall(text[:cut])
                go_on.wait(0.001)
                sock.sendall(text[cut:])
                read_to_end(sock)

            with self.subTest(cut=cut), Peer(behaviour) as house, lan_chat(house) as anna:
                self.assertEqual([anna.receive(PATIENCE) for _ in wanted], wanted)

    def test_text_without_a_line_end(self) -> None:
        with FakeLanChat() as house, lan_chat(house) as anna:
            house.tell(b"<10.0.0.1> no end")
            self.assertEqual(anna.receive(PATIENCE), LanMessage("10.0.0.1", "no end"))
            house.tell(b" of it\n<10.0.0.2> \xff\n")
            self.assertEqual(anna.receive(PATIENCE), LanMessage("", " of it"))
            self.assertEqual(anna.receive(PATIENCE), LanMessage("10.0.0.2", "\ufffd"))

    def test_text_without_bounds(self) -> None:
        with FakeLanChat() as house, lan_chat(house) as anna:
            house.tell(b"<10.0.0.1> " + b"x" * (2 * LONGEST_LINE) + b"\n")
            texts = [anna.receive(PATIENCE) for _ in range(3)]
            self.assertEqual("".join(part.text for part in texts if part), "x" * (2 * LONGEST_LINE))
            self.assertEqual([part.address for part in texts if part], ["10.0.0.1", "", ""])

    def test_nobody_speaks_for_another(self) -> None:
        """The rest of a line that is too long belongs to whoever said the line, whatever it looks like."""
        beginning = b"<10.0.0.1> " + b"x" * LONGEST_LINE
        forged = b"<10.0.0.9> forged"
        longest = beginning[:LONGEST_LINE] + forged
        with FakeLanChat() as house, lan_chat(house) as anna:
            house.tell(longest + b"\n<10.0.0.2> yes\n")
            first = anna.receive(PATIENCE)
            self.assertEqual(first and (first.address, len(first.text)), ("10.0.0.1", LONGEST_LINE - 11))
            self.assertEqual(anna.receive(PATIENCE), LanMessage("", forged.decode()))
            self.assertEqual(anna.receive(PATIENCE), LanMessage("10.0.0.2", "yes"))
            # nor after two cuts, nor after a pause
            house.tell(beginning[:LONGEST_LINE] + b"y" * LONGEST_LINE + forged)
            self.assertEqual([getattr(anna.receive(PATIENCE), "address", None) for _ in range(2)], ["10.0.0.1", ""])
            self.assertEqual(anna.receive(PATIENCE), LanMessage("", forged.decode()))
            house.tell(forged + b"\n<10.0.0.2> yes\n")
            self.assertEqual(anna.receive(PATIENCE), LanMessage("", forged.decode()))
            self.assertEqual(anna.receive(PATIENCE), LanMessage("10.0.0.2", "yes"))

    def test_a_server_that_closes(self) -> None:
        def behaviour(sock: socket.socket) -> None:
            sock.sendall(WELCOME + b"<10.0.0.1> last words")

        with Peer(behaviour) as house, lan_chat(house) as anna:
            self.assertEqual(anna.receive(PATIENCE), LanMessage("10.0.0.1", "last words"))
            for _ in range(2):
                with self.assertRaises(ConnectionLost):
                    anna.receive(PATIENCE)
        with self.assertRaisesRegex(ClientError, "has ended"):
            anna.say("hello")

    def test_other_servers(self) -> None:
        for greeting in (b"Enter your name: ", b"Welcome to that chatroom!", b"\0" * 100):
            with self.subTest(greeting), Peer(lambda sock: sock.sendall(greeting)) as house:
                with self.assertRaisesRegex(ProtocolError, "no lan_chat server"):
                    lan_chat(house)
        with Peer(lambda sock: sock.sendall(b"Welcome")) as house, self.assertRaises(ConnectionLost):
            lan_chat(house)
        with Peer(say_nothing) as house:
            with self.assertRaisesRegex(WaitTimeout, "no welcome within 0.05 s"):
                lan_chat(house, 0.05)

    def test_all_that_was_said_arrives(self) -> None:
        with FakeLanChat() as house:
            with lan_chat(house) as anna:
                # unread, this would make the system throw away what we say last
                house.tell(b"<10.0.0.1> never read\n" * 1000)
                for number in range(1000):
                    anna.say(f"{number}")
            eventually(lambda: not house.here, "anna is gone")
            self.assertEqual(house.said, [b"%d" % number for number in range(1000)])

    def test_receiving_ends_when_another_thread_closes(self) -> None:
        failures: List[ClientError] = []

        def listen() -> None:
            try:
                anna.receive()
            except ClientError as error:
                failures.append(error)

        with FakeLanChat() as house:
            with lan_chat(house) as anna:
                thread = threading.Thread(target=listen)
                thread.start()
            thread.join(PATIENCE)
        self.assertEqual(len(failures), 1)

    def test_three_talk(self) -> None:
        with FakeLanChat() as house, lan_chat(house) as anna, lan_chat(house) as bob, lan_chat(house) as carl:
            eventually(lambda: len(house.here) == 3, "all are here")
            anna.say("hello")
            for other in (bob, carl):
                self.assertEqual(other.receive(PATIENCE), LanMessage("127.0.0.1", "hello"))
            bob.say("and you")
            self.assertEqual(anna.receive(PATIENCE), LanMessage("127.0.0.1", "and you"))


class CommandTest(unittest.TestCase):
    def test_a_text_from_a_pipe(self) -> None:
        with FakeLanChat() as house:
            done = talk(command("lan_chat", house.address), "hello\n\n/quit is no command\n  äöü  ")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(done.stdout.splitlines()[:2], ["Welcome to this chatroom!", "you: hello"])
            eventually(lambda: not house.here, "it is gone")
            self.assertEqual(house.said, [b"hello", b"", b"/quit is no command", "  äöü  ".encode()])

    def test_saying_something(self) -> None:
        with FakeLanChat() as house:
            done = talk(command("lan_chat", house.address, "--say", "one", "--say", "two", "--json"), "not this\n")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(
                json_lines(done.stdout),
                [{"event": "connected"}, {"event": "sent", "text": "one"}, {"event": "sent", "text": "two"}],
            )
            eventually(lambda: not house.here, "it is gone")
            self.assertEqual(house.said, [b"one", b"two"])

    def test_listening(self) -> None:
        for options in ([], ["--say", "hello"]):
            with self.subTest(options), FakeLanChat() as house:
                process = subprocess.Popen(
                    command("lan_chat", house.address, "--listen", *options),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    encoding="utf-8",
                )
                assert process.stdout is not None
                self.assertEqual(process.stdout.readline(), "Welcome to this chatroom!\n")
                if options:
                    self.assertEqual(process.stdout.readline(), "you: hello\n")
                # nobody steers this terminal, nor forges a line
                house.tell("<10.0.0.1> grüße\x1b[2J\r<10.0.0.2> forged\n<10.0.0.2> yes\n".encode())
                self.assertEqual(process.stdout.readline(), "<10.0.0.1> grüße\\x1b[2J\\r<10.0.0.2> forged\n")
                self.assertEqual(process.stdout.readline(), "<10.0.0.2> yes\n")
                process.send_signal(signal.SIGINT)
                code, _, err = finish(process)
                self.assertEqual((code, err), (130, ""))

    def test_json(self) -> None:
        with FakeLanChat() as house:
            process = start(command("lan_chat", house.address, "--json"))
            eventually(lambda: house.here, "it is here")
            house.tell(b"<10.0.0.1> hello\n")
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(2)]
            self.assertEqual(
                json_lines("".join(lines)),
                [{"event": "connected"}, {"event": "message", "from": "10.0.0.1", "text": "hello"}],
            )
            self.assertEqual(finish(process), (0, "", ""))

    def test_a_server_that_goes_away(self) -> None:
        for options in ([], ["--listen", "--say", "hello"]):
            with self.subTest(options), FakeLanChat() as house:
                # its input stays open: nothing but the lost connection can end it
                process = start(command("lan_chat", house.address, *options))
                eventually(lambda: house.here and (not options or house.said), "it is there")
                house.here[0].shutdown(socket.SHUT_RDWR)
                self.assertEqual(process.wait(PATIENCE), 4)
                self.assertEqual(finish(process)[2], "lan_chat: connection lost: the server closed it\n")

    def test_a_server_that_has_not_read(self) -> None:
        def behaviour(sock: socket.socket) -> None:
            sock.sendall(WELCOME)
            sock.recv(1, socket.MSG_PEEK)  # what was said is here, and is thrown away
            reset(sock)

        for options in ([], ["--say", "hello"]):
            with self.subTest(options), Peer(behaviour) as house:
                done = talk(command("lan_chat", house.address, *options), "hello\n")
                self.assertEqual((done.returncode, done.stderr.count("\n")), (4, 1), done.stderr)
                self.assertRegex(done.stderr, "^lan_chat: connection lost: ")

    def test_exit_codes(self) -> None:
        with Peer(lambda sock: sock.sendall(b"Enter your name: ")) as house:
            done = talk(command("lan_chat", house.address))
            self.assertEqual((done.returncode, done.stderr.count("\n")), (5, 1))
            self.assertIn("no lan_chat server", done.stderr)
        done = talk(command("lan_chat", house.address))
        self.assertEqual(done.returncode, 3)
        self.assertEqual(done.stderr, f"lan_chat: connection refused: nothing listens at {house.address}\n")
        with Peer(say_nothing) as house:
            self.assertEqual(talk(command("lan_chat", house.address, "--timeout", "0.05")).returncode, 1)


@unittest.skipIf(sys.platform == "win32", "there are no pseudo terminals on Windows")
class TerminalTest(TerminalCase):
    def test_a_conversation(self) -> None:
        with FakeLanChat() as house:
            process = self.start(*command("lan_chat", house.address))
            self.wait_for("Welcome to this chatroom!")
            self.wait_for("> ")
            self.type("hello\n\n/dance\n")
            self.wait_for("! no such command: /dance")
            self.type("half a li")
            self.wait_for("half a li")
            house.tell(b"<10.0.0.1> hi\x1b[2J\n")
            self.wait_for("<10.0.0.1> hi\\x1b[2J")
            self.wait_for("> half a li")  # still to be seen, and to be gone on with
            self.type("ne\n//slash\n/quit\n")
            self.assertEqual(process.wait(PATIENCE), 0)
            self.wait_for("Bye.")
            self.assertTrue(self.echoes())
            self.assertEqual(house.said, [b"hello", b"half a line", b"/slash"])

    def test_ctrl_d_and_ctrl_c(self) -> None:
        with FakeLanChat() as house:
            for end, code in (("\x04", 0), ("", 130)):
                with self.subTest(code):
                    process = self.start(*command("lan_chat", house.address))
                    self.wait_for("> ")
                    eventually(lambda: not self.echoes(), "the client reads keys")
                    if end:
                        self.type(end)
                    else:
                        process.send_signal(signal.SIGINT)
                    self.assertEqual(process.wait(PATIENCE), code)
                    self.assertTrue(self.echoes())
                    self.assertNotIn("Traceback", self.everything)


if __name__ == "__main__":
    unittest.main()
