"""The old-style clients against the servers in this process: that they work where messages are kept apart."""

from __future__ import annotations

import unittest

from fake_house import FakeChatroom, FakeVideochat
from old_style import OldChatroom, OldVideochat
from support import fake_jpeg

CLIP = [fake_jpeg(426, 240, bytes(1000))] * 3


class OldStyleTest(unittest.TestCase):
    def test_videochat(self) -> None:
        with FakeVideochat({"clip_240p.mp4": CLIP}) as house:
            anna = OldVideochat("127.0.0.1", house.port, "anna")
            anna.receive_until(lambda _, message: "anna" in anna.clients)
            anna.say("anna", "hello")
            heard = anna.receive_until(lambda identifier, _: identifier == "Communication")
            self.assertEqual(anna.decrypt(heard), "hello")
            self.assertEqual(anna.videos(), ["clip_240p.mp4"])
            self.assertEqual(anna.watch("clip_240p.mp4"), CLIP)
            anna.quit()

    def test_chatroom(self) -> None:
        with FakeChatroom({"clip": CLIP}) as house:
            anna = OldChatroom("127.0.0.1", house.port, "anna")
            self.assertEqual(list(anna.users), ["anna"])
            anna.enter_chat()
            anna.say("anna", "hello")
            self.assertEqual(anna.receive_until(lambda header, _: header == "CHAT"), "hello")
            anna.leave_chat()
            self.assertEqual(anna.watch("clip"), (["clip"], CLIP))
            anna.disconnect()


if __name__ == "__main__":
    unittest.main()
