"""Frames of a video or of live pictures, and their sum."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, NamedTuple, Optional, Union


class Frame(NamedTuple):
    """One frame: its number from 1, how many there will be if that is known, its size, its JPEG."""

    number: int
    total: Optional[int]
    width: int
    height: int
    jpeg: bytes

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.jpeg)


class SentFrame(NamedTuple):
    """What there is to count of a frame that is no JPEG; its size in bytes is that on the wire."""

    number: int
    total: Optional[int]
    width: int
    height: int
    size: int


def frames_text(count: int) -> str:
    """`1 frame`, `2 frames`"""
    return f"{count} frame" if count == 1 else f"{count} frames"


@dataclass
class Summary:
    """Frames up to the last one. Seconds count from the first frame."""

    frames: int = 0
    bytes: int = 0
    seconds: float = 0.0
    # "854x480" → how many frames, in the order in which they came
    resolutions: Dict[str, int] = field(default_factory=dict)

    def add(self, frame: Union[Frame, SentFrame]) -> None:
        """Count a frame; the seconds are up to whoever has a clock."""
        size = f"{frame.width}x{frame.height}"
        self.frames += 1
        self.bytes += frame.size
        self.resolutions[size] = self.resolutions.get(size, 0) + 1
