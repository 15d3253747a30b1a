"""OpenCV, which only windows, cameras and video files of ours need."""

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


def be_quiet() -> None:
    """For commands, before the first `load`: what fails is told in one line, which is ours."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
