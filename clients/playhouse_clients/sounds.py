"""Where sound goes: a loudspeaker, a WAV file, a file or pipe of bare samples. And how loud it is.

All of it is what lan_audio sends: mono, 44,100 samples a second, each signed 16 bit, little-endian.
"""

from __future__ import annotations

import array
import math
import shutil
import subprocess
import sys
import tempfile
import wave
from pathlib import Path
from typing import IO, Any, Callable, Dict, List, Optional

from .local_files import write_out
from .wire import ClientError

RATE = 44_100  # samples a second
SAMPLE = 2  # bytes
LOUDEST = 1 << 15  # of a sample, in either direction
SILENT = -96.0  # dB, what 16 bits can tell apart
LARGEST_WAV = (1 << 32) - 1 - 36  # bytes of samples: with the header, what its 32-bit length holds
DRAIN = 5.0  # seconds for a player to play what it has
MISSING = (
    "nothing here plays sound: install sounddevice (clients/requirements-sound.txt), or ffplay (FFmpeg), paplay "
    "(PulseAudio) or aplay (ALSA); or write a file with --wav"
)
NO_DEVICE = "no sound device? --wav FILE records"
FFPLAY_FAILED = "audio open failed"  # it says so, and ends with 0


def peak_db(samples: bytes) -> float:
    """The loudest of these samples, in dB below the loudest there can be; never below `SILENT`."""
    values = array.array("h", samples)
    if sys.byteorder == "big":
        values.byteswap()
    peak = max(max(values), -min(values)) if values else 0
    return max(20 * math.log10(peak / LOUDEST), SILENT) if peak else SILENT


class NotPlayed(ClientError):
    """What was written cannot be heard, or not all of it."""


class Output:
    """Takes whole samples. ClientError or OSError: no more."""

    name = ""

    def write(self, samples: bytes) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """When all is written; twice is fine. NotPlayed: some of it was not taken after all."""


class Pipe(Output):
    """Bare samples to standard output."""

    name = "-"

    def write(self, samples: bytes) -> None:
        write_out(samples)


class Bare(Output):
    """Bare samples to a file, which comes into being with the first of them."""

    def __init__(self, path: Path, overwrite: bool) -> None:
        self.name = str(path)
        self._path, self._mode = path, "wb" if overwrite else "xb"
        self._file: Optional[IO[bytes]] = None

    def write(self, samples: bytes) -> None:
        self._opened().write(samples)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            try:
                self._file = open(self._path, self._mode)
            except FileExistsError:
                raise ClientError(f"{self._path} exists already") from None
        return self._file


class Wav(Bare):
    """The same as a WAV file. It can be played at any time: each write brings its header up to date."""

    def __init__(self, path: Path, overwrite: bool) -> None:
        super().__init__(path, overwrite)
        self._size = 0
        self._wav: Optional[wave.Wave_write] = None

    def write(self, samples: bytes) -> None:
        self._size += len(samples)
        if self._size > LARGEST_WAV:
            raise ClientError(f"{self.name} is full: a WAV file has at most {LARGEST_WAV:,} bytes of sound")
        file = self._opened()
        if self._wav is None:
            self._wav = wave.open(file, "wb")
            self._wav.setparams((1, SAMPLE, RATE, 0, "NONE", "not compressed"))
        self._wav.writeframes(samples)
        file.flush()

    def close(self) -> None:
        if self._wav is not None:
            self._wav.close()
        super().close()


class Program(Output):
    """A program that plays what comes at its standard input."""

    def __init__(self, line: List[str]) -> None:
        self.name = line[0]
        self._ended = False  # before all was written
        self._said = tempfile.TemporaryFile()
        # In a session of its own, so that Ctrl-C reaches us alone, and it plays what it has.
        self._process = subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._said, start_new_session=True
        )

    def write(self, samples: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(samples)
            self._process.stdin.flush()
        except OSError:
            self._ended = True
            raise NotPlayed(self._why()) from None

    def _why(self) -> str:
        try:
            self._process.wait(DRAIN)
        except subprocess.TimeoutExpired:
            pass
        lines = [line.strip() for line in self._text().split("\n") if line.strip()]
        return f"{self.name} plays no sound: {lines[-1] if lines else 'it does not say why'} ({NO_DEVICE})"

    def _text(self) -> str:
        self._said.seek(0)
        return self._said.read().decode("utf-8", "replace")

    def close(self) -> None:
        assert self._process.stdin is not None
        if self._said.closed:
            return
        with self._said:
            try:
                self._process.stdin.close()
            except OSError:
                pass  # it ended before
            try:
                code = self._process.wait(DRAIN)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
                return
            if self._ended or code != 0 or FFPLAY_FAILED in self._text():
                raise NotPlayed(self._why())


class SoundDevice(Output):
    """The loudspeaker, through the package sounddevice."""

    name = "sounddevice"

    def __init__(self, module: Any) -> None:
        try:
            self._stream = module.RawOutputStream(samplerate=RATE, channels=1, dtype="int16")
            self._stream.start()
        except module.PortAudioError as error:
            raise ClientError(f"no loudspeaker: {error} ({NO_DEVICE})") from None
        self._errors = module.PortAudioError

    def write(self, samples: bytes) -> None:
        try:
            self._stream.write(_native(samples))
        except self._errors as error:
            raise ClientError(f"the loudspeaker is gone: {error}") from None

    def close(self) -> None:
        self._stream.stop()
        self._stream.close()


class PyAudio(Output):
    """The loudspeaker, through the package PyAudio."""

    name = "pyaudio"

    def __init__(self, module: Any) -> None:
        self._audio = module.PyAudio()
        try:
            self._stream = self._audio.open(format=module.paInt16, channels=1, rate=RATE, output=True)
        except OSError as error:
            self._audio.terminate()
            raise ClientError(f"no loudspeaker: {error} ({NO_DEVICE})") from None

    def write(self, samples: bytes) -> None:
        try:
            self._stream.write(_native(samples))
        except OSError as error:
            raise ClientError(f"the loudspeaker is gone: {error}") from None

    def close(self) -> None:
        self._stream.close()
        self._audio.terminate()


def _native(samples: bytes) -> bytes:
    """In the byte order of this machine, which loudspeakers take."""
    if sys.byteorder == "little":
        return samples
    values = array.array("h", samples)
    values.byteswap()
    return values.tobytes()


PACKAGES: Dict[str, Callable[[Any], Output]] = {"sounddevice": SoundDevice, "pyaudio": PyAudio}
PROGRAMS: Dict[str, List[str]] = {
    "paplay": ["paplay", "--raw", "--format=s16le", f"--rate={RATE}", "--channels=1"],
    "aplay": ["aplay", "-q", "-t", "raw", "-f", "S16_LE", "-r", str(RATE), "-c", "1"],
    # Mono is what it takes bare samples for; the option to say so has changed its name over the years.
    "ffplay": ["ffplay", "-nodisp", "-autoexit", "-loglevel", "error", "-f", "s16le"]
    + ["-sample_rate", str(RATE), "-i", "pipe:0"],
}
PLAYERS = (*PACKAGES, *PROGRAMS)  # the first that is here is taken


def open_player(wanted: Optional[str] = None) -> Output:
    """The first of `PLAYERS` that is here, or the one that is wanted. ClientError: there is none."""
    for name in PLAYERS if wanted is None else (wanted,):
        if name in PROGRAMS:
            if shutil.which(name):
                return Program(PROGRAMS[name])
            continue
        try:
            module = __import__(name)
        except (ImportError, OSError):  # OSError: the package is here, and its library is not
            continue
        return PACKAGES[name](module)
    raise ClientError(MISSING if wanted is None else f"{wanted} is not here, or not whole")
