"""The command `tumip`: a conversation with the bot, and pictures for everybody to watch."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any, Optional

from . import opencv
from .command import SCRIPT_HELP, new_parser, number, parse, run_command
from .console import Quit
from .frames import Frame, Summary
from .picture_sources import Source, add_options, check_options, chosen, paced
from .terminal import Input, Terminal
from .tumip import BARE, DEFAULT_PORT, DEFAULT_TIMEOUT, FORMS, Tumip
from .tumip_pictures import SIDE, fitted
from .viewing import Report, Window
from .wire import ClientError, jpeg_size

SERVICE = "tumip"
WINDOW_WIDTH = 460  # pixels of the screen: twice those of a picture
STEP = 0.05  # seconds between two looks at what happens besides

HELP = """\
  hello                 ask the bot
  /quit                 leave; so do Ctrl-D and Ctrl-C
  //hello               ask the bot something that begins with a slash"""


class TumipConsole:
    """One run of the command."""

    def __init__(self, options: Any, terminal: Terminal, typed: Input, tumip: Tumip) -> None:
        self.options = options
        self.terminal = terminal
        self.typed = typed
        self.tumip = tumip
        # for the thread that asks while pictures go out
        self._questions: "queue.Queue[str]" = queue.Queue()

    def answer_once(self, question: str) -> None:
        """The answer and nothing else, for whoever wants to go on with it."""
        answer = self.tumip.ask(question)
        for line in answer.split("\n"):
            self.terminal.say(line)
        self.terminal.tell("answer", question=question, text=answer)

    def talk(self) -> None:
        """Ask what is typed, until there is no more."""
        self._greet()
        try:
            self.typed.start()
            while True:
                question = self._question(self._next_line())
                if question:
                    self._ask(question)
        except Quit:
            pass
        finally:
            self.typed.stop()

    def send(self, source: Source) -> None:
        """Send all pictures; who sits at a terminal may talk meanwhile."""
        port = self.tumip.register()
        channel = f"tumip-{self.tumip.user}"
        self._greet()
        self.terminal.say(f"Sending {source.name} to UDP port {port}, to be watched as {channel}.")
        self.terminal.tell("registered", port=port, channel=channel)
        window = None if self.options.headless else Window(f"playhouse {SERVICE}", WINDOW_WIDTH)
        report = Report(self.terminal, "source", source.name)
        summary = Summary()
        began = time.monotonic()
        try:
            if self.typed.interactive:
                self.typed.start()
                threading.Thread(target=self._answer_questions, name="ask", daemon=True).start()
            self._send(source, summary, report, window)
        except Quit:
            pass
        finally:
            self.typed.stop()
            summary.seconds = time.monotonic() - began
            if window is not None:
                window.close()
            report.finish("sent", summary)

    def _greet(self) -> None:
        self.terminal.say(f"You are here as user {self.tumip.user}.")
        self.terminal.tell("connected", user=self.tumip.user)
        if self.typed.interactive:
            self.terminal.say("Write to the bot; /quit, /help.")

    # talking

    def _next_line(self) -> object:
        while True:
            try:
                return self.typed.lines.get(timeout=STEP)
            except queue.Empty:
                self.tumip.check()

    def _question(self, line: object) -> str:
        """What is to be asked, or "" if the line was something else. Quit: there are no more lines."""
        if not isinstance(line, str):
            raise Quit
        line = line.strip()
        if line.startswith("//"):
            return line[1:]
        if not line.startswith("/"):
            return line
        if line == "/quit":
            raise Quit
        if line == "/help":
            for text in HELP.splitlines():
                self.terminal.say(text)
            return ""
        self._failed(ClientError(f"no such command: {line.split()[0]} (/help lists them)"))
        return ""

    def _ask(self, question: str) -> None:
        try:
            answer = self.tumip.ask(question)
        except ClientError as error:
            self._failed(error)
            return
        if not self.typed.interactive:  # a person sees what they typed
            self.terminal.say(f"you: {question}")
        self.terminal.say(f"bot: {answer}")
        self.terminal.tell("answer", question=question, text=answer)

    def _failed(self, error: ClientError) -> None:
        """A script ends at what it did not expect. A person reads it and goes on, if there is a connection."""
        if not self.typed.interactive:
            raise error
        self.tumip.check()
        self.terminal.say(f"! {error}")
        self.terminal.tell("error", message=str(error))

    def _answer_questions(self) -> None:
        while True:
            try:
                self._ask(self._questions.get())
            except ClientError:
                return  # the connection is lost, which whoever sends notices as well

    # sending

    def _send(self, source: Source, summary: Summary, report: Report, window: Optional[Window]) -> None:
        for picture in paced(source, lambda until: self._pause(until, window)):
            jpeg = self.tumip.send_picture(picture)
            width, height = jpeg_size(jpeg) or (0, 0)
            frame = Frame(summary.frames + 1, source.total, width, height, jpeg)
            summary.add(frame)
            report.add(frame)
            if window is not None:
                window.show(frame)
                if frame.number == 1 and window.why_not and self.typed.interactive:
                    self.terminal.say(f"No window: {window.why_not}.")

    def _pause(self, until: float, window: Optional[Window]) -> None:
        """Until then, and at least once, do what is typed."""
        while True:
            left = until - time.monotonic()
            try:
                line = self.typed.lines.get(timeout=min(left, STEP)) if left > 0 else self.typed.lines.get_nowait()
            except queue.Empty:
                if left <= 0:
                    return
                self.tumip.check()
                if window is not None:
                    window.refresh()
                continue
            question = self._question(line)
            if question:
                self._questions.put(question)


def main() -> int:
    parser = new_parser(
        SERVICE,
        DEFAULT_PORT,
        "Ask the bot of a playhouse tumip, or send pictures that videochat and chatroom can watch.",
        HELP,
    )
    parser.set_defaults(timeout=DEFAULT_TIMEOUT)
    parser.add_argument(
        "--user", metavar="N", type=number(0, (1 << 32) - 1), help="who you are, as a number (default: a random one)"
    )
    parser.add_argument("--form", choices=FORMS, default=BARE, help="of the headers (default %(default)s)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--ask", metavar="TEXT", help="ask the bot this, print its answer, and leave")
    what.add_argument("--script", metavar="FILE", help=SCRIPT_HELP)
    add_options(parser, what)
    options, host, port = parse(parser, DEFAULT_PORT)
    check_options(parser, options)

    def work(terminal: Terminal) -> None:
        opencv.be_quiet()
        typed = Input(terminal, options.script)
        # What is wrong here has nothing to do with the server.
        source = chosen(options, lambda file: fitted(file, SIDE, SIDE))
        try:
            with Tumip(host, port, options.user, options.form, options.timeout) as tumip:
                console = TumipConsole(options, terminal, typed, tumip)
                if options.ask is not None:
                    console.answer_once(options.ask)
                    return
                if source is not None:
                    console.send(source)
                else:
                    console.talk()
        finally:
            if source is not None:
                source.close()
        if terminal.live:
            terminal.say("Bye.")

    return run_command(SERVICE, options.json, work)
