"""The command that both clients are: for a person at a terminal, for a script, for a program that reads JSON."""

from __future__ import annotations

import argparse
import json
import os
import queue
import shutil
import sys
import threading
import unicodedata
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

from .session import Event, Frame, Session
from .viewing import FrameFolder, Progress, Window, by_video, describe
from .wire import ClientError, ConnectionLost, parse_address

try:
    import readline
except ImportError:  # not on Windows
    readline = None  # type: ignore[assignment]

try:
    import termios
except ImportError:
    termios = None  # type: ignore[assignment]

HELP = """\
  hello                 to everybody
  @bob hello            to bob alone
  /who                  who is here
  /videos               what there is to watch
  /watch 2              watch number 2 of that list (or its name)
  /wait bob             wait until bob is here
  /wait-message [bob]   wait for the next message (from bob) that was not waited for yet
  /quit                 leave; so do Ctrl-D and Ctrl-C
  //hello               to everybody, beginning with a slash"""

PROMPT = "> "

Connect = Callable[[Any, str, int, str, Callable[[Event], None]], Session]


class Quit(Exception):
    """The user wants to leave."""


class Terminal:
    """Prints whole lines from any thread and keeps what is being typed below them."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.live = sys.stdout.isatty() and not as_json  # whether a line can be drawn over
        self.typing = False
        self._lock = threading.Lock()
        self._status = ""

    def say(self, text: str) -> None:
        """A line for people."""
        if not self.as_json:
            self._write(clean(text))

    def tell(self, event: str, **members: Any) -> None:
        """A line for programs."""
        if self.as_json:
            self._write(json.dumps({"event": event, **members}, ensure_ascii=False))

    def status(self, text: str) -> None:
        """What the bottom line shows in front of the prompt; "" for nothing."""
        with self._lock:
            if self.live:
                self._status = text
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
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read has gone. What else is to be done goes on, unheard.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def clean(text: str) -> str:
    """Other people's text must not steer this terminal."""
    return "".join(
        letter if letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cs") else "\ufffd"
        for letter in text
    )


class Input:
    """Lines from a terminal, a file or a pipe, in a queue, so that other things can be waited for as well."""

    # in the queue besides lines
    END = None
    LOST = ConnectionLost("connection lost")

    def __init__(self, terminal: Terminal, script: Optional[str]) -> None:
        self.lines: "queue.Queue[Union[str, None, ConnectionLost]]" = queue.Queue()
        self.interactive = script is None and sys.stdin.isatty()
        self._terminal = terminal
        self._settings: Any = None
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
        # The thread may still stand in `input`, which has switched the terminal's echo off.
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
        while True:
            self._terminal.typing = live
            try:
                line = input(PROMPT if live else "")
            except EOFError:
                break
            finally:
                self._terminal.typing = False
            self.lines.put(line)
        self.lines.put(self.END)

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


class Console:
    """One run of a command."""

    def __init__(self, service: str, options: Any, terminal: Terminal, typed: Input) -> None:
        self.options = options
        self.terminal = terminal
        self.typed = typed
        self.session: Session
        self._names: List[Tuple[str, str, List[str]]] = []
        self._watching = ""
        self._window: Optional[Window] = None if options.headless else Window(f"playhouse {service}")
        self._folder = FrameFolder(Path(options.save)) if options.save else None
        self._commands: Dict[str, Callable[[str], None]] = {
            "/help": self._help,
            "/who": self._who,
            "/videos": self._videos,
            "/watch": self._watch,
            "/wait": self._wait,
            "/wait-message": self._wait_message,
            "/quit": self._quit,
        }

    def event(self, event: Event) -> None:
        """Called as things happen, on the thread that receives."""
        if event.kind == "closed":
            self.typed.lines.put(Input.LOST)
            return  # the main thread tells it as an error
        if event.kind == "message":
            self.terminal.say(f"{event.name or '(somebody)'}: {event.text}")
            self.terminal.tell("message", **{"from": event.name, "text": event.text})
        elif event.kind == "error":
            self.terminal.say(f"! {event.text}")
            self.terminal.tell("error", message=event.text)
        else:
            self.terminal.say(f"* {event.name} {event.kind}")
            self.terminal.tell(event.kind, name=event.name)

    def run(self, session: Session, wanted_name: str) -> None:
        self.session = session
        if session.name != wanted_name:
            self.terminal.say(f"The name {wanted_name} is taken: you are {session.name}.")
        others = session.others
        self.terminal.say(f"You are here as {session.name}. {_also_here(others)}")
        self.terminal.tell("connected", name=session.name, others=others)
        for name in self.options.wait_for:
            session.wait_for(name, self.options.timeout)
        if self.typed.interactive:
            self.terminal.say("Write to everybody, @name to one; /videos, /watch, /who, /quit; /help for the rest.")
        self.typed.start()
        try:
            while True:
                line = self.typed.next()
                if line is Input.END:
                    return
                if isinstance(line, ConnectionLost):
                    raise session.ended or line
                self._obey(line)
        except Quit:
            return
        finally:
            self.typed.stop()

    def _obey(self, line: str) -> None:
        try:
            self._do(line.strip())
        except ClientError as error:
            # A script ends at what it did not expect. A person reads it and goes on, if there is a connection.
            if not self.typed.interactive or self.session.ended is not None:
                raise
            self.terminal.say(f"! {error}")

    def _do(self, line: str) -> None:
        if not line:
            return
        if line.startswith("//"):
            self._send_all(line[1:])
        elif line.startswith("/"):
            word, _, rest = line.partition(" ")
            command = self._commands.get(word)
            if command is None:
                raise ClientError(f"no such command: {word} (/help lists them)")
            command(rest.strip())
        elif line.startswith("@"):
            self._send_to(line[1:])
        else:
            self._send_all(line)

    def _send_all(self, text: str) -> None:
        if not self.session.send_all(text):
            raise ClientError("not sent: nobody else is here")
        if not self.typed.interactive:  # a person sees what they typed
            self.terminal.say(f"{self.session.name}: {text}")
        self.terminal.tell("sent", to=None, text=text)

    def _send_to(self, rest: str) -> None:
        # Names may have spaces: the longest name that fits is meant.
        fitting = [name for name in self.session.users if rest.startswith(name + " ")]
        if not fitting:
            name, _, text = rest.partition(" ")
            if name in self.session.users or not text:
                raise ClientError("write @name and then the text")
            raise ClientError(f"nobody here is called {name}")
        name = max(fitting, key=len)
        text = rest[len(name) + 1 :].strip()
        if not text:
            raise ClientError("write @name and then the text")
        self.session.send(name, text)
        if not self.typed.interactive:
            self.terminal.say(f"{self.session.name} to {name}: {text}")
        self.terminal.tell("sent", to=name, text=text)

    def _help(self, _: str) -> None:
        self.terminal.say(HELP)

    def _who(self, _: str) -> None:
        others = self.session.others
        self.terminal.say(f"You are {self.session.name}. {_also_here(others)}")
        self.terminal.tell("who", name=self.session.name, others=others)

    def _quit(self, _: str) -> None:
        raise Quit

    def _wait(self, name: str) -> None:
        if not name:
            raise ClientError("write /wait and a name")
        self.session.wait_for(name, self.options.timeout)

    def _wait_message(self, name: str) -> None:
        self.session.wait_message(name or None, self.options.timeout)

    def _videos(self, _: str) -> None:
        self._not_while_watching()
        self._names = by_video(self.session.videos(self.options.timeout))
        width = max((len(video) for video, _, _ in self._names), default=0)
        for number, (video, _, qualities) in enumerate(self._names, 1):
            self.terminal.say(f"{number:3}  {video:{width}}  {' '.join(qualities)}".rstrip())
        if not self._names:
            self.terminal.say("There are no videos.")
        self.terminal.tell(
            "videos",
            videos=[
                {"number": number, "video": video, "choice": choice, "qualities": qualities}
                for number, (video, choice, qualities) in enumerate(self._names, 1)
            ],
        )

    def _watch(self, wanted: str) -> None:
        self._not_while_watching()
        if not wanted:
            raise ClientError("write /watch and a number or a name (/videos lists them)")
        if not self._names:
            self._names = by_video(self.session.videos(self.options.timeout))
        video, choice = self._find(wanted)
        self.terminal.tell("watching", video=video, choice=choice)
        # As often as a terminal can well show it; a log gets a line a second.
        progress = Progress(0.1 if self.terminal.live else 1.0)
        if self.typed.interactive and self._window is not None and self._window.why_not:
            self.terminal.say(f"No window: {self._window.why_not}.")

        def on_frame(frame: Frame) -> None:
            if self._folder is not None:
                self._folder.add(frame)
            if self._window is not None:
                self._window.show(frame)
            if progress.add(frame) or (frame.number == 1 and self.terminal.live):
                if self.terminal.live:
                    self.terminal.status(progress.text(bar=True))
                else:
                    self.terminal.say(f"{video}: {progress.text(bar=False)}")
                self.terminal.tell("progress", video=video, **progress.figures())
            if self.typed.interactive:  # a script goes on when the video is over
                self._obey_meanwhile()

        self._watching = video
        try:
            summary = self.session.watch(choice, on_frame, self.options.timeout)
        finally:
            self._watching = ""
            self.terminal.status("")
            if self._window is not None:
                self._window.close()
        self.terminal.say(describe(video, summary))
        self.terminal.tell(
            "watched",
            video=video,
            frames=summary.frames,
            bytes=summary.bytes,
            seconds=round(summary.seconds, 3),
            resolutions=summary.resolutions,
        )

    def _obey_meanwhile(self) -> None:
        while True:
            try:
                line = self.typed.lines.get_nowait()
            except queue.Empty:
                return
            if line is Input.END:
                raise Quit
            if isinstance(line, str):
                self._obey(line)
            # a lost connection shows itself when the frames that have come are used up

    def _not_while_watching(self) -> None:
        if self._watching:
            raise ClientError(f"when {self._watching} is over")

    def _find(self, wanted: str) -> Tuple[str, str]:
        """(video, the name to ask for) of a number, a video or a file; the server judges anything else."""
        if wanted.isdigit() and 0 < int(wanted) <= len(self._names):
            video, choice, _ = self._names[int(wanted) - 1]
            return video, choice
        for video, choice, _ in self._names:
            if wanted == video:
                return video, choice
        return wanted, wanted


def _also_here(others: List[str]) -> str:
    return f"Also here: {', '.join(others)}." if others else "Nobody else is here."


def main(
    service: str,
    default_port: int,
    connect: Connect,
    add_options: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
) -> int:
    parser = argparse.ArgumentParser(
        prog=service,
        description=f"Talk and watch videos in a playhouse {service}.",
        epilog=f"What can be typed, or be in a script:\n{HELP}\n\nExit codes: 0 fine; 1 refused, or not in time; "
        "2 wrong options; 3 cannot connect; 4 connection lost; 5 not this protocol; 130 Ctrl-C.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "address", nargs="?", default="127.0.0.1", metavar="HOST[:PORT]", help=f"default 127.0.0.1:{default_port}"
    )
    parser.add_argument("--name", help="who you are; asked for if absent")
    parser.add_argument("--script", metavar="FILE", help="take the commands from a file, - for standard input")
    parser.add_argument(
        "--wait-for", metavar="NAME", action="append", default=[], help="begin when NAME is here; repeatable"
    )
    parser.add_argument(
        "--timeout", metavar="S", type=float, default=30.0, help="longest wait, in seconds (default %(default)g)"
    )
    parser.add_argument("--save", metavar="DIR", help="write the frames of videos there: frame_00001.jpg ...")
    parser.add_argument("--headless", action="store_true", help="show no window")
    parser.add_argument("--json", action="store_true", help="print what happens as JSON, an object a line")
    add_options(parser)
    options = parser.parse_args()
    try:
        host, port = parse_address(options.address, default_port)
    except ValueError as error:
        parser.error(str(error))

    # A name that this terminal cannot show must not end the session; a pipe is read as UTF-8 everywhere.
    sys.stdout.reconfigure(  # type: ignore[union-attr]
        encoding=None if sys.stdout.isatty() else "utf-8", errors="replace"
    )
    terminal = Terminal(options.json)
    try:
        name = _ask_name(parser, options)
        typed = Input(terminal, options.script)
        console = Console(service, options, terminal, typed)
        with connect(options, host, port, name, console.event) as session:
            console.run(session, name)
        if terminal.live:
            terminal.say("Bye.")
        return 0
    except ClientError as error:
        terminal.tell("failed", message=str(error), code=error.exit_code)
        print(f"{service}: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # a folder or file of ours
        print(f"{service}: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if terminal.live:
            print()
        return 130


def _ask_name(parser: argparse.ArgumentParser, options: Any) -> str:
    name: str = options.name or ""
    if not name and options.script != "-" and sys.stdin.isatty():
        try:
            name = input("Your name: ")
        except EOFError:
            print()
    name = name.strip()
    if not name:
        parser.error("a name is needed: --name NAME")
    if "," in name:
        parser.error("a name has no comma in it: the server joins names with them")
    return name
