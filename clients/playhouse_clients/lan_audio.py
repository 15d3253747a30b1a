"""The lan_audio client: the sound that a server sends to everybody.

From the connection on there are samples as `sounds` describes them, at the pace of the clock and without any
header. The client sends nothing.
"""

from __future__ import annotations

from typing import Any

from .sounds import RATE, SAMPLE
from .wire import ClientError, WaitTimeout, Wire, open_socket

DEFAULT_PORT = 12_345
MOST = RATE * SAMPLE  # bytes that one read brings: a second


class LanAudio:
    """A listener. Connects at once; `with` closes it.

    `timeout` is the longest wait for the connection, and the longest silence of the line, in seconds. A listener
    that reads too slowly loses the oldest sound, which nothing tells.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = DEFAULT_PORT, timeout: float = 30.0) -> None:
        self._timeout = timeout
        self._wire = Wire(open_socket(host, port, timeout))

    def __enter__(self) -> "LanAudio":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self) -> bytes:
        """The next whole samples: waits for one at least, and brings a second of them at most.

        WaitTimeout: none came. ConnectionLost: the server has closed.
        """
        buffer = self._wire.buffer
        while len(buffer) < SAMPLE:
            try:
                self._wire.fill()
            except WaitTimeout:
                raise WaitTimeout(f"no sound for {self._timeout:g} s") from None
        length = min(len(buffer), MOST) // SAMPLE * SAMPLE
        return self._wire.exact(length)

    def read_array(self) -> Any:
        """The same as an array of numpy's, int16. ClientError: numpy is not installed."""
        try:
            import numpy
        except ImportError:
            raise ClientError("numpy is not installed") from None
        return numpy.frombuffer(self.read(), "<i2")

    def close(self) -> None:
        self._wire.close()


def main() -> int:
    from . import lan_audio_console

    return lan_audio_console.main()


if __name__ == "__main__":
    raise SystemExit(main())
