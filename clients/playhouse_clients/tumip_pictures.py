"""Pictures as tumip takes them: JPEG, as large as is registered at most, each in one datagram."""

from __future__ import annotations

from typing import Any, Union

from . import opencv
from .wire import ClientError, jpeg_size

SIDE = 230  # pixels: the largest square picture
LARGEST_PICTURE = 65_507  # bytes: what a datagram over IPv4 holds
# From what looks well down to what always fits.
QUALITIES = (90, 80, 70, 60, 50, 40, 30, 20, 10)

# The bytes of a JPEG (or of another file that OpenCV reads), or an array of OpenCV's.
Picture = Union[bytes, bytearray, memoryview, Any]


def fitted(picture: Picture, width: int, height: int) -> bytes:
    """A JPEG of at most that size that a datagram holds: the picture itself where it is one.

    Else it is made smaller, as it is proportioned, and encoded, as well as fits. ClientError: this is no picture,
    or OpenCV would be needed and is missing.
    """
    if isinstance(picture, (bytes, bytearray, memoryview)):
        file = bytes(picture)
        size = jpeg_size(file)
        if size and 0 < size[0] <= width and 0 < size[1] <= height and len(file) <= LARGEST_PICTURE:
            return file
        return _encode(opencv.decode(file), width, height)
    return _encode(picture, width, height)


def _encode(picture: Any, width: int, height: int) -> bytes:
    cv2, numpy = opencv.load()
    if not isinstance(picture, numpy.ndarray) or picture.dtype != numpy.uint8 or picture.size == 0:
        raise ClientError("a picture is the bytes of a file or an array of uint8")
    if picture.ndim != 2 and (picture.ndim != 3 or picture.shape[2] not in (1, 3)):
        raise ClientError(f"a picture is an array of height × width × 3, not {' × '.join(map(str, picture.shape))}")
    rows, columns = picture.shape[:2]
    scale = min(width / columns, height / rows)
    picture = numpy.ascontiguousarray(picture)
    if scale < 1:
        size = tuple(min(max(round(side * scale), 1), most) for side, most in ((columns, width), (rows, height)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    for quality in QUALITIES:
        fine, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if fine and len(encoded) <= LARGEST_PICTURE:
            return bytes(encoded)
    raise ClientError(f"a picture of {columns}x{rows} does not fit into {LARGEST_PICTURE:,} bytes")
