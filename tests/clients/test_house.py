"""The clients against the real server.

`PLAYHOUSE_BIN` is the binary (default `target/release/playhouse`), `PLAYHOUSE_VIDEOS` the folder of videos
(default `videos`). Saved frames are decoded with the `ffmpeg` command. Each test has a house of its own, on
free ports, and stops it with SIGTERM.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, Iterable, List, Set, Tuple

from old_style import OldChatroom, OldVideochat
from support import PATIENCE, ROOT, Events, command, eventually, finish, json_lines, start, talk

from playhouse_clients import Chatroom, Packetchat, ServerError, Session, Summary, Videochat, packets
from playhouse_clients.people import Message
from playhouse_clients.viewing import by_video
from playhouse_clients.wire import jpeg_size

BINARY = Path(os.environ.get("PLAYHOUSE_BIN", ROOT / "target" / "release" / "playhouse"))
VIDEOS = Path(os.environ.get("PLAYHOUSE_VIDEOS", ROOT / "videos"))
# all of them on free ports: another server may run on this machine
SERVICES = "CHATROOM LAN_AUDIO LAN_CHAT LAN_FILE LAN_VIDEO PACKETCHAT TUMIP VIDEOCHAT WEB".split()
START = 30.0
STOP = 30.0


class House:
    """A running server; `address` gives where its services are."""

    def __init__(self, folder: Path, pace: str) -> None:
        if not BINARY.is_file():
            raise AssertionError(f"no server to test: {BINARY} is missing (build it, or set PLAYHOUSE_BIN)")
        self.stopped = False
        self.folder = folder
        self.ready_file = folder / "ready.json"
        self.log = folder / "log"
        self.environment = dict(os.environ)
        for service in SERVICES:
            self.environment[f"PLAYHOUSE__{service}__PORT"] = "0"
        # Neither do users' pictures come to ports of their own choice.
        self.environment["PLAYHOUSE__TUMIP__UDP_FIRST"] = self.environment["PLAYHOUSE__TUMIP__UDP_LAST"] = "0"
        if pace:
            self.environment["PLAYHOUSE__STREAMING__PACE"] = pace
        self.start()

    def start(self) -> None:
        self.ready_file.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    str(BINARY),
                    "serve",
                    "--bind",
                    "127.0.0.1",
                    "--videos",
                    str(VIDEOS),
                    "--data",
                    str(self.folder / "data"),
                    "--ready-file",
                    str(self.ready_file),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
            )
        try:
            eventually(self._ready, "the server is ready", START)
        except AssertionError as failure:
            self.kill()
            raise AssertionError(f"{failure}; it said:\n{self.said()}") from None
        self.addresses: Dict[str, str] = self._ready()

    def start_again(self) -> None:
        """After `kill`: with the same data, at the same ports."""
        for service, address in self.addresses.items():
            self.environment[f"PLAYHOUSE__{service.upper()}__PORT"] = address.rpartition(":")[2]
        self.start()

    def _ready(self) -> Any:
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}")
        try:
            return json.loads(self.ready_file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):  # not there, or not yet whole
            return None

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")[-4000:]

    def at(self, service: str) -> Tuple[str, int]:
        host, _, port = self.addresses[service].rpartition(":")
        return host, int(port)

    def stop(self) -> None:
        """SIGTERM has to end it, with 0. Once it has, this does nothing more."""
        if self.stopped:
            return
        self.stopped = True
        if self.process.poll() is not None:
            raise AssertionError(f"the server was gone ({self.process.returncode}); it said:\n{self.said()}")
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"SIGTERM did not end the server within {STOP:g} s; it said:\n{self.said()}")
        finally:
            self.kill()
        if code != 0:
            raise AssertionError(f"after SIGTERM the server ended with {code}; it said:\n{self.said()}")

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def clip() -> Tuple[str, List[str]]:
    """(name, qualities) of the smallest video that has several."""
    found = [
        (sum(VIDEOS.joinpath(path).stat().st_size for path in VIDEOS.glob(video + "_*")), video, qualities)
        for video, _, qualities in by_video([path.name for path in sorted(VIDEOS.glob("*_*.*"))])
        if len(qualities) > 1
    ]
    if not found:
        raise AssertionError(f"no video to test with: {VIDEOS} has none in two qualities or more")
    _, video, qualities = min(found)
    return video, qualities


def decoded(folder: Path) -> List[str]:
    """A fingerprint of each saved frame's picture, decoded; a frame that cannot be decoded is a failure."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise AssertionError("the ffmpeg command is needed to decode frames")
    frames = [path.read_bytes() for path in sorted(folder.iterdir())]
    done = subprocess.run(
        [ffmpeg, "-v", "error", "-xerror", "-err_detect", "explode", "-f", "image2pipe", "-c:v", "mjpeg", "-i", "-"]
        + ["-vf", "scale=64:36", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
        input=b"".join(frames),
        capture_output=True,
    )
    picture = 64 * 36 * 3
    if done.returncode != 0 or len(done.stdout) != len(frames) * picture:
        raise AssertionError(
            f"{len(done.stdout) // picture} of {len(frames)} frames decode: {done.stderr.decode()}"
        )
    return [
        hashlib.sha256(done.stdout[at : at + picture]).hexdigest()
        for at in range(0, len(done.stdout), picture)
    ]


def own(users: Iterable[str]) -> Set[str]:
    """Those without the bot and people of other services."""
    return {name for name in users if name != "bot" and "@" not in name}


def is_foreign(message: Message) -> bool:
    """Whether somebody of another service said it."""
    return re.match(r"\S+@[a-z_]+$", message.sender or message.text.partition(": ")[0]) is not None


class HouseCase(unittest.TestCase):
    pace = "fast"

    def setUp(self) -> None:
        # Cleaned up in reverse: the sessions of the test leave, the server stops, its folder goes.
        folder = Path(self.enter(tempfile.TemporaryDirectory()))
        self.house = House(folder, self.pace)
        self.addCleanup(self.house.stop)

    def enter(self, context: Any) -> Any:
        stack = ExitStack()
        self.addCleanup(stack.close)
        return stack.enter_context(context)

    def videochat(self, name: str, **options: Any) -> Videochat:
        return self.enter(Videochat.connect(*self.house.at("videochat"), name, **options))

    def chatroom(self, name: str, **options: Any) -> Chatroom:
        return self.enter(Chatroom.connect(*self.house.at("chatroom"), name, **options))

    def packetchat(self, name: str, **options: Any) -> Packetchat:
        return self.enter(Packetchat.connect(*self.house.at("packetchat"), name, **options))

    def everybody_sees_everybody(self, users: List[Session]) -> None:
        """Of their own service. Others, as far as there is room for them, are another matter."""
        names = {user.name for user in users}
        for user in users:
            eventually(lambda: own(user.users) == names, f"{user.name} sees {names}, not {set(user.users)}")

    def everybody_talks(self, users: List[Session]) -> None:
        """Each says something to each other one alone, and something to all."""
        for user in users:
            for other in users:
                if other is not user:
                    user.send(other.name, f"{user.name} to {other.name}: grüße 😀")
            # and others of whom it knows, but for the bot
            self.assertGreaterEqual(user.send_all(f"{user.name} to all"), len(users) - 1)
        for user in users:
            for other in users:
                if other is not user:
                    first = user.wait_message(other.name, PATIENCE)
                    self.assertEqual(first.text, f"{other.name} to {user.name}: grüße 😀")
                    self.assertEqual(user.wait_message(other.name, PATIENCE).text, f"{other.name} to all")
            # and nothing that was for somebody else; what comes from other services says so
            messages = [message for message in user.messages() if not is_foreign(message)]
            self.assertEqual(len(messages), 2 * (len(users) - 1))


class PeopleTest(HouseCase):
    def test_both_services_at_once(self) -> None:
        events = Events()
        anna, bob = self.videochat("anna", on_event=events), self.videochat("bob")
        room: List[Session] = [self.chatroom(name) for name in ("carl", "dora", "emil")]
        self.everybody_sees_everybody([anna, bob])
        self.everybody_sees_everybody(room)
        talks = [
            threading.Thread(target=self.catch(self.everybody_talks), args=(users,))
            for users in ([anna, bob], room)
        ]
        for thread in talks:
            thread.start()
        for thread in talks:
            thread.join()
        self.assertEqual(self.caught, [])
        room.pop().quit()
        bob.quit()
        events.wait("left", "bob")
        self.everybody_sees_everybody([anna])
        self.everybody_sees_everybody(room)
        told = [(event.kind, event.name) for event in events.seen if event.kind in ("joined", "left")]
        self.assertEqual([event for event in told if "@" not in event[1]], [("joined", "bob"), ("left", "bob")])
        strangers = {("joined", f"{name}@chatroom") for name in ("carl", "dora", "emil")}
        self.assertEqual({event for event in told if "@" in event[1]}, {*strangers, ("left", "emil@chatroom")})

    def catch(self, run: Any) -> Any:
        self.caught: List[BaseException] = getattr(self, "caught", [])

        def caught(*arguments: Any) -> None:
            try:
                run(*arguments)
            except BaseException as failure:
                self.caught.append(failure)

        return caught

    def test_a_taken_name(self) -> None:
        self.assertEqual([self.videochat("anna").name for _ in range(3)], ["anna", "anna-2", "anna-3"])

    def test_a_lost_connection_is_a_leave(self) -> None:
        anna, bob = self.videochat("anna"), self.videochat("bob")
        carl, dora = self.chatroom("carl"), self.chatroom("dora")
        anna.wait_for("bob", PATIENCE)
        carl.wait_for("dora", PATIENCE)
        bob._wire.hang_up()
        dora._wire.hang_up()
        anna.wait_until_gone("bob", PATIENCE)
        carl.wait_until_gone("dora", PATIENCE)

    def test_a_storm_of_joins(self) -> None:
        events = Events()
        anna = self.videochat("anna", on_event=events)
        users: List[Session] = []

        def join(number: int) -> None:
            users.append(self.videochat(f"guest {number}"))

        threads = [threading.Thread(target=join, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(users), 12)
        self.everybody_sees_everybody([anna, *users])
        eventually(lambda: events.kinds().count("joined") == 12, "12 joins were told")

    def test_long_texts_and_long_keys(self) -> None:
        text = "ö" * 200 + "😀" * 100
        anna = self.videochat("anna")
        parts = anna.send("anna", text)
        self.assertEqual("".join(anna.wait_message("anna", PATIENCE).text for _ in range(parts)), text)
        small, large = self.chatroom("small"), self.chatroom("large", bits=2048)
        other = self.chatroom("other")
        users: List[Session] = [small, large, other]
        self.everybody_sees_everybody(users)
        self.everybody_talks(users)


class VideosTest(HouseCase):
    def watch(self, session: Session, choice: str, video: str) -> Tuple[Summary, Path, Any]:
        """Watch, save, decode."""
        folder = Path(self.enter(tempfile.TemporaryDirectory()))
        totals = set()

        def save(frame: Any) -> None:
            totals.add(frame.total)
            (folder / f"frame_{frame.number:05d}.jpg").write_bytes(frame.jpeg)

        summary = session.watch(choice, save, PATIENCE)
        pictures = decoded(folder)
        self.assertEqual(len(pictures), summary.frames)
        self.assertGreater(len(set(pictures)), summary.frames // 4, "the picture hardly changes")
        (total,) = totals
        return summary, folder, total

    def test_videochat(self) -> None:
        video, qualities = clip()
        anna = self.videochat("anna")
        files = anna.videos(PATIENCE)
        mine = [name for name in files if name.rpartition("_")[0] == video]
        self.assertEqual(len(mine), len(qualities))
        for choice in (mine[0], mine[-1]):  # whichever stands for all
            summary, _, _ = self.watch(anna, choice, video)
            each, last = summary.frames // len(qualities), summary.frames % len(qualities)
            counts = list(summary.resolutions.values())
            self.assertEqual(counts, [each] * (len(qualities) - 1) + [each + last])
            self.assertEqual(sorted(summary.resolutions, key=area), list(summary.resolutions))
        with self.assertRaises(ServerError):
            anna.watch("no such video_240p.mp4", timeout=PATIENCE)
        self.assertEqual(anna.videos(PATIENCE), files)

    def test_chatroom(self) -> None:
        video, qualities = clip()
        anna = self.chatroom("anna")
        names = anna.videos(PATIENCE)
        self.assertIn(video, names)
        anna.send("anna", "before")
        summary, _, total = self.watch(anna, video, video)
        self.assertEqual(summary.frames, total)
        each, first = total // len(qualities), total % len(qualities)
        counts = list(summary.resolutions.values())
        self.assertEqual(counts, [each + first] + [each] * (len(qualities) - 1))
        self.assertEqual(sorted(summary.resolutions, key=area), list(summary.resolutions))
        with self.assertRaises(ServerError):
            anna.watch("no such video", timeout=PATIENCE)
        anna.send("anna", "after")
        texts = [anna.wait_message("anna", PATIENCE).text for _ in range(2)]
        self.assertEqual(texts, ["before", "after"])

    def test_many_viewers(self) -> None:
        video, _ = clip()
        viewers: List[Session] = [self.videochat("anna"), self.videochat("bob"), self.chatroom("carl")]
        choice = next(name for name in viewers[0].videos(PATIENCE) if name.rpartition("_")[0] == video)
        frames: Dict[str, int] = {}

        def watch(viewer: Session) -> None:
            wanted = choice if isinstance(viewer, Videochat) else video
            frames[viewer.name] = viewer.watch(wanted, timeout=PATIENCE).frames

        threads = [threading.Thread(target=watch, args=(viewer,)) for viewer in viewers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(frames), 3)
        self.assertEqual(len(set(frames.values())), 1, frames)  # N is the same by both rules


def area(resolution: str) -> int:
    width, _, height = resolution.partition("x")
    return int(width) * int(height)


class ChatDuringVideoTest(HouseCase):
    pace = ""  # as it is by default: a video lasts, so that there is time to talk

    def test_videochat(self) -> None:
        video, _ = clip()
        heard = threading.Event()
        anna = self.videochat("anna", on_event=lambda event: heard.set() if event.kind == "message" else None)
        bob = self.videochat("bob")
        anna.wait_for("bob", PATIENCE)
        choice = next(name for name in anna.videos(PATIENCE) if name.rpartition("_")[0] == video)
        answered: List[int] = []

        def on_frame(frame: Any) -> None:
            if frame.number == 1:
                bob.send("anna", "look at that")
            if heard.is_set() and not answered:
                answered.append(frame.number)
                anna.send("bob", "I see it")

        summary = anna.watch(choice, on_frame, PATIENCE)
        self.assertEqual(anna.wait_message("bob", PATIENCE).text, "look at that")
        self.assertTrue(answered, "the message came only after the video")
        self.assertLess(answered[0], summary.frames)
        self.assertEqual(bob.wait_message("anna", PATIENCE).text, "I see it")

    def test_chatroom(self) -> None:
        video, _ = clip()
        anna, bob = self.chatroom("anna"), self.chatroom("bob")
        anna.wait_for("bob", PATIENCE)

        def on_frame(frame: Any) -> None:
            if frame.number == 1:
                bob.send("anna", "for later")
                self.chatroom("carl")

        summary = anna.watch(video, on_frame, PATIENCE)
        self.assertGreater(summary.frames, 1)
        # neither is lost: both follow the last frame
        self.assertEqual(anna.wait_message("bob", PATIENCE).text, "for later")
        anna.wait_for("carl", PATIENCE)


class CommandsTest(HouseCase):
    def test_two_processes_talk(self) -> None:
        for service in ("videochat", "chatroom"):
            with self.subTest(service):
                address = self.house.addresses[service]
                anna = start(
                    command(service, address, "--name", "anna", "--wait-for", "bob"),
                    "@bob for you alone\n/wait-message bob\n",
                )
                bob = start(
                    command(service, address, "--name", "bob", "--wait-for", "anna", "--json"),
                    "/wait-message anna\nto all of you\n",
                )
                code, out, err = finish(bob)
                self.assertEqual((code, err), (0, ""))
                messages = [line for line in json_lines(out) if line["event"] == "message"]
                self.assertEqual(messages, [{"event": "message", "from": "anna", "text": "for you alone"}])
                code, out, err = finish(anna)
                self.assertEqual((code, err), (0, ""))
                self.assertIn("bob: to all of you\n", out)

    def test_watching(self) -> None:
        video, qualities = clip()
        for service in ("videochat", "chatroom"):
            with self.subTest(service), tempfile.TemporaryDirectory() as folder:
                address = self.house.addresses[service]
                done = talk(
                    command(service, address, "--name", "anna", "--json", "--headless", "--save", folder),
                    f"/videos\n/watch {video}\n",
                )
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                watched = json_lines(done.stdout)[-1]
                self.assertEqual(len(watched["resolutions"]), len(qualities))
                self.assertEqual(len(decoded(Path(folder))), watched["frames"])

    def test_a_video_that_does_not_exist(self) -> None:
        for service in ("videochat", "chatroom"):
            done = talk(command(service, self.house.addresses[service], "--name", "anna"), "/watch nothing\n")
            self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)


class OldStyleTest(HouseCase):
    def test_videochat(self) -> None:
        video, qualities = clip()
        users = [OldVideochat(*self.house.at("videochat"), name) for name in ("anna", "bob")]
        for user in users:
            self.addCleanup(user.sock.close)
            self.assertEqual(user.prompts, ["Enter your name: ", "Enter the public key: "])
            user.receive_until(lambda *_: set(user.clients) == {"anna", "bob", "bot"})
        anna, bob = users
        carl = self.videochat("carl")
        for user in users:
            user.receive_until(lambda *_: "carl" in user.clients)
        anna.say("bob", "old to old")
        anna.say("carl", "old to new")
        carl.send_all("new to old")
        self.assertEqual(carl.wait_message("anna", PATIENCE).text, "old to new")
        for user, expected in ((anna, ["new to old"]), (bob, ["old to old", "new to old"])):
            heard = [user.receive_until(lambda identifier, _: identifier == "Communication") for _ in range(4)]
            readable = [(message["from"], user.decrypt(message)) for message in heard]
            self.assertEqual([text for _, text in readable if text is not None], expected)
        choice = next(name for name in anna.videos() if name.rpartition("_")[0] == video)
        frames = anna.watch(choice)
        self.assertEqual(len({jpeg_size(frame) for frame in frames}), len(qualities))
        bob.quit()
        anna.receive_until(lambda identifier, _: identifier == "AFK" and "bob" not in anna.clients)
        anna.quit()
        carl.wait_until_gone("anna", PATIENCE)

    def test_chatroom(self) -> None:
        video, qualities = clip()
        anna = OldChatroom(*self.house.at("chatroom"), "anna")
        self.addCleanup(anna.sock.close)
        bob = OldChatroom(*self.house.at("chatroom"), "bob")
        self.addCleanup(bob.sock.close)
        carl = self.chatroom("carl")
        for user in (anna, bob):
            self.assertEqual(user.answer, b"OK")
            eventually(lambda: set(user.users) == {"anna", "bob", "carl"} or not user.receive(), "all are here")
            user.enter_chat()
        anna.say("bob", "old to old")
        self.assertEqual(bob.receive_until(lambda header, text: header == "CHAT" and text), "old to old")
        anna.say("carl", "old to new")
        message = carl.wait_message(timeout=PATIENCE)
        self.assertEqual((message.sender, message.text), ("", "old to new"))
        carl.send_all("new to old")  # the sender stands in the text
        for user in (anna, bob):
            heard = user.receive_until(lambda header, text: header == "CHAT" and text)
            self.assertEqual(heard, "carl: new to old")
        anna.leave_chat()
        videos, frames = anna.watch(video)
        self.assertIn(video, videos)
        self.assertEqual(len({jpeg_size(frame) for frame in frames}), len(qualities))
        _, nothing = anna.watch("no such video")
        self.assertEqual(nothing, [])
        bob.disconnect()
        anna.receive_until(lambda header, users: header == "URIF" and "bob" not in users)
        anna.disconnect()
        carl.wait_until_gone("anna", PATIENCE)


class PacketchatTest(HouseCase):
    def file(self, size: int) -> Path:
        folder = Path(self.enter(tempfile.TemporaryDirectory()))
        path = folder / f"{size} bytes.bin"
        path.write_bytes(random.Random(size).randbytes(size))
        return path

    def test_talking(self) -> None:
        anna, bob = self.packetchat("anna"), self.packetchat("bob", numbering=packets.DOCUMENT)
        carl = self.packetchat("anna")
        self.assertEqual(carl.name, "anna-2")
        for user in (anna, bob, carl):
            self.assertEqual(sorted(user.users), ["anna", "anna-2", "bob", "bot"])
        anna.send("bob", "grüße 😀")
        self.assertEqual(bob.wait_message("anna", PATIENCE).text, "grüße 😀")
        for number in range(100):
            bob.send(anna.user, f"{number}")
        self.assertEqual([anna.wait_message("bob", PATIENCE).text for _ in range(100)], list(map(str, range(100))))
        bob.broadcast("to all")
        for user in (anna, carl):
            self.assertEqual(user.wait_message("bob", PATIENCE).text, "to all")
        self.assertEqual([message.text for message in bob.messages()], ["grüße 😀"])

    def test_a_file_from_one_to_another(self) -> None:
        for style in ({}, {"old_style": True}, {"numbering": packets.DOCUMENT}, {"window": 1}):
            anna, bob = self.packetchat("anna", **style), self.packetchat("bob", **style)
            sizes = (0, 1, 256, 10_000) if "old_style" in style else (0, 1, 256, 257, 5_000_000)
            for size in sizes:
                with self.subTest(style=style, size=size):
                    path = self.file(size)
                    uploaded = anna.upload(path)
                    self.assertEqual(uploaded.sha256, hashlib.sha256(path.read_bytes()).hexdigest())
                    self.assertIn(uploaded.number, [file.number for file in bob.files()])
                    target = path.with_name("back")
                    downloaded = bob.download(uploaded.number, target)
                    self.assertEqual((downloaded.size, downloaded.sha256), (size, uploaded.sha256))
                    self.assertEqual(target.read_bytes(), path.read_bytes())

    def test_talking_during_a_transfer(self) -> None:
        anna, bob = self.packetchat("anna"), self.packetchat("bob")
        path = self.file(10_000_000)
        uploads: List[Any] = []
        thread = threading.Thread(target=lambda: uploads.append(anna.upload(path)))
        thread.start()
        for number in range(20):
            bob.send("anna", f"{number}")
        thread.join()
        self.assertEqual([message.text for message in anna.messages()], list(map(str, range(20))))
        self.assertEqual(uploads[0].size, 10_000_000)

    def test_a_server_that_is_killed_and_comes_back(self) -> None:
        anna, bob = self.packetchat("anna"), self.packetchat("bob")
        path = self.file(20_000_000)
        target = path.with_name("back")
        for transfer in (lambda: anna.upload(path), lambda: bob.download(path.name, target)):
            results: List[Any] = []
            thread = threading.Thread(target=lambda: results.append(transfer()))
            thread.start()
            under_way = (anna._transfers, bob._transfers)
            eventually(
                lambda: any(each.done > 1_000_000 for transfers in under_way for each in list(transfers.values())),
                "some of the file has arrived",
            )
            self.house.kill()
            thread.join(0.2)
            self.assertTrue(thread.is_alive(), "the transfer was over before the server was killed")
            self.house.start_again()
            thread.join()
            self.assertEqual(results[0].sha256, hashlib.sha256(path.read_bytes()).hexdigest())
        self.assertEqual(target.read_bytes(), path.read_bytes())
        anna.send("bob", "still here")
        self.assertEqual(bob.wait_message("anna", PATIENCE).text, "still here")

    def test_commands(self) -> None:
        address = self.house.addresses["packetchat"]
        path = self.file(300_000)
        bob = start(
            command("packetchat", address, "--name", "bob", "--json"),
            f"/wait-message anna\n/download {path.name} {path.parent}/back\n@anna got it\n",
        )
        anna = talk(
            command("packetchat", address, "--name", "anna", "--wait-for", "bob"),
            f"/upload {path}\n@bob it is there\n/wait-message bob\n",
        )
        self.assertEqual((anna.returncode, anna.stderr), (0, ""))
        code, out, err = finish(bob)
        self.assertEqual((code, err), (0, ""))
        (downloaded,) = [line for line in json_lines(out) if line["event"] == "downloaded"]
        self.assertIn(downloaded["sha256"], anna.stdout)
        self.assertEqual((path.parent / "back").read_bytes(), path.read_bytes())


class StoppingTest(HouseCase):
    def test_sigterm_with_everybody_here(self) -> None:
        events = {"videochat": Events(), "chatroom": Events()}
        anna = self.videochat("anna", on_event=events["videochat"])
        self.chatroom("bob", on_event=events["chatroom"])
        watching = threading.Event()
        choice = anna.videos(PATIENCE)[0]

        def watch() -> None:
            try:
                anna.watch(choice, lambda _: watching.set(), PATIENCE)
            except Exception:
                pass  # the server stops in the middle of it, perhaps

        thread = threading.Thread(target=watch)
        thread.start()
        self.assertTrue(watching.wait(PATIENCE))
        self.house.stop()
        thread.join(PATIENCE)
        for seen in events.values():
            seen.wait("closed")


if __name__ == "__main__":
    unittest.main()
