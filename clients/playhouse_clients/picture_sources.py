"""Where pictures to send come from: files of pictures, a video file, a camera."""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional, Tuple

from . import opencv
from .command import HIGHEST_RATE, number, rate
from .wire import ClientError

DEFAULT_RATE = 25.0  # pictures a second of a video that does not say
PICTURES_RATE = 1.0  # pictures a second of files
SLACK = 1e-6  # seconds by which a rounded time may be early
TOO_LATE = 1.0  # seconds of delay that are not made up for

# An array of OpenCV's, or what `Pictures` were made into.
Picture = Any


class Source:
    """Pictures in their order. ClientError: there is none, or no more though there should be."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.total: Optional[int] = None  # how many there will be, where that is known
        self.last_stays = 0.0  # seconds for which the last picture is to be seen

    def __iter__(self) -> Iterator[Tuple[float, Picture]]:
        """(when it is due, in seconds since the first; the picture)."""
        raise NotImplementedError

    def close(self) -> None:
        """Give back what is open."""


class Pictures(Source):
    """Files, in order, each as `read` makes it of its bytes.

    All are read at once, so that what is wrong with one is known before the first is sent.
    """

    def __init__(
        self, paths: List[str], rate: Optional[float], loop: bool, read: Callable[[bytes], Picture] = opencv.decode
    ) -> None:
        super().__init__(Path(paths[0]).name if len(paths) == 1 else f"{len(paths)} pictures")
        self.last_stays = 1 / (rate or PICTURES_RATE)
        self._loop = loop
        self._pictures: List[Picture] = []
        for path in paths:
            try:
                self._pictures.append(read(Path(path).read_bytes()))
            except ClientError as error:
                raise ClientError(f"{path}: {error}") from None
        if not loop:
            self.total = len(paths)

    def __iter__(self) -> Iterator[Tuple[float, Picture]]:
        number = 0
        while number < len(self._pictures) or self._loop:
            yield number * self.last_stays, self._pictures[number % len(self._pictures)]
            number += 1


class Video(Source):
    """A video file at its own rate. With a lower `rate`, frames are left out, and it is as fast as before."""

    def __init__(self, path: str, rate: Optional[float], loop: bool) -> None:
        super().__init__(Path(path).name)
        self._path, self._rate, self._loop = path, rate, loop
        with open(path, "rb"):
            pass  # OSError says what is wrong with it, which OpenCV does not
        self._capture, self._first = self._open()

    def _open(self) -> Tuple[Any, Picture]:
        """(video, its first picture): a video that opens need not have one."""
        cv2, _ = opencv.load()
        capture = cv2.VideoCapture(self._path)
        fine, first = capture.read()
        if not fine:
            raise ClientError(f"{self._path}: this is no video that OpenCV reads")
        rate = capture.get(cv2.CAP_PROP_FPS)
        if not math.isfinite(rate) or not 0 < rate <= HIGHEST_RATE:
            rate = DEFAULT_RATE
        self.last_stays = 1 / rate
        return capture, first

    def __iter__(self) -> Iterator[Tuple[float, Picture]]:
        frames = self._frames()
        return frames if self._rate is None else at_most(self._rate, frames)

    def _frames(self) -> Iterator[Tuple[float, Picture]]:
        number = 0
        while True:
            fine, picture = True, self._first
            while fine:
                yield number * self.last_stays, picture
                number += 1
                fine, picture = self._capture.read()
            if not self._loop:
                return
            # Not every format can be wound back.
            self._capture.release()
            self._capture, self._first = self._open()

    def close(self) -> None:
        self._capture.release()


class Camera(Source):
    """A camera of this machine, as fast as it is, or at most at `rate`."""

    def __init__(self, number: int, rate: Optional[float]) -> None:
        super().__init__(f"camera {number}")
        self._rate = rate
        cv2, _ = opencv.load()
        self._capture = cv2.VideoCapture(number)
        if not self._capture.isOpened():
            raise ClientError(f"there is no camera {number}, or something else uses it; --video FILE sends a video")

    def __iter__(self) -> Iterator[Tuple[float, Picture]]:
        frames = self._frames()
        return frames if self._rate is None else at_most(self._rate, frames)

    def _frames(self) -> Iterator[Tuple[float, Picture]]:
        began: Optional[float] = None
        while True:
            fine, picture = self._capture.read()  # waits for it
            if not fine:
                raise ClientError(f"{self.name} gives no picture")
            now = time.monotonic()
            began = now if began is None else began
            yield now - began, picture

    def close(self) -> None:
        self._capture.release()


def at_most(rate: float, pictures: Iterator[Tuple[float, Picture]]) -> Iterator[Tuple[float, Picture]]:
    """Leave out pictures so that there are `rate` a second; the others keep their times."""
    free = 0.0  # from when on the next one may be
    for due, picture in pictures:
        if due + SLACK >= free:
            # Counted from when it might have been, so that 10 out of 25 are 10; but a pause is not made up for.
            free = (due if due - free > 1 / rate else free) + 1 / rate
            yield due, picture


def paced(source: Source, pause: Callable[[float], None]) -> Iterator[Picture]:
    """Each picture when it is due. `pause` waits until a moment of `time.monotonic`, which may be over."""
    began: Optional[float] = None
    due = 0.0
    for due, picture in source:
        now = time.monotonic()
        if began is None or now - began - due > TOO_LATE:
            began = now - due
        pause(began + due)
        yield picture
    if began is not None:
        pause(began + due + source.last_stays)


def add_options(parser: argparse.ArgumentParser, what: Any) -> None:
    """Options that name a source, of which `what` (a group of `parser`) allows one, and how to play it."""
    what.add_argument(
        "--camera",
        metavar="N",
        nargs="?",
        const=0,
        type=number(0, 1 << 16),
        help="send what a camera sees; N counts from 0 (default 0)",
    )
    what.add_argument("--picture", metavar="FILE", nargs="+", action="extend", help="send pictures, each once")
    what.add_argument("--video", metavar="FILE", help="send a video, at its own rate")
    parser.add_argument("--loop", action="store_true", help="begin again after the last picture")
    parser.add_argument(
        "--fps",
        metavar="N",
        type=rate,
        help=f"pictures a second: of --picture (default {PICTURES_RATE:g}), or at most of --camera and --video",
    )
    parser.add_argument("--headless", "--no-window", action="store_true", help="show no window")


def check_options(parser: argparse.ArgumentParser, options: Any) -> None:
    """Ends the program if they do not go together."""
    files = options.picture or options.video is not None
    if options.loop and not files:
        parser.error("--loop is for --picture and --video")
    if options.fps is not None and not files and options.camera is None:
        parser.error("--fps is for --picture, --video and --camera")


def chosen(options: Any, read: Callable[[bytes], Picture] = opencv.decode) -> Optional[Source]:
    """What the options name, or None; `read` is for `Pictures`."""
    if options.camera is not None:
        return Camera(options.camera, options.fps)
    if options.picture:
        return Pictures(options.picture, options.fps, options.loop, read)
    if options.video is not None:
        return Video(options.video, options.fps, options.loop)
    return None
