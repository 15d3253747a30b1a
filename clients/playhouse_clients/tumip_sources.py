"""Where pictures to send come from: files of pictures, a video file, a camera."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple

from . import opencv
from .tumip_pictures import SIDE, Picture, fitted
from .wire import ClientError

DEFAULT_RATE = 25.0  # pictures a second of a video that does not say
PLAUSIBLE_RATE = 1000.0  # beyond it a video's rate is a mistake
PICTURES_RATE = 1.0  # pictures a second of files
SLACK = 1e-6  # seconds by which a rounded time may be early


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
    """Files, in order. All are read at once, so that what is wrong with one is known before the first is sent."""

    def __init__(self, paths: List[str], rate: Optional[float], loop: bool) -> None:
        super().__init__(Path(paths[0]).name if len(paths) == 1 else f"{len(paths)} pictures")
        self.last_stays = 1 / (rate or PICTURES_RATE)
        self._loop = loop
        self._jpegs: List[bytes] = []
        for path in paths:
            try:
                self._jpegs.append(fitted(Path(path).read_bytes(), SIDE, SIDE))
            except ClientError as error:
                raise ClientError(f"{path}: {error}") from None
        if not loop:
            self.total = len(paths)

    def __iter__(self) -> Iterator[Tuple[float, Picture]]:
        number = 0
        while number < len(self._jpegs) or self._loop:
            yield number * self.last_stays, self._jpegs[number % len(self._jpegs)]
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
        if not math.isfinite(rate) or not 0 < rate <= PLAUSIBLE_RATE:
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
            raise ClientError(f"there is no camera {number}, or something else uses it")

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
