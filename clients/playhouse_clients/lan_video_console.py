"""The command `lan_video`: sends a camera, a video or pictures for everybody to watch."""

from __future__ import annotations

import argparse
import time
from typing import Any, Optional, Tuple

from . import opencv
from .command import new_parser, parse, run_command
from .frames import SentFrame, Summary
from .lan_video import DEFAULT_PORT, PROTOCOLS, LanVideo
from .picture_sources import Source, add_options, check_options, chosen, paced
from .terminal import Terminal
from .viewing import Report, Window
from .wire import ConnectionLost

SERVICE = "lan_video"
STEP = 0.05  # seconds between two looks at what happens besides
LONGEST_SIDE = 1 << 16  # pixels
TOO_LARGE = "perhaps the frame is too large for the server: lan_video.max_frame_mb"
HOW_TO_WATCH = "in videochat: /watch cam-1 (or the number that /videos shows)"


def _send(options: Any, video: LanVideo, source: Source, terminal: Terminal) -> None:
    window = None if options.headless else Window(f"playhouse {SERVICE}")
    report = Report(terminal, "source", source.name)
    summary = Summary()
    began = time.monotonic()

    def pause(until: float) -> None:
        while True:
            video.check()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, STEP))
            if window is not None:
                window.refresh()

    try:
        for picture in paced(source, pause):
            if options.size is not None:
                picture = opencv.resized(picture, options.size)
            height, width = picture.shape[:2]
            size = video.send_frame(picture)
            frame = SentFrame(summary.frames + 1, source.total, width, height, size)
            summary.add(frame)
            report.add(frame)
            if window is not None:
                window.draw(picture, width, height)
                if frame.number == 1 and window.why_not and terminal.live:
                    terminal.say(f"No window: {window.why_not}.")
    except ConnectionLost as error:
        if summary.frames > 1:
            raise
        # What lies between us and the server may have taken all of a frame of which the server reads no more
        # than the length.
        summary = Summary()
        raise ConnectionLost(f"{error}; {TOO_LARGE}") from None
    finally:
        summary.seconds = time.monotonic() - began
        if window is not None:
            window.close()
        report.finish("sent", summary)


def _size(text: str) -> Tuple[int, int]:
    """(width, height)"""
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()) or not all(0 < int(n) <= LONGEST_SIDE for n in (width, height)):
        raise argparse.ArgumentTypeError(f"{text} is no size such as 640x480")
    return int(width), int(height)


def main() -> int:
    parser = new_parser(
        SERVICE, DEFAULT_PORT, "Be a camera of a playhouse lan_video, which videochat and chatroom can watch."
    )
    add_options(parser, parser.add_mutually_exclusive_group(required=True))
    parser.add_argument("--size", metavar="WxH", type=_size, help="make every picture that size, in pixels")
    parser.add_argument(
        "--protocol", metavar="N", type=int, choices=PROTOCOLS, help="of pickle: 2 to 5 (default: that of Python)"
    )
    options, host, port = parse(parser, DEFAULT_PORT)
    check_options(parser, options)

    def work(terminal: Terminal) -> None:
        opencv.be_quiet()
        source: Optional[Source] = chosen(options)  # what is wrong here has nothing to do with the server
        if source is None:
            return
        try:
            with LanVideo(host, port, options.protocol, options.timeout) as video:
                terminal.say(f"Sending {source.name}, to be watched as the first cam-N that is free.")
                terminal.say(f"To watch it, {HOW_TO_WATCH}.")
                if options.picture and not options.loop:
                    terminal.say("The channel goes soon after the last picture; --loop keeps it.")
                terminal.tell("connected", source=source.name)
                _send(options, video, source, terminal)
        finally:
            source.close()

    return run_command(SERVICE, options.json, work)


if __name__ == "__main__":
    raise SystemExit(main())
