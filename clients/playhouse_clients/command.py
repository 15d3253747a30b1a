"""What the commands of all clients share: where the server is, how it is told what happened, how they end."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import Any, Callable, Optional, TextIO, Tuple

from .terminal import Terminal, visible
from .wire import ClientError, parse_address

EXIT_CODES = (
    "Exit codes: 0 fine; 1 refused, or not in time; 2 wrong options; 3 cannot connect; 4 connection lost; "
    "5 not this protocol; 130 Ctrl-C; 143 SIGTERM."
)
SCRIPT_HELP = "take the commands from a file, - for standard input"
HIGHEST_RATE = 1000.0  # pictures a second; beyond it a rate is a mistake


def new_parser(service: str, default_port: int, description: str, typed: str = "") -> argparse.ArgumentParser:
    """With the options that all have; `typed` is the help for what can be typed, if anything can."""
    typed = f"What can be typed, or be in a script:\n{typed}\n\n" if typed else ""
    parser = argparse.ArgumentParser(
        prog=service,
        description=description,
        epilog=f"{typed}{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "address", nargs="?", default="127.0.0.1", metavar="HOST[:PORT]", help=f"default 127.0.0.1:{default_port}"
    )
    parser.add_argument("--port", metavar="N", type=number(1, 65535), help="where HOST comes without one")
    parser.add_argument(
        "--timeout", metavar="S", type=float, default=30.0, help="longest wait, in seconds (default %(default)g)"
    )
    parser.add_argument("--json", action="store_true", help="print what happens as JSON, an object a line")
    return parser


def parse(parser: argparse.ArgumentParser, default_port: int) -> Tuple[Any, str, int]:
    """(options, host, port). Ends the program if they are wrong."""
    options = parser.parse_args()
    try:
        host, port = parse_address(options.address, options.port or default_port)
    except ValueError as error:
        parser.error(str(error))
    return options, host, port


def number(least: int, most: int) -> Callable[[str], int]:
    """The type of an option that is a whole number in these bounds."""

    def number(text: str) -> int:  # argparse puts this name into its message
        if not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text} is not a number from {least} to {most}")
        return int(text)

    return number


def rate(text: str) -> float:
    """The type of an option that is a number of pictures a second."""
    value = float(text)
    if not 0 < value <= HIGHEST_RATE:  # nor is what is no number
        raise argparse.ArgumentTypeError(f"{text} is not a rate above 0 and up to {HIGHEST_RATE:g} a second")
    return value


def _interrupt(number: int, _: object) -> None:
    raise KeyboardInterrupt(number)


def run_command(
    service: str, as_json: bool, work: Callable[[Terminal], None], stream: Optional[TextIO] = None
) -> int:
    """Do the work and tell in one line what went wrong; the exit code. `stream` is that of the `Terminal`."""
    # A name that this terminal cannot show must not end the session; a pipe is read as UTF-8 everywhere.
    sys.stdout.reconfigure(  # type: ignore[union-attr]
        encoding=None if sys.stdout.isatty() else "utf-8", errors="replace"
    )
    terminal = Terminal(as_json, stream)
    signal.signal(signal.SIGTERM, _interrupt)  # cleans up as Ctrl-C does
    try:
        work(terminal)
        return 0
    except ClientError as error:
        terminal.tell("failed", message=str(error), code=error.exit_code)
        print(f"{service}: {visible(str(error))}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # a folder or file of ours
        where = f"{error.filename}: " if error.filename else ""
        print(f"{service}: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        if terminal.live:
            print(file=stream)
        return 128 + (interrupt.args[0] if interrupt.args else signal.SIGINT)
