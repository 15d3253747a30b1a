"""OpenCV, which only windows, cameras, and pictures and videos of ours need."""

from __future__ import annotations

import os
from typing import Any, Tuple

from .wire import ClientError

# From clients/requirements-window.txt. What a command says instead of a traceback.
MISSING = "opencv-python is not installed (clients/requirements-window.txt)"


def load() -> Tuple[Any, Any]:
    """(cv2, numpy). ClientError: they are not there."""
    try:
        import cv2
        import numpy
    except ImportError:
        raise ClientError(MISSING) from None
    return cv2, numpy


def decode(file: bytes) -> Any:
    """The picture in a file: height × width × 3, BGR, uint8. ClientError: there is none."""
    cv2, numpy = load()
    try:
        picture = cv2.imdecode(numpy.frombuffer(file, numpy.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # empty, or larger than OpenCV takes
        picture = None
    if picture is None:
        raise ClientError("this is no picture that OpenCV reads")
    return picture


def resized(picture: Any, size: Tuple[int, int]) -> Any:
    """The picture with that width and height, whatever its proportions."""
    cv2, _ = load()
    rows, columns = picture.shape[:2]
    if (columns, rows) == size:
        return picture
    smaller = size[0] < columns or size[1] < rows
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def be_quiet() -> None:
    """For commands, before the first `load`: what fails is told in one line, which is ours."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
