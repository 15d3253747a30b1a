"""The command that all clients are: for a person at a terminal, for a script, for a program that reads JSON."""

from __future__ import annotations

import argparse
import queue
import sys
from typing import Any, Callable, Dict, List, Type

from .command import SCRIPT_HELP, new_parser, parse, run_command
from .people import Event, Participant, checked_name
from .terminal import Input, Terminal
from .wire import ClientError, ConnectionLost

HELP = """\
  hello                 to everybody
  @bob hello            to bob alone
  /who                  who is here
{more}
  /wait bob             wait until bob is here
  /wait-message [bob]   wait for the next message (from bob) that was not waited for yet
  /quit                 leave; so do Ctrl-D and Ctrl-C
  //hello               to everybody, beginning with a slash"""

Connect = Callable[[Any, str, int, str, Callable[[Event], None]], Participant]


class Quit(Exception):
    """The user wants to leave."""


class Console:
    """One run of a command. What is not in every service comes with the classes that derive from this."""

    purpose = "Talk"
    more_help = ""  # lines for `HELP`
    hint = ""  # the commands that somebody new here should know

    def __init__(self, service: str, options: Any, terminal: Terminal, typed: Input) -> None:
        self.options = options
        self.terminal = terminal
        self.typed = typed
        self.session: Any  # of the class that the service has
        self._busy = ""  # what goes on, while something else may be typed
        self._commands: Dict[str, Callable[[str], None]] = {
            "/help": self._help,
            "/who": self._who,
            "/wait": self._wait,
            "/wait-message": self._wait_message,
            "/quit": self._quit,
        }

    @classmethod
    def help(cls) -> str:
        return HELP.format(more=cls.more_help)

    @classmethod
    def add_options(cls, parser: argparse.ArgumentParser) -> None:
        """Options of the command beside those that all have."""

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

    def run(self, session: Participant, wanted_name: str) -> None:
        self.session = session
        if session.name != wanted_name:
            self.terminal.say(f"The name {wanted_name} is taken: you are {session.name}.")
        others = session.others
        self.terminal.say(f"You are here as {session.name}. {_also_here(others)}")
        self.terminal.tell("connected", name=session.name, others=others)
        for name in self.options.wait_for:
            session.wait_for(name, self.options.timeout)
        if self.typed.interactive:
            self.terminal.say(f"Write to everybody, @name to one; {self.hint}, /who, /quit; /help for the rest.")
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
        for line in self.help().splitlines():
            self.terminal.say(line)

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

    def _obey_meanwhile(self) -> None:
        """Do what was typed while something goes on that takes its time."""
        while True:
            try:
                line = self.typed.lines.get_nowait()
            except queue.Empty:
                return
            if line is Input.END:
                raise Quit
            if isinstance(line, str):
                self._obey(line)
            # a lost connection shows itself in what goes on

    def _not_while_busy(self) -> None:
        if self._busy:
            raise ClientError(f"when {self._busy} is over")


def _also_here(others: List[str]) -> str:
    return f"Also here: {', '.join(others)}." if others else "Nobody else is here."


def main(
    service: str,
    default_port: int,
    connect: Connect,
    console_class: Type[Console],
    add_options: Callable[[argparse.ArgumentParser], None] = lambda parser: None,
) -> int:
    parser = new_parser(
        service, default_port, f"{console_class.purpose} in a playhouse {service}.", console_class.help()
    )
    parser.add_argument("--name", help="who you are; asked for if absent")
    parser.add_argument("--script", metavar="FILE", help=SCRIPT_HELP)
    parser.add_argument(
        "--wait-for", metavar="NAME", action="append", default=[], help="begin when NAME is here; repeatable"
    )
    console_class.add_options(parser)
    add_options(parser)
    options, host, port = parse(parser, default_port)

    def work(terminal: Terminal) -> None:
        name = _ask_name(parser, options)
        typed = Input(terminal, options.script)
        console = console_class(service, options, terminal, typed)
        with connect(options, host, port, name, console.event) as session:
            console.run(session, name)
        if terminal.live:
            terminal.say("Bye.")

    return run_command(service, options.json, work)


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
    try:
        return checked_name(name)
    except ClientError as error:
        parser.error(str(error))
