"""The HTTP side of the real server, used by what programs use: OpenCV, a tus client, a reader of OpenAPI."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import tempfile
import unittest
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
from openapi_spec_validator import OpenAPIV31SpecValidator
from support import eventually
from test_house import HouseCase, clip
from test_house_tumip import GREY, TumipCase
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError


def url(case: HouseCase, path: str) -> str:
    host, port = case.house.at("web")
    return f"http://{host}:{port}{path}"


def get(case: HouseCase, path: str) -> Any:
    with urllib.request.urlopen(url(case, path)) as answer:
        return json.load(answer)


class Pictures(HouseCase):
    def test_opencv_reads_a_video(self) -> None:
        name, _ = clip()
        video = get(self, f"/api/videos/{name}")
        highest = video["qualities"][-1]
        for query, frames, size in [
            ("", video["frames"], None),
            (f"?quality={highest['quality']}&from=10", video["frames"] - 10, highest),
        ]:
            capture = cv2.VideoCapture(url(self, f"/api/videos/{name}/mjpeg{query}"))
            self.assertTrue(capture.isOpened())
            seen = 0
            while True:
                good, frame = capture.read()
                if not good:
                    break
                seen += 1
                if size:
                    self.assertEqual(frame.shape[:2], (size["height"], size["width"]))
            capture.release()
            self.assertEqual(seen, frames)


class LivePictures(TumipCase):
    def test_opencv_reads_a_live_channel(self) -> None:
        tumip = self.tumip(7)
        tumip.register()
        self.keep_sending(tumip)
        eventually(lambda: get(self, "/api/live"), "the channel is on air")
        capture = cv2.VideoCapture(url(self, "/api/live/tumip-7/mjpeg"))
        for _ in range(20):
            good, frame = capture.read()
            self.assertTrue(good)
            self.assertEqual(frame.shape, (8, 8, 3))
        capture.release()
        with urllib.request.urlopen(url(self, "/api/live/tumip-7/latest.jpg")) as answer:
            self.assertEqual(answer.read(), GREY)


class Uploads(HouseCase):
    def file(self, size: int) -> Path:
        folder = Path(self.enter(tempfile.TemporaryDirectory()))
        path = folder / "grüße.bin"
        path.write_bytes(random.Random(size).randbytes(size))
        return path

    def uploader(self, client: TusClient, path: Path, **options: Any) -> Any:
        return client.uploader(file_stream=self.enter(path.open("rb")), **options)

    def assert_there(self, path: Path) -> None:
        newest = get(self, "/api/files")[0]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self.assertEqual((newest["name"], newest["bytes"], newest["sha256"]), (path.name, path.stat().st_size, digest))
        with urllib.request.urlopen(url(self, f"/api/files/{newest['number']}/content")) as answer:
            self.assertEqual(hashlib.sha256(answer.read()).hexdigest(), digest)
            # Python's own reader takes the plain one; browsers take this.
            self.assertIn(f"filename*=UTF-8''{quote(path.name)}", answer.headers["Content-Disposition"])

    def test_a_tus_client(self) -> None:
        client = TusClient(url(self, "/api/uploads"))
        for size, piece in [(3_000_000, 1_000_000), (1, 1_000_000), (100_000, 300)]:
            path = self.file(size)
            self.uploader(client, path, chunk_size=piece, metadata={"filename": path.name}).upload()
            self.assert_there(path)

    def test_a_tus_client_goes_on_after_a_kill(self) -> None:
        path = self.file(20_000_000)
        client = TusClient(url(self, "/api/uploads"))
        uploader = self.uploader(client, path, chunk_size=4_000_000, metadata={"filename": path.name})
        uploader.upload_chunk()
        self.assertGreater(uploader.offset, 3_900_000)
        self.house.kill()
        with self.assertRaises(Exception):
            uploader.upload_chunk()
        self.house.start_again()
        # Another one that knows the address alone.
        uploader = self.uploader(client, path, chunk_size=4_000_000, url=uploader.url)
        self.assertGreater(uploader.offset, 3_900_000)
        uploader.upload()
        self.assert_there(path)

    def test_a_tus_client_is_refused(self) -> None:
        client = TusClient(url(self, "/api/uploads"))
        path = self.file(10)
        uploader = self.uploader(client, path, metadata={"filename": "x" * 70_000})
        with self.assertRaises(TusCommunicationError):
            uploader.upload()


class Description(HouseCase):
    def test_it_is_valid(self) -> None:
        document = get(self, "/openapi.json")
        self.assertTrue(document["openapi"].startswith("3.1"))
        self.assertEqual(list(OpenAPIV31SpecValidator(document).iter_errors()), [])


class Metrics(TumipCase):
    def test_promtool_finds_nothing(self) -> None:
        tumip = self.tumip(7)
        tumip.register()
        self.keep_sending(tumip)
        eventually(lambda: get(self, "/api/live"), "the channel is on air")
        with urllib.request.urlopen(url(self, "/metrics")) as answer:
            metrics = answer.read()
        # From Debian's prometheus; scripts/setup brings it.
        checked = subprocess.run(["promtool", "check", "metrics"], input=metrics, capture_output=True, check=False)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, b""))


if __name__ == "__main__":
    unittest.main()
