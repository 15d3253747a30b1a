"""A plain OpenCV video server: the yardstick that playhouse is measured against.

It does the same job as playhouse for one viewing: of the qualities of a video, sorted by resolution, it
sends N div R frames from each in turn (N is the frame count of the lowest, R the number of qualities,
the highest takes the remainder), on one continuous timeline, each as a JPEG of quality 90.

    python benches/opencv_server.py --videos videos --port 0

prints `ready PORT`. A client connects and sends the name of a video (`cells`) and a newline. It gets, for
each frame, and then the end of the connection:

    type u8 = 2 | length u32 big-endian = 16 + size | size in decimal, left-justified in 16 bytes | JPEG

Meant to be as good as such a server is when written well: one thread a client, OpenCV's own threads for
decoding and encoding left at their default, one write a frame, frames that are not sent are decoded but
not converted, and a frame that is sent twice (the file has fewer than N) is encoded once.
"""

import argparse
import re
import socket
import struct
import sys
import threading
from pathlib import Path

import cv2

JPEG_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 90]
LONGEST_NAME = 255


def qualities(folder, name):
    """The files `[name]_[resolution]p.mp4` in the folder, lowest resolution first."""
    found = []
    for path in folder.glob("*.mp4"):
        match = re.fullmatch(re.escape(name) + r"_(\d+)p", path.stem)
        if match:
            found.append((int(match.group(1)), path))
    return [path for _, path in sorted(found)]


def segments(total, count):
    """Which of the `total` frames each of `count` qualities sends, as ranges."""
    share = total // count
    starts = [share * i for i in range(count)] + [total]
    return [range(starts[i], starts[i + 1]) for i in range(count)]


def packet(jpeg):
    size = len(jpeg)
    return struct.pack(">BI", 2, 16 + size) + str(size).encode().ljust(16) + jpeg


def frames(paths):
    """Each frame of a viewing, as the bytes to send."""
    captures = [cv2.VideoCapture(str(path)) for path in paths]
    try:
        counts = [int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) for capture in captures]
        total = counts[0]
        for capture, count, segment in zip(captures, counts, segments(total, len(captures))):
            if not segment:
                continue
            # Jumping to the start of the segment decodes from the key frame before it (they are a second
            # apart). Reading from the beginning and dropping would decode everything before it.
            position = segment.start * count // total
            if position:
                capture.set(cv2.CAP_PROP_POS_FRAMES, position)
            data = None
            for index in segment:
                # The file may have another frame count than the lowest: same moment, its own frame.
                wanted = index * count // total
                if position <= wanted:
                    while position <= wanted and capture.grab():
                        position += 1
                    ok, image = capture.retrieve()
                    if ok:
                        data = packet(cv2.imencode(".jpg", image, JPEG_QUALITY)[1].tobytes())
                if data:
                    yield data
    finally:
        for capture in captures:
            capture.release()


def serve(connection, folder):
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with connection.makefile("rb") as reader:
                name = reader.readline(LONGEST_NAME).decode(errors="replace").strip()
            paths = qualities(folder, name)
            if paths:
                for data in frames(paths):
                    connection.sendall(data)
        except ConnectionError:
            pass  # the viewer left


def main():
    parser = argparse.ArgumentParser(description="A plain OpenCV video server to measure against.")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one (default)")
    parser.add_argument("--videos", type=Path, default=Path("videos"), help="folder (default: videos)")
    arguments = parser.parse_args()
    if not arguments.videos.is_dir():
        sys.exit(f"{arguments.videos} is not a folder")
    listener = socket.create_server(("127.0.0.1", arguments.port), backlog=64)
    print("ready", listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, arguments.videos), daemon=True).start()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
