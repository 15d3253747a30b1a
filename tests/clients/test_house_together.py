"""Unchanged clients of each service in a full house: dozens of people of all services, who see and write to each
other. `test_house` has what it takes to run a server."""

from __future__ import annotations

import json
import os
import socket
import unittest
from typing import Any, Dict, List
from unittest import mock

from old_style import OldChatroom, OldLanChat, OldVideochat
from support import PATIENCE, eventually
from test_house import HouseCase, own

from playhouse_clients import Packetchat, Tumip

PEOPLE = 24  # of each service that has room for as many
OLD_LIST = 1024  # what the old chatroom client reads of a list
LONG = "a longer text that needs several blocks: grüße 😀 " * 12


class FullHouseTest(HouseCase):
    def setUp(self) -> None:
        with mock.patch.dict(os.environ, {"PLAYHOUSE__BOT__KIND": "echo"}):
            super().setUp()

    def fill(self) -> List[Packetchat]:
        """Dozens of people; those of packetchat."""
        for number in range(PEOPLE):
            tumip = self.enter(Tumip(*self.house.at("tumip"), number, timeout=PATIENCE))
            tumip.ask("hello")
            chatter = self.enter(socket.create_connection(self.house.at("lan_chat"), PATIENCE))
            self.assertEqual(chatter.recv(25), b"Welcome to this chatroom!")
        return [self.packetchat(f"paula {number}") for number in range(PEOPLE)]

    def old_videochat(self, name: str) -> OldVideochat:
        user = OldVideochat(*self.house.at("videochat"), name)
        self.addCleanup(user.sock.close)
        user.receive_until(lambda *_: name in user.clients)
        return user

    def old_chatroom(self, name: str) -> OldChatroom:
        user = OldChatroom(*self.house.at("chatroom"), name)
        self.addCleanup(user.sock.close)
        user.enter_chat()
        return user

    def old_lan_chat(self) -> OldLanChat:
        reading, writing = os.pipe()
        typed = self.enter(os.fdopen(reading))
        self.keyboard = self.enter(os.fdopen(writing, "w", buffering=1))
        chatter: OldLanChat = self.enter(OldLanChat(*self.house.at("lan_chat"), typed))
        return chatter

    def test_videochat(self) -> None:
        # Nothing reads for this client but the test: it comes last, and then reads at once.
        paulas = self.fill()
        anna = self.old_videochat("anna")
        last = f"{paulas[-1].name}@packetchat"
        self.assertIn(last, anna.clients)
        self.assertIn("bot", anna.clients)
        self.assertLess(len(json.dumps(anna.clients)), 32_000)
        anna.say(last, "old to packetchat")
        self.assertEqual(paulas[-1].wait_message("anna", PATIENCE).text, "old to packetchat")
        paulas[0].send("anna", LONG)
        self.assertEqual(self.read_by(anna, f"{paulas[0].name}@packetchat", LONG), LONG)
        anna.say("bot", "are you there?")
        self.assertEqual(self.read_by(anna, "bot", "are you there?"), "are you there?")
        bob = self.old_videochat("bob")
        anna.receive_until(lambda *_: "bob" in anna.clients)
        bob.say("anna", "old to old")
        self.assertEqual(self.read_by(anna, "bob", "old to old"), "old to old")
        self.assertEqual(own(bob.clients), {"anna", "bob"})
        anna.quit()

    def read_by(self, reader: OldVideochat, sender: str, expected: str) -> str:
        text = ""
        while len(text) < len(expected):
            message = reader.receive_until(lambda identifier, _: identifier == "Communication")
            if message["from"] == sender:
                text += reader.decrypt(message) or ""
        return text

    def test_chatroom(self) -> None:
        anna = self.old_chatroom("anna")
        paulas = self.fill()
        last = f"{paulas[-1].name}@packetchat"
        # One that does not fit `recv(1024)` is none to this client.
        eventually(lambda: last in anna.users or not anna.receive(), "the last one is here")
        self.assertIn("bot", anna.users)
        self.assertLessEqual(len("URIF") + self.length(anna.users), OLD_LIST)
        anna.say(last, "old to packetchat")
        self.assertEqual(paulas[-1].wait_message("anna", PATIENCE).text, "old to packetchat")
        paulas[0].send("anna", LONG)
        opening, text = f"{paulas[0].name}@packetchat: ", ""
        while len(text) < len(LONG):
            block = anna.receive_until(lambda header, read: header == "CHAT" and read)
            self.assertTrue(block.startswith(opening), block)
            text += block[len(opening) :]
        self.assertEqual(text, LONG)
        self.assertIn(opening[:-2], anna.users, "whoever speaks is in the list")
        anna.say("bot", "are you there?")
        answer = anna.receive_until(lambda header, read: header == "CHAT" and read)
        self.assertEqual(answer, "bot: are you there?")
        bob, carl = self.old_chatroom("bob"), self.old_chatroom("carl")
        for user in (anna, bob, carl):
            eventually(lambda: own(user.users) == {"anna", "bob", "carl"} or not user.receive(), "all are here")
        bob.say("carl", "old to old")
        self.assertEqual(carl.receive_until(lambda header, read: header == "CHAT" and read), "old to old")

    def length(self, users: Dict[str, str]) -> int:
        return len(json.dumps(users, separators=(",", ":"), ensure_ascii=False).encode())

    def test_packetchat(self) -> None:
        paulas = self.fill()
        old = self.packetchat("anna", old_style=True)
        carl = self.chatroom("carl")
        names: List[Any] = []
        eventually(lambda: names.__setitem__(slice(None), old.users) or "carl" in names, "carl is here")
        self.assertEqual(sum(name.startswith("tumip-") for name in names), PEOPLE)
        self.assertEqual(sum(name.startswith("paula ") for name in names), PEOPLE)
        self.assertIn("bot", names)
        old.send("carl", "old to chatroom")
        message = carl.wait_message(timeout=PATIENCE)
        self.assertEqual(message.text.removeprefix("anna@packetchat: "), "old to chatroom")
        old.send("bot", "are you there?")
        self.assertEqual(old.wait_message("bot", PATIENCE).text, "are you there?")
        paulas[3].send("anna", "packetchat to old")
        self.assertEqual(old.wait_message("paula 3", PATIENCE).text, "packetchat to old")

    def test_lan_chat(self) -> None:
        paulas = self.fill()
        anna = self.videochat("anna")
        old = self.old_lan_chat()
        old.show_until("Welcome to this chatroom!")
        paulas[5].send_all("packetchat to all")
        old.show_until("<paula 5> packetchat to all\n")
        self.assertEqual(anna.wait_message("paula 5@packetchat", PATIENCE).text, "packetchat to all")
        self.keyboard.write("@bot are you there?\n")
        old.show_until("<bot> are you there?\n")
        self.assertEqual(paulas[6].wait_message("bot", PATIENCE).text, "are you there?")


if __name__ == "__main__":
    unittest.main()
