"""The lan_audio client, as a library and as a command, against servers in this process."""

from __future__ import annotations

import math
import os
import signal
import struct
import subprocess
import sys
import textwrap
import threading
import unittest
import wave
from typing import Any, Dict, List, Tuple
from unittest import mock

from fake_house import Peer
from fake_lan_house import FakeLanAudio
from support import (
    PATIENCE,
    TerminalCase,
    command,
    eventually,
    finish,
    json_lines,
    plain_environment,
    start,
    talk,
    temporary_folder,
)

from playhouse_clients import ClientError, ConnectionLost, LanAudio, WaitTimeout, sounds
from playhouse_clients.sounds import RATE, SILENT, Wav, open_player, peak_db

try:
    import numpy
except ImportError:
    numpy = None  # type: ignore[assignment]

BUFFER = 4096  # samples that the server sends at once


def tone(buffers: int) -> bytes:
    """440 Hz at half the loudness there can be."""
    values = [round(16_384 * math.sin(2 * math.pi * 440 * n / RATE)) for n in range(buffers * BUFFER)]
    return struct.pack(f"<{len(values)}h", *values)


TONE = tone(4)


def lan_audio(house: Any, timeout: float = PATIENCE) -> LanAudio:
    return LanAudio("127.0.0.1", house.port, timeout)


def read(audio: LanAudio, count: int) -> bytes:
    """So many bytes, whole samples at a time."""
    data = b""
    while len(data) < count:
        samples = audio.read()
        assert samples and len(samples) % 2 == 0, len(samples)
        data += samples
    return data


class LibraryTest(unittest.TestCase):
    def test_whole_samples_in_any_pieces(self) -> None:
        cuts = [TONE[:1], TONE[1:2], TONE[2:8193], TONE[8193:]]
        with FakeLanAudio(*cuts) as house, lan_audio(house) as audio:
            self.assertEqual(read(audio, len(TONE)), TONE)

    def test_a_lone_byte_is_no_sample(self) -> None:
        with FakeLanAudio(b"\1\2\3", stays=False) as house, lan_audio(house) as audio:
            self.assertEqual(audio.read(), b"\1\2")
            for _ in range(2):
                with self.assertRaisesRegex(ConnectionLost, "the server closed it"):
                    audio.read()

    def test_silence(self) -> None:
        with FakeLanAudio(b"\1") as house, lan_audio(house, 0.05) as audio:
            with self.assertRaisesRegex(WaitTimeout, "no sound for 0.05 s"):
                audio.read()

    def test_no_more_than_a_second_at_once(self) -> None:
        with FakeLanAudio(bytes(1_000_000)) as house, lan_audio(house) as audio:
            self.assertEqual(len(read(audio, 1_000_000)), 1_000_000)
            audio._wire.buffer += bytes(1_000_000)
            self.assertEqual(len(audio.read()), 2 * RATE)

    @unittest.skipIf(numpy is None, "numpy is not installed")
    def test_arrays(self) -> None:
        with FakeLanAudio(struct.pack("<4h", 0, 1, -32_768, 32_767)) as house, lan_audio(house) as audio:
            came: List[int] = []
            while len(came) < 4:
                came += audio.read_array().tolist()
            self.assertEqual(came, [0, 1, -32_768, 32_767])


class SoundsTest(unittest.TestCase):
    def test_how_loud_it_is(self) -> None:
        cases: List[Tuple[List[int], float]] = [
            ([], SILENT),
            ([0, 0], SILENT),
            ([1], -90.3),
            ([3, -16_384, 0], -6.0),
            ([-32_768], 0.0),
            ([32_767], -0.0),
        ]
        for samples, db in cases:
            self.assertAlmostEqual(peak_db(struct.pack(f"<{len(samples)}h", *samples)), db, delta=0.03)

    def test_a_wav_file_can_be_played_before_it_is_closed(self) -> None:
        path = temporary_folder(self) / "sound.wav"
        output = Wav(path, False)
        self.addCleanup(output.close)
        self.assertFalse(path.exists())  # nothing has come
        for count in (1, 2):
            output.write(TONE)
            with wave.open(str(path)) as sound:
                self.assertEqual(sound.readframes(1 << 20), TONE * count)
        with mock.patch.object(sounds, "LARGEST_WAV", 2 * len(TONE)), self.assertRaisesRegex(ClientError, "is full"):
            output.write(b"\0\0")

    def test_what_plays(self) -> None:
        with mock.patch.dict(os.environ, {"PATH": str(temporary_folder(self))}):
            with mock.patch.dict(sys.modules, {"sounddevice": None, "pyaudio": None}):
                with self.assertRaisesRegex(ClientError, "nothing here plays sound: install sounddevice"):
                    open_player()
                for name in sounds.PLAYERS:
                    with self.assertRaisesRegex(ClientError, f"{name} is not here"):
                        open_player(name)

    def test_packages(self) -> None:
        class Broken(Exception):
            pass

        device = mock.Mock(PortAudioError=Broken)
        with mock.patch.dict(sys.modules, {"sounddevice": device}):
            player = open_player()
            player.write(TONE)
            device.RawOutputStream.return_value.write.assert_called_once_with(TONE)
            player.close()
            device.RawOutputStream.return_value.close.assert_called_once_with()
            device.RawOutputStream.side_effect = Broken("none")
            with self.assertRaisesRegex(ClientError, "no loudspeaker: none"):
                open_player()
        audio = mock.Mock(paInt16=8)
        with mock.patch.dict(sys.modules, {"sounddevice": None, "pyaudio": audio}):
            player = open_player()
            player.write(TONE)
            player.close()
            audio.PyAudio.return_value.open.assert_called_once_with(format=8, channels=1, rate=RATE, output=True)
            audio.PyAudio.return_value.open.return_value.write.assert_called_once_with(TONE)
            audio.PyAudio.return_value.open.side_effect = OSError("none")
            with self.assertRaisesRegex(ClientError, "no loudspeaker: none"):
                open_player()


class CommandTest(unittest.TestCase):
    def test_a_wav_file(self) -> None:
        folder = temporary_folder(self)
        for to, at in ((folder, folder / "received_sound.wav"), (folder / "a.wav", folder / "a.wav")):
            with FakeLanAudio(TONE) as house:
                done = talk(command("lan_audio", house.address, "--wav", str(to), "--seconds", "0.25"))
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn(f"{at}: 0.2 s of sound, 22,050 bytes, peak -6.0 dB\n", done.stdout)
            with wave.open(str(at)) as sound:
                self.assertEqual(sound.getparams()[:4], (1, 2, 44_100, 11_025))
                self.assertEqual(sound.readframes(20_000), TONE[:22_050])

    def test_ctrl_c_completes_the_file(self) -> None:
        path = temporary_folder(self) / "sound.wav"
        with FakeLanAudio(TONE) as house:
            process = start(command("lan_audio", house.address, "--wav", str(path)))
            eventually(lambda: path.exists() and path.stat().st_size == 44 + len(TONE), "all is written")
            process.send_signal(signal.SIGINT)
            code, out, err = finish(process)
        self.assertEqual((code, err), (130, ""))
        self.assertIn(f"{path}: 0.4 s of sound, 32,768 bytes, ", out)
        with wave.open(str(path)) as sound:
            self.assertEqual(sound.readframes(20_000), TONE)

    def test_a_server_that_goes_away(self) -> None:
        path = temporary_folder(self) / "sound.wav"
        with FakeLanAudio(TONE + b"\1", stays=False) as house:
            done = talk(command("lan_audio", house.address, "--wav", str(path)))
        self.assertEqual(done.returncode, 4)
        self.assertEqual(done.stderr, "lan_audio: connection lost: the server closed it\n")
        with wave.open(str(path)) as sound:
            self.assertEqual(sound.readframes(20_000), TONE)

    def test_silence(self) -> None:
        path = temporary_folder(self) / "sound.wav"
        with FakeLanAudio(bytes(8820)) as house:
            done = talk(command("lan_audio", house.address, "--wav", str(path), "--seconds", "0.1"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(f"{path}: 0.1 s of sound, 8,820 bytes, silence\n", done.stdout)

    def test_bare_samples(self) -> None:
        path = temporary_folder(self) / "sound"
        length = str(len(TONE) / 2 / RATE)
        with FakeLanAudio(TONE) as house:
            done = talk(command("lan_audio", house.address, "-o", str(path), "--seconds", length, "--json"))
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(path.read_bytes(), TONE)
            events = [line for line in json_lines(done.stdout) if line["event"] != "progress"]
            self.assertEqual(
                events,
                [
                    {"event": "connected", "to": str(path)},
                    {"event": "received", "to": str(path), "bytes": 32_768, "seconds": 0.372, "peak_db": -6.0},
                ],
            )
            to_pipe = subprocess.run(
                command("lan_audio", house.address, "-o", "-", "--seconds", length), capture_output=True, timeout=60
            )
            self.assertEqual((to_pipe.returncode, to_pipe.stdout), (0, TONE))
            self.assertIn(b"-: 0.4 s of sound, 32,768 bytes", to_pipe.stderr)

    def test_nothing_is_overwritten(self) -> None:
        path = temporary_folder(self) / "sound"
        path.write_text("mine")
        for option in ("--wav", "-o"):
            # files come first: that nobody listens at this port is not said
            done = talk(command("lan_audio", "127.0.0.1:1", option, str(path)))
            self.assertEqual((done.returncode, done.stderr), (1, f"lan_audio: {path} exists already\n"))
            done = talk(command("lan_audio", "127.0.0.1:1", option, str(path), "--force"))
            self.assertEqual(done.returncode, 3)
            self.assertEqual(path.read_text(), "mine")
        with FakeLanAudio(TONE) as house:
            line = command("lan_audio", house.address, "-o", str(path), "--force", "--seconds", "0.1")
            self.assertEqual(talk(line).returncode, 0)
        self.assertEqual(path.read_bytes(), TONE[: 2 * 4410])

    def test_exit_codes(self) -> None:
        wrong = [
            ["--seconds", "0"],
            ["--seconds", "-1"],
            ["--seconds", "nan"],
            ["--seconds", "inf"],
            ["--wav", "a", "-o", "b"],
            ["--player", "orchestra"],
            ["--force"],
        ]
        for options in wrong:
            with self.subTest(options):
                self.assertEqual(talk(command("lan_audio", "127.0.0.1:1", *options)).returncode, 2)
        with FakeLanAudio() as house:
            done = talk(command("lan_audio", house.address, "-o", "-", "--timeout", "0.05"))
            self.assertEqual(done.returncode, 1)
            self.assertTrue(done.stderr.endswith("lan_audio: no sound for 0.05 s\n"), done.stderr)
        done = talk(command("lan_audio", house.address, "-o", "-"))
        self.assertEqual(done.returncode, 3)
        self.assertEqual(done.stderr, f"lan_audio: connection refused: nothing listens at {house.address}\n")


@unittest.skipIf(sys.platform == "win32", "there are no scripts that can be run on Windows")
class PlayerTest(unittest.TestCase):
    def player(self, name: str, script: str) -> Dict[str, str]:
        """An environment in which that is the only thing that plays sound."""
        self.folder = temporary_folder(self)
        program = self.folder / name
        program.write_text(f"#!{sys.executable}\n{textwrap.dedent(script)}")
        program.chmod(0o755)
        for package in ("sounddevice", "pyaudio"):
            (self.folder / f"{package}.py").write_text("raise OSError('as if its library was not there')")
        return {**plain_environment(), "PATH": str(self.folder), "PYTHONPATH": str(self.folder)}

    def run_with(self, environment: Dict[str, str], house: Any, *options: str) -> Any:
        line = command("lan_audio", house.address, "--seconds", "0.3", *options)
        return subprocess.run(
            line, env=environment, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=60
        )

    def test_a_program_plays(self) -> None:
        for name in sounds.PROGRAMS:
            environment = self.player(
                name,
                """
                import pathlib, sys
                folder = pathlib.Path(sys.argv[0]).parent
                folder.joinpath("asked").write_text(" ".join(sys.argv[1:]))
                folder.joinpath("played").write_bytes(sys.stdin.buffer.read())
                """,
            )
            with self.subTest(name), FakeLanAudio(TONE) as house:
                done = self.run_with(environment, house)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn(f"{name}: 0.3 s of sound, ", done.stdout)
                self.assertEqual((self.folder / "played").read_bytes(), TONE[: 2 * 13_230])
                self.assertIn("44100", (self.folder / "asked").read_text())

    def test_a_program_that_cannot(self) -> None:
        environment = self.player("aplay", "import sys\nsys.exit('no card\\n')")
        with FakeLanAudio(*[bytes(8192)] * 100) as house:
            done = self.run_with(environment, house, "--seconds", "1000")
        message = "lan_audio: aplay plays no sound: no card (no sound device? --wav FILE records)\n"
        self.assertEqual((done.returncode, done.stderr, done.stdout), (1, message, ""))

    def test_a_program_that_fails_in_the_end(self) -> None:
        """What is short fits into the pipe, so that nothing fails before all is written; ffplay even ends with 0."""
        scripts = {
            "aplay": "import sys\nsys.stdin.buffer.read()\nsys.exit('no card')\n",
            "ffplay": "import sys\nsys.stdin.buffer.read()\nprint('audio open failed', file=sys.stderr)\n",
        }
        for name, script in scripts.items():
            environment = self.player(name, script)
            with self.subTest(name), FakeLanAudio(TONE) as house:
                done = self.run_with(environment, house)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertRegex(done.stderr, rf"^lan_audio: {name} plays no sound: .* \(no sound device\? --wav FILE")

    def test_no_player(self) -> None:
        environment = self.player("nothing", "")
        done = subprocess.run(
            command("lan_audio", "127.0.0.1:1"), env=environment, capture_output=True, encoding="utf-8", timeout=60
        )
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
        self.assertIn("nothing here plays sound: install sounddevice", done.stderr)


@unittest.skipIf(sys.platform == "win32", "there are no pseudo terminals on Windows")
class TerminalTest(TerminalCase):
    def test_a_meter(self) -> None:
        path = temporary_folder(self) / "sound.wav"
        shown = threading.Event()

        def behaviour(sock: Any) -> None:
            sock.sendall(TONE)
            while not shown.wait(0.02):  # a figure is only shown when something comes
                sock.sendall(TONE)

        with Peer(behaviour) as house:
            process = self.start(*command("lan_audio", house.address, "--wav", str(path)))
            try:
                self.wait_for("Ctrl-C ends it.")
                self.wait_for("[##################--]  ")
                self.wait_for(" s  level -6 dB")
            finally:
                shown.set()
            self.wait_for(" s of sound, ")
            self.assertEqual(process.wait(PATIENCE), 4)

    def test_silence(self) -> None:
        path = temporary_folder(self) / "sound.wav"
        shown = threading.Event()

        def behaviour(sock: Any) -> None:
            while not shown.wait(0.02):  # a figure is only shown when something comes
                sock.sendall(bytes(2048))

        with Peer(behaviour) as house:
            process = self.start(*command("lan_audio", house.address, "--wav", str(path)))
            try:
                self.wait_for(" s  silence")
            finally:
                shown.set()
            self.assertEqual(process.wait(PATIENCE), 4)

    def test_no_bytes_to_a_terminal(self) -> None:
        process = self.start(*command("lan_audio", "127.0.0.1:1", "-o", "-"))
        self.assertEqual(process.wait(PATIENCE), 2)
        self.wait_for("not for a terminal")


if __name__ == "__main__":
    unittest.main()
