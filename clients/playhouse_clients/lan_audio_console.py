"""The command `lan_audio`: plays the sound, or writes it to a file or a pipe."""

from __future__ import annotations

import argparse
import math
import sys
import time
from typing import Any, Optional

from .command import new_parser, parse, run_command
from .lan_audio import DEFAULT_PORT, LanAudio
from .local_files import target_of
from .sounds import PLAYERS, RATE, SAMPLE, SILENT, Bare, NotPlayed, Output, Pipe, Wav, open_player, peak_db
from .terminal import Terminal, draw_bar

SERVICE = "lan_audio"
DEFAULT_NAME = "received_sound"  # in a folder
QUIETEST = 60  # dB: where the meter begins


class Meter:
    """Counts samples and says now and then how many there were and how loud they are."""

    def __init__(self, terminal: Terminal) -> None:
        self.size = 0  # bytes
        self.peak = SILENT
        self._terminal = terminal
        self._told = time.monotonic()
        self._lately = SILENT  # the peak since then

    @property
    def seconds(self) -> float:
        """Of sound."""
        return self.size / (RATE * SAMPLE)

    def add(self, samples: bytes) -> None:
        self.size += len(samples)
        peak = peak_db(samples)
        self.peak, self._lately = max(self.peak, peak), max(self._lately, peak)
        now = time.monotonic()
        if now - self._told < self._terminal.interval:
            return
        lately, self._told, self._lately = self._lately, now, SILENT
        text = f"{self.seconds:.1f} s  " + ("silence" if lately <= SILENT else f"level {lately:.0f} dB")
        if self._terminal.live:
            self._terminal.status(f"{draw_bar(max(round(QUIETEST + lately), 0), QUIETEST)}  {text}")
        else:
            self._terminal.say(text)
        self._terminal.tell("progress", bytes=self.size, seconds=round(self.seconds, 3), peak_db=round(lately, 1))

    def finish(self, name: str) -> None:
        self._terminal.status("")
        peak = "silence" if self.peak <= SILENT else f"peak {self.peak:.1f} dB"
        self._terminal.say(f"{name}: {self.seconds:.1f} s of sound, {self.size:,} bytes, {peak}")
        self._terminal.tell(
            "received", to=name, bytes=self.size, seconds=round(self.seconds, 3), peak_db=round(self.peak, 1)
        )


def _output(options: Any) -> Output:
    if options.wav is not None:
        return Wav(target_of(DEFAULT_NAME + ".wav", options.wav, options.force), options.force)
    if options.output == "-":
        return Pipe()
    if options.output is not None:
        return Bare(target_of(DEFAULT_NAME + ".raw", options.output, options.force), options.force)
    return open_player(options.player)


def listen(options: Any, host: str, port: int, terminal: Terminal) -> None:
    """What the command does. Whatever ends it, what came before is kept."""
    left: Optional[int] = None if options.seconds is None else round(options.seconds * RATE) * SAMPLE
    output = _output(options)  # what is wrong here has nothing to do with the server
    meter: Optional[Meter] = None
    try:
        with LanAudio(host, port, options.timeout) as audio:
            terminal.tell("connected", to=output.name)
            if terminal.live:
                terminal.say(f"Listening, with {output.name}; Ctrl-C ends it.")
            meter = Meter(terminal)
            while left is None or left > 0:
                samples = audio.read()[:left]
                output.write(samples)
                meter.add(samples)
                if left is not None:
                    left -= len(samples)
    finally:
        try:
            output.close()
        except NotPlayed:
            meter = None  # nobody has heard what it counted
            raise
        finally:
            terminal.status("")
            if meter is not None:
                meter.finish(output.name)


def seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds above 0")
    return value


def main() -> int:
    parser = new_parser(SERVICE, DEFAULT_PORT, "Listen to a playhouse lan_audio.")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--player", choices=PLAYERS, help="what to play with (default: the first that is here)")
    where.add_argument("--wav", metavar="PATH", help=f"write a WAV file; {DEFAULT_NAME}.wav in a folder")
    where.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="write bare samples (16 bit little-endian, mono, 44,100 a second), - for standard output",
    )
    parser.add_argument("--seconds", metavar="N", type=seconds, help="end after so much sound (default: at Ctrl-C)")
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    options, host, port = parse(parser, DEFAULT_PORT)
    to_pipe = options.output == "-"
    if to_pipe and sys.stdout.isatty():
        parser.error("-o - is for a pipe or a file, not for a terminal")
    if options.force and options.wav is None and options.output is None:
        parser.error("--force is for --wav and --output")
    return run_command(
        SERVICE,
        options.json,
        lambda terminal: listen(options, host, port, terminal),
        sys.stderr if to_pipe else None,
    )


if __name__ == "__main__":
    raise SystemExit(main())
