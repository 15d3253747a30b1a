"""Lines in and out: a terminal with something typed at its bottom, a pipe, a script, JSON."""

from __future__ import annotations

import json
import os
import queue
import shutil
import sys
import threading
import unicodedata
from pathlib import Path
from typing import Any, Callable, Optional, TextIO, Union

from .wire import ClientError, ConnectionLost

try:
    import readline
except ImportError:  # not on Windows
    readline = None  # type: ignore[assignment]

try:
    import termios
except ImportError:
    termios = None  # type: ignore[assignment]

PROMPT = "> "
INDENT = "    "
UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, format, half a character, ends of lines and paragraphs
BAR_WIDTH = 20
GETTING_READY = 1.0  # seconds at most that readline takes before it reads


def draw_bar(done: int, total: int) -> str:
    """`[####----------------]`; all of nothing is all."""
    filled = BAR_WIDTH * done // total if total else BAR_WIDTH
    return "[" + "#" * filled + "-" * (BAR_WIDTH - filled) + "]"


class Terminal:
    """Prints whole lines from any thread and keeps what is being typed below them.

    `stream` is where to, instead of standard output: for commands that send something else there.
    """

    def __init__(self, as_json: bool, stream: Optional[TextIO] = None) -> None:
        self.as_json = as_json
        self._stream = sys.stdout if stream is None else stream
        self.live = self._stream.isatty() and not as_json  # whether a line can be drawn over
        # Seconds between two figures that tell how far something is: as often as a terminal can well show it.
        self.interval = 0.1 if self.live else 1.0
        self.typing = False
        self._lock = threading.Lock()
        self._status = ""

    def say(self, text: str) -> None:
        """A line for people. What follows a line feed is indented: in somebody's text, it could look like another's."""
        if not self.as_json:
            self._write(f"\n{INDENT}".join(visible(line) for line in text.split("\n")))

    def tell(self, event: str, **members: Any) -> None:
        """A line for programs."""
        if self.as_json:
            self._write(json.dumps({"event": event, **members}, ensure_ascii=False))

    def status(self, text: str) -> None:
        """What the bottom line shows in front of the prompt; "" for nothing."""
        with self._lock:
            if self.live:
                self._status = visible(text)
                self._out(self._bottom())

    def begin_typing(self) -> None:
        """From now on there is something typed below; draws the prompt."""
        with self._lock:
            self.typing = True
            self._out(self._bottom())

    def _write(self, text: str) -> None:
        with self._lock:
            self._out(f"\r\x1b[K{text}\n{self._bottom()}" if self.live else text + "\n")

    def _bottom(self) -> str:
        text = readline.get_line_buffer() if self.typing and readline else ""
        typed = PROMPT + text if self.typing else ""
        if text:
            # readline takes it that its prompt begins the line, and redraws from there.
            return "\r\x1b[K" + typed
        # A line that is too long would wrap, and the next one would only draw over its last part.
        room = shutil.get_terminal_size().columns - len(typed) - 3
        status = self._status[: max(room, 0)]
        return "\r\x1b[K" + status + ("  " if status and typed else "") + typed

    def _out(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except BrokenPipeError:
            # Whoever read has gone. What else is to be done goes on, unheard.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


def visible(text: str) -> str:
    """Other people's text must not steer this terminal, nor look like another: what is not seen becomes `\\u202e`."""
    return "".join(
        letter.encode("unicode_escape").decode() if unicodedata.category(letter) in UNSEEN else letter
        for letter in text
    )


class Input:
    """Lines from a terminal, a file or a pipe, in a queue, so that other things can be waited for as well."""

    # in the queue besides lines
    END = None
    LOST = ConnectionLost("connection lost")

    def __init__(self, terminal: Terminal, script: Optional[str]) -> None:
        # Not a `Queue`: Ctrl-C in the middle of its `get` is now and then a RuntimeError about its lock.
        self.lines: "queue.SimpleQueue[Union[str, None, ConnectionLost]]" = queue.SimpleQueue()
        self.interactive = script is None and sys.stdin.isatty()
        self._terminal = terminal
        self._settings: Any = None
        self._stopped = False
        self._turn = threading.Lock()  # for the decision whether another line is read
        self._at_prompt = threading.Event()  # not while readline gets ready, which switches the echo off
        self._at_prompt.set()
        if script is not None and script != "-":
            try:
                text = Path(script).read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ClientError(f"cannot read {script}: {getattr(error, 'strerror', None) or error}") from None
            for line in text.splitlines():
                self.lines.put(line)
            self.lines.put(self.END)
            self._read: Optional[Callable[[], None]] = None
        else:
            self._read = self._read_typed if self.interactive else self._read_pipe

    def start(self) -> None:
        if self._read is not None:
            if self.interactive and termios is not None:
                self._settings = termios.tcgetattr(sys.stdin)
            threading.Thread(target=self._read, name="input", daemon=True).start()

    def stop(self) -> None:
        # The thread may still stand in `input`, which has switched the terminal's echo off, or be about to.
        with self._turn:
            self._stopped = True
        self._at_prompt.wait(GETTING_READY)
        if self._settings is not None:
            termios.tcsetattr(sys.stdin, termios.TCSANOW, self._settings)
            self._settings = None

    def next(self) -> Union[str, None, ConnectionLost]:
        while True:
            try:
                # Not for ever: a Ctrl-C is only seen between two waits on some systems.
                return self.lines.get(timeout=0.5)
            except queue.Empty:
                pass

    def _read_typed(self) -> None:
        live = self._terminal.live
        # Only when readline has drawn its prompt: what is said before that would draw one as well.
        tells = live and hasattr(readline, "set_pre_input_hook")
        if tells:
            readline.set_pre_input_hook(self._begin_typing)
        while True:
            with self._turn:
                if self._stopped:
                    return
                if tells:
                    self._at_prompt.clear()
            self._terminal.typing = live and not tells
            try:
                line = input(PROMPT if live else "")
            except EOFError:
                break
            finally:
                self._terminal.typing = False
                self._at_prompt.set()
            self.lines.put(line)
        self.lines.put(self.END)

    def _begin_typing(self) -> None:
        self._at_prompt.set()
        self._terminal.begin_typing()

    def _read_pipe(self) -> None:
        # Not through `sys.stdin`: a thread that waits in there holds a lock that the interpreter needs to end.
        rest = b""
        while True:
            try:
                data = os.read(0, 65536)
            except OSError:
                data = b""
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self.lines.put(line.decode("utf-8", "replace"))
            if not data:
                break
        if rest:
            self.lines.put(rest.decode("utf-8", "replace"))
        self.lines.put(self.END)
