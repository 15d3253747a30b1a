"""What happens with the frames of a video: a window, a folder, figures."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple, Union

from . import opencv
from .frames import Frame, SentFrame, Summary, frames_text
from .terminal import Terminal, draw_bar
from .wire import ClientError

WINDOW_WIDTH = 960  # pixels of the screen


class FrameFolder:
    """Writes `frame_00001.jpg` and so on; a second video goes on counting."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written = 0
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, frame: Frame) -> None:
        self.written += 1
        (self.folder / f"frame_{self.written:05d}.jpg").write_bytes(frame.jpeg)


class Window:
    """Shows frames through OpenCV. `why_not` is the reason where that is impossible, else ""."""

    def __init__(self, title: str, width: int = WINDOW_WIDTH) -> None:
        self.title = title
        self.width = width
        self.why_not = ""
        self._cv2: Any = None
        self._numpy: Any = None
        self._open = False
        if not _has_screen():
            self.why_not = "there is no screen"
            return
        try:
            self._cv2, self._numpy = opencv.load()
        except ClientError as error:
            self.why_not = str(error)

    def show(self, frame: Frame) -> None:
        if self.why_not:
            return
        picture = self._cv2.imdecode(self._numpy.frombuffer(frame.jpeg, self._numpy.uint8), self._cv2.IMREAD_COLOR)
        if picture is not None:
            self.draw(picture, frame.width, frame.height)

    def draw(self, picture: Any, width: int, height: int) -> None:
        """Show an array of OpenCV's; a window that is not open yet gets the proportions of that size."""
        if self.why_not:
            return
        cv2 = self._cv2
        try:
            if not self._open:
                # One size for the whole video: the window would jump with each quality otherwise.
                cv2.namedWindow(self.title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
                cv2.resizeWindow(self.title, self.width, self.width * height // max(width, 1))
                self._open = True
            cv2.imshow(self.title, picture)
            cv2.waitKey(1)  # lets the window draw
        except cv2.error:  # a build without windows
            self.why_not = "this OpenCV cannot open windows"

    def refresh(self) -> None:
        """For pauses between frames: lets the window draw and be moved."""
        if self._open:
            self._cv2.waitKey(1)

    def close(self) -> None:
        if self._open:
            self._open = False
            try:
                self._cv2.destroyWindow(self.title)
                self._cv2.waitKey(1)
            except self._cv2.error:
                pass  # somebody has closed it by hand


def _has_screen() -> bool:
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


class Progress:
    """Counts frames and says, at most every `interval` seconds, how far the video is."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.frames = 0
        self.bytes = 0
        self._began = self._told = time.monotonic()
        self._last: Union[Frame, SentFrame, None] = None

    def add(self, frame: Union[Frame, SentFrame]) -> bool:
        """Count a frame; whether it is time to tell."""
        now = time.monotonic()
        if self.frames == 0:
            self._began = self._told = now
        self.frames += 1
        self.bytes += frame.size
        self._last = frame
        if now - self._told < self.interval:
            return False
        self._told = now
        return True

    def figures(self) -> Dict[str, Any]:
        frame = self._last
        seconds = time.monotonic() - self._began
        return {
            "frames": self.frames,
            "total": frame.total if frame else None,
            "resolution": f"{frame.width}x{frame.height}" if frame else "",
            # Time counts from the first frame, which took none of it.
            "frames_per_second": round((self.frames - 1) / seconds, 1) if seconds > 0 else 0.0,
            "bytes": self.bytes,
        }

    def text(self, bar: bool) -> str:
        now = self.figures()
        total = now["total"]
        parts: List[str] = []
        if total and bar:
            parts.append(draw_bar(self.frames, total))
        parts.append(f"{self.frames}/{total} frames" if total else frames_text(self.frames))
        parts.append(now["resolution"])
        parts.append(f"{now['frames_per_second']:.1f} frames/s")
        parts.append(f"{self.bytes // 1000:,} kB")
        return "  ".join(parts)


class Report:
    """Says how far a video is: in the bottom line of a terminal, elsewhere in a line a second.

    `kind` is what `name` is the name of, for programs.
    """

    def __init__(self, terminal: Terminal, kind: str, name: str) -> None:
        self._terminal, self._kind, self._name = terminal, kind, name
        self._progress = Progress(terminal.interval)

    def add(self, frame: Union[Frame, SentFrame]) -> None:
        progress, terminal = self._progress, self._terminal
        if progress.add(frame) or (frame.number == 1 and terminal.live):
            if terminal.live:
                terminal.status(progress.text(bar=True))
            else:
                terminal.say(f"{self._name}: {progress.text(bar=False)}")
            terminal.tell("progress", **{self._kind: self._name}, **progress.figures())

    def finish(self, event: str, summary: Summary) -> None:
        """Say what it was in all; `event` is what to call that for programs."""
        self._terminal.status("")
        self._terminal.say(describe(self._name, summary))
        self._terminal.tell(
            event,
            **{self._kind: self._name},
            frames=summary.frames,
            bytes=summary.bytes,
            seconds=round(summary.seconds, 3),
            resolutions=summary.resolutions,
        )


def describe(video: str, summary: Summary) -> str:
    """The line after a video."""
    rate = f" ({summary.frames / summary.seconds:.1f} frames/s)" if summary.seconds > 0 else ""
    sizes = ", ".join(f"{count} in {size}" for size, count in summary.resolutions.items())
    return (
        f"{video}: {frames_text(summary.frames)} in {summary.seconds:.1f} s{rate}, "
        f"{summary.bytes // 1000:,} kB: {sizes or 'nothing'}"
    )


def by_video(names: List[str]) -> List[Tuple[str, str, List[str]]]:
    """(video, the name to ask for, its qualities) for each video.

    Files such as `wildlife_240p.mp4` are qualities of one video; any of them stands for it. Other names are
    videos by themselves.
    """
    found: Dict[str, Tuple[str, List[str]]] = {}
    for name in names:
        stem, dot, _ = name.rpartition(".")
        video, _, quality = stem.rpartition("_")
        if not (dot and video and quality[:1].isdigit()):
            found.setdefault(name, (name, []))
            continue
        found.setdefault(video, (name, []))[1].append(quality)
    return [(video, choice, sorted(qualities, key=_height)) for video, (choice, qualities) in found.items()]


def _height(quality: str) -> Tuple[int, str]:
    digits = ""
    for letter in quality:
        if not letter.isdigit():
            break
        digits += letter
    return int(digits or 0), quality
