"""The lan_video client: sends a camera's frames, which others watch live.

A frame is its length, as 8 bytes little-endian (what `struct.pack("L", …)` is on Linux and macOS), and then as many
bytes: the pickled array. The server answers nothing, and closes a connection that sends what it does not take.
"""

from __future__ import annotations

import pickle
import struct
from typing import Any, Optional

from .wire import ClientError, ProtocolError, Wire, open_socket

DEFAULT_PORT = 8089
LENGTH = struct.Struct("<Q")
PROTOCOLS = (2, 3, 4, 5)  # of pickle, that a server reads
MISSING = "numpy is not installed (clients/requirements-window.txt)"


class LanVideo:
    """A camera. Connects at once; `with` closes it. The server gives it the name: the first free `cam-N`.

    `timeout` is the longest wait for the connection, and for the server to take a frame, in seconds. `protocol`
    is that of pickle, by default the one that Python takes.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        protocol: Optional[int] = None,
        timeout: float = 30.0,
    ) -> None:
        self.protocol = pickle.DEFAULT_PROTOCOL if protocol is None else protocol
        if self.protocol not in PROTOCOLS:
            raise ClientError(f"a pickle protocol is one of {', '.join(map(str, PROTOCOLS))}, not {protocol}")
        self._wire = Wire(open_socket(host, port, timeout))

    def __enter__(self) -> "LanVideo":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send_frame(self, picture: Any) -> int:
        """Send an array of OpenCV's, height × width × 3 (BGR) or height × width (grey), uint8; the bytes it took.

        ClientError: this is none. ConnectionLost: the server has closed, as it does when it takes no frames of
        that size.
        """
        data = pickle.dumps(_checked(picture), self.protocol)
        self.check()
        self._wire.send(LENGTH.pack(len(data)) + data)
        return LENGTH.size + len(data)

    def check(self) -> None:
        """Notice without waiting that the server has closed the connection: ConnectionLost."""
        if self._wire.fill_within(0):
            raise ProtocolError("the server says something: this is no lan_video server")

    def close(self) -> None:
        """End the connection. The server still gets all that was sent."""
        self._wire.close()


def _checked(picture: Any) -> Any:
    """The same picture as a plain array, with its rows one after the other."""
    try:
        import numpy
    except ImportError:
        raise ClientError(MISSING) from None
    if not isinstance(picture, numpy.ndarray) or picture.dtype != numpy.uint8:
        raise ClientError("a frame is an array of uint8")
    if picture.size == 0 or (picture.ndim != 2 and (picture.ndim != 3 or picture.shape[2] != 3)):
        shape = " × ".join(map(str, picture.shape))
        raise ClientError(f"a frame is height × width × 3, or height × width, and not {shape}")
    return numpy.ascontiguousarray(picture)


def main() -> int:
    from . import lan_video_console

    return lan_video_console.main()


if __name__ == "__main__":
    raise SystemExit(main())
