"""The old-style clients against the servers in this process: that they work where messages are kept apart."""

from __future__ import annotations

import os
import unittest

from fake_house import FakeChatroom, FakeVideochat
from fake_lan_house import FakeLanAudio, FakeLanChat, FakeLanFile, FakeLanVideo
from old_style import (
    OldChatroom,
    OldLanChat,
    OldLanVideo,
    OldSpeaker,
    OldVideochat,
    old_lan_audio,
    old_lan_file,
)
from support import eventually, fake_jpeg, temporary_folder
from test_tumip_pictures import needs_opencv, ramp

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

    def test_lan_file(self) -> None:
        path = temporary_folder(self) / "file"
        content = bytes(range(256)) * 100
        with FakeLanFile(content) as house:
            old_lan_file("127.0.0.1", house.port, path)
        self.assertEqual(path.read_bytes(), content)

    def test_lan_chat(self) -> None:
        reading, writing = os.pipe()
        with os.fdopen(reading) as typed, os.fdopen(writing, "w", buffering=1) as keyboard, FakeLanChat() as house:
            with OldLanChat("127.0.0.1", house.port, typed) as anna:
                anna.show_until("Welcome to this chatroom!")
                keyboard.write("hello\n")
                anna.turn()
                eventually(lambda: house.said == [b"hello"], "it was said")
                house.tell(b"<10.0.0.1> hi\n")
                anna.show_until("<10.0.0.1> hi\n")

    def test_lan_audio(self) -> None:
        samples = bytes(range(256)) * 100
        with FakeLanAudio(samples) as house:
            old_lan_audio("127.0.0.1", house.port, speaker := OldSpeaker(), len(samples))
        self.assertEqual(speaker.played, samples)
        with self.assertRaisesRegex(ValueError, "3 bytes are not whole samples"):
            speaker.write(b"odd")

    @needs_opencv
    def test_lan_video(self) -> None:
        with FakeLanVideo() as house:
            with OldLanVideo("127.0.0.1", house.port) as camera:
                camera.send(ramp(64, 48))
            eventually(lambda: house.pickles, "it has come")
            self.assertTrue((house.frames[0] == ramp(64, 48)).all())


if __name__ == "__main__":
    unittest.main()
