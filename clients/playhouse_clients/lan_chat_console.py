"""The command `lan_chat`: a conversation at a terminal, and lines in and out of pipes."""

from __future__ import annotations

import threading
from typing import Any, Optional

from .command import new_parser, parse, run_command
from .console import Quit
from .lan_chat import DEFAULT_PORT, LEAVING, LanChat
from .terminal import Input, Terminal
from .wire import ClientError, ConnectionClosed, ConnectionLost

SERVICE = "lan_chat"

HELP = """\
  hello                 to everybody
  /quit                 leave; so do Ctrl-D and Ctrl-C
  //hello               to everybody, beginning with a slash"""


class LanChatConsole:
    """One run of the command."""

    def __init__(self, options: Any, terminal: Terminal, typed: Input, chat: LanChat) -> None:
        self.options = options
        self.terminal = terminal
        self.typed = typed
        self.chat = chat
        self._ended: Optional[ClientError] = None  # why nothing more is received
        self._listener = threading.Thread(target=self._listen, name="listen", daemon=True)

    def run(self) -> None:
        self.terminal.say(self.chat.welcome)
        self.terminal.tell("connected")
        self._listener.start()
        if self.options.say:
            for text in self.options.say:
                self._say(text)
        else:
            self._say_typed()
        if self.options.listen and (self.options.say or not self.typed.interactive):
            while not isinstance(self.typed.next(), ConnectionLost):
                pass
            raise self._ended or Input.LOST
        if self._ended is not None:  # before we leave
            raise self._ended
        self.chat.finish()
        self._listener.join(LEAVING)
        if self._ended is not None and not isinstance(self._ended, ConnectionClosed):
            raise self._ended  # the server need not have taken what was said last

    def _say_typed(self) -> None:
        if self.typed.interactive:
            self.terminal.say("Write to everybody; /quit, /help.")
        self.typed.start()
        try:
            while True:
                line = self.typed.next()
                if line is Input.END:
                    return
                if isinstance(line, ConnectionLost):
                    raise self._ended or line
                if self.typed.interactive:
                    self._obey(line.strip())
                else:  # a text, in which nothing is a command
                    self._say(line)
        except Quit:
            return
        finally:
            self.typed.stop()

    def _obey(self, line: str) -> None:
        if line.startswith("//"):
            self._say(line[1:])
        elif line == "/quit":
            raise Quit
        elif line == "/help":
            for text in HELP.splitlines():
                self.terminal.say(text)
        elif line.startswith("/"):
            message = f"no such command: {line.split()[0]} (/help lists them)"
            self.terminal.say(f"! {message}")
            self.terminal.tell("error", message=message)
        elif line:
            self._say(line)

    def _say(self, text: str) -> None:
        self.chat.say(text)
        if not self.typed.interactive or self.options.say:  # a person sees what they typed
            self.terminal.say(f"you: {text}")
        self.terminal.tell("sent", text=text)

    def _listen(self) -> None:
        try:
            while True:
                message = self.chat.receive()
                if message is not None:
                    self.terminal.say(f"<{message.address or '...'}> {message.text}")
                    self.terminal.tell("message", **{"from": message.address or None, "text": message.text})
        except ClientError as error:
            self._ended = error
            self.typed.lines.put(Input.LOST)


def main() -> int:
    parser = new_parser(SERVICE, DEFAULT_PORT, "Talk in a playhouse lan_chat.")
    parser.epilog = f"What can be typed; from a pipe, every line is said as it is:\n{HELP}\n\n{parser.epilog}"
    parser.add_argument("--say", metavar="TEXT", action="append", help="say this and leave; repeatable")
    parser.add_argument("--listen", action="store_true", help="stay when all from the pipe, or of --say, is said")
    options, host, port = parse(parser, DEFAULT_PORT)

    def work(terminal: Terminal) -> None:
        typed = Input(terminal, None)
        with LanChat(host, port, options.timeout) as chat:
            LanChatConsole(options, terminal, typed, chat).run()
        if terminal.live:
            terminal.say("Bye.")

    return run_command(SERVICE, options.json, work)


if __name__ == "__main__":
    raise SystemExit(main())
