"""What tumip makes of pictures, and where they come from. What needs OpenCV is left out where it is missing."""

from __future__ import annotations

import itertools
import os
import sys
import unittest
from pathlib import Path
from typing import Any, List, Optional, Tuple
from unittest import mock

from fake_tumip_house import FakeTumipHouse
from support import PATIENCE, eventually, fake_jpeg, temporary_folder

from playhouse_clients import ClientError, Frame, Tumip, opencv
from playhouse_clients.picture_sources import Camera, Pictures, Video, at_most
from playhouse_clients.tumip_pictures import LARGEST_PICTURE, SIDE, fitted
from playhouse_clients.viewing import Window
from playhouse_clients.wire import jpeg_size

try:
    import cv2
    import numpy
except ImportError:
    cv2 = None  # type: ignore[assignment]

needs_opencv = unittest.skipIf(cv2 is None, "OpenCV is not installed (clients/requirements-window.txt)")


def noise(width: int, height: int) -> Any:
    return numpy.random.default_rng(1).integers(0, 256, (height, width, 3), numpy.uint8)


def ramp(width: int, height: int) -> Any:
    """Blue at the left, red at the right; compresses well."""
    picture = numpy.zeros((height, width, 3), numpy.uint8)
    picture[:, :, 2] = numpy.linspace(0, 255, width)
    picture[:, :, 0] = 255 - picture[:, :, 2]
    return picture


def decoded(jpeg: bytes) -> Any:
    return cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), cv2.IMREAD_COLOR)


def write_video(path: Path, frames: int, rate: float) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), rate, (64, 48))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(numpy.full((48, 64, 3), 10 * number, numpy.uint8))
    writer.release()


def write_files(case: unittest.TestCase, *contents: bytes) -> List[str]:
    """Their paths: 0.jpg, 1.jpg and so on."""
    folder = temporary_folder(case)
    for number, content in enumerate(contents):
        (folder / f"{number}.jpg").write_bytes(content)
    return [str(folder / f"{number}.jpg") for number in range(len(contents))]


@needs_opencv
class FittedTest(unittest.TestCase):
    def test_arrays_are_scaled_as_they_are_proportioned(self) -> None:
        cases = [
            ((1280, 720), (230, 230), (230, 129)),
            ((720, 1280), (230, 230), (129, 230)),
            ((231, 230), (230, 230), (230, 229)),
            ((230, 230), (230, 230), (230, 230)),
            ((64, 48), (230, 230), (64, 48)),  # nothing is made larger
            ((1000, 1), (230, 230), (230, 1)),
            ((640, 480), (100, 50), (67, 50)),
        ]
        for (width, height), most, expected in cases:
            with self.subTest(width=width, height=height, most=most):
                self.assertEqual(jpeg_size(fitted(ramp(width, height), *most)), expected)

    def test_a_picture_looks_as_before(self) -> None:
        before = ramp(460, 460)
        for picture in (before, before[::-1, :, :], before[:, :, 0], numpy.asfortranarray(before)):
            small = decoded(fitted(picture, 230, 230)).astype(int)
            wanted = numpy.atleast_3d(picture[::2, ::2]).astype(int)
            self.assertLess(numpy.abs(small - wanted).mean(), 3)

    def test_quality_is_lowered_until_a_datagram_holds_it(self) -> None:
        # more pixels than a server takes, so that several steps are needed
        picture = noise(400, 400)
        jpeg = fitted(picture, 400, 400)
        self.assertLessEqual(len(jpeg), LARGEST_PICTURE)
        self.assertGreater(len(jpeg), LARGEST_PICTURE // 2)  # and no further than that
        self.assertEqual(jpeg_size(jpeg), (400, 400))
        with self.assertRaisesRegex(ClientError, "does not fit"):
            fitted(noise(1500, 1500), 1500, 1500)

    def test_files_that_do_not_fit(self) -> None:
        picture = ramp(500, 250)
        for extension in (".jpg", ".png", ".bmp"):
            file = cv2.imencode(extension, picture)[1].tobytes()
            self.assertEqual(jpeg_size(fitted(file, 230, 230)), (230, 115))
        square = cv2.imencode(".jpg", ramp(230, 230))[1].tobytes()
        self.assertEqual(fitted(square, 230, 230), square)
        self.assertEqual(jpeg_size(fitted(square, 230, 100)), (100, 100))
        too_long = square + bytes(LARGEST_PICTURE + 1 - len(square))
        self.assertLess(len(fitted(too_long, 230, 230)), len(too_long))

    def test_what_is_no_picture(self) -> None:
        for bad in (b"", b"hello", fake_jpeg(231, 230), fake_jpeg(0, 0), b"\xff\xd8"):
            with self.assertRaisesRegex(ClientError, "no picture that OpenCV reads"):
                fitted(bad, 230, 230)
        shapes: List[Tuple[int, ...]] = [(10,), (10, 10, 2), (10, 10, 4), (1, 10, 10, 3), (0, 10, 3)]
        arrays = [numpy.zeros(shape, numpy.uint8) for shape in shapes]
        for array in (*arrays, numpy.zeros((10, 10, 3)), "a path", None, [[0]]):
            with self.assertRaisesRegex(ClientError, "a picture is "):
                fitted(array, 230, 230)

    def test_arrays_are_sent(self) -> None:
        with FakeTumipHouse() as house, Tumip("127.0.0.1", house.port, 5, timeout=PATIENCE) as anna:
            anna.register()
            sent = [anna.send_picture(ramp(640, 360)), anna.send_picture(noise(230, 230))]
            eventually(lambda: len(house.pictures.get(5, [])) == 2, "both have come")
            self.assertEqual(house.pictures[5], sent)
            self.assertEqual([jpeg_size(jpeg) for jpeg in sent], [(230, 129), (230, 230)])


class WithoutOpenCvTest(unittest.TestCase):
    def test_only_what_fits_goes_out(self) -> None:
        fits = fake_jpeg(230, 230)
        with mock.patch.dict(sys.modules, {"cv2": None}):
            self.assertEqual(fitted(fits, 230, 230), fits)
            for picture in (fake_jpeg(231, 230), b"hello", [[0]]):
                with self.assertRaisesRegex(ClientError, "opencv-python is not installed"):
                    fitted(picture, 230, 230)


def pictures(paths: List[str], rate: Optional[float], loop: bool) -> Pictures:
    """As tumip reads them."""
    return Pictures(paths, rate, loop, lambda file: fitted(file, SIDE, SIDE))


class SourcesTest(unittest.TestCase):
    def test_pictures(self) -> None:
        first, second = fake_jpeg(10, 10), fake_jpeg(20, 20)
        once = pictures(write_files(self, first, second), 4.0, loop=False)
        self.assertEqual(list(once), [(0.0, first), (0.25, second)])
        self.assertEqual((once.name, once.total, once.last_stays), ("2 pictures", 2, 0.25))
        again = pictures(write_files(self, first, second), None, loop=True)
        self.assertIsNone(again.total)
        self.assertEqual(
            list(itertools.islice(again, 5)), [(0, first), (1, second), (2, first), (3, second), (4, first)]
        )

    def test_pictures_that_are_none(self) -> None:
        paths = write_files(self, fake_jpeg(10, 10), b"hello")
        with self.assertRaisesRegex(ClientError, "1.jpg: (this is no picture|opencv-python is not installed)"):
            pictures(paths, None, loop=False)
        with self.assertRaises(OSError):
            pictures([paths[0], "/does/not/exist"], None, loop=False)

    def test_at_most(self) -> None:
        def kept(rate: float, own: float, count: int) -> List[int]:
            pictures = ((number / own, number) for number in range(count))
            return [number for _, number in at_most(rate, pictures)]

        self.assertEqual(kept(10, 30, 10), [0, 3, 6, 9])
        self.assertEqual(kept(30, 30, 100), list(range(100)))
        self.assertEqual(kept(60, 30, 100), list(range(100)))
        self.assertEqual(len(kept(10, 25, 250)), 100)
        self.assertEqual(len(kept(0.5, 25, 250)), 5)
        # after a pause there is no rush
        dues = [0.0, 10.0, 10.01, 10.02, 10.1, 10.11, 10.2]
        self.assertEqual([due for due, _ in at_most(10, ((due, None) for due in dues))], [0, 10.0, 10.1, 10.2])

    @needs_opencv
    def test_a_video_at_its_own_rate(self) -> None:
        path = temporary_folder(self) / "clip.avi"
        write_video(path, 6, 20)
        video = Video(str(path), None, loop=False)
        self.addCleanup(video.close)
        came = list(video)
        self.assertEqual([round(due, 6) for due, _ in came], [0, 0.05, 0.1, 0.15, 0.2, 0.25])
        for number, (_, picture) in enumerate(came):
            self.assertAlmostEqual(picture.mean(), 10 * number, delta=4)
        self.assertAlmostEqual(video.last_stays, 0.05)

    @needs_opencv
    def test_a_video_that_begins_again(self) -> None:
        path = temporary_folder(self) / "clip.avi"
        write_video(path, 3, 20)
        video = Video(str(path), 10.0, loop=True)
        self.addCleanup(video.close)
        came = list(itertools.islice(video, 5))
        self.assertEqual([round(due, 6) for due, _ in came], [0, 0.1, 0.2, 0.3, 0.4])
        means = [picture.mean() for _, picture in came]  # every second one of 0 1 2 0 1 2 0 1 2
        for mean, number in zip(means, [0, 2, 1, 0, 2]):
            self.assertAlmostEqual(mean, 10 * number, delta=4)

    @needs_opencv
    def test_videos_that_are_none(self) -> None:
        for path in ("/does/not/exist", str(temporary_folder(self))):
            with self.assertRaises(OSError):
                Video(path, None, loop=False)


class WindowTest(unittest.TestCase):
    def test_one_that_was_closed_by_hand(self) -> None:
        class Gone(Exception):
            pass

        fake = mock.Mock(error=Gone, WINDOW_NORMAL=0, WINDOW_KEEPRATIO=0)
        fake.destroyWindow.side_effect = Gone
        with mock.patch.object(opencv, "load", return_value=(fake, mock.Mock())):
            with mock.patch.dict(os.environ, {"DISPLAY": ":99"}):
                window = Window("pictures", 460)
        window.refresh()
        window.close()
        self.assertEqual(fake.mock_calls, [])  # nothing is open yet
        window.show(Frame(1, None, 230, 115, fake_jpeg(230, 115)))
        fake.resizeWindow.assert_called_once_with("pictures", 460, 230)
        window.close()
        fake.destroyWindow.assert_called_once_with("pictures")
        window.close()
        fake.destroyWindow.assert_called_once_with("pictures")


class FakeCapture:
    """A camera that gives so many pictures and is then pulled out; -1: there is none."""

    def __init__(self, pictures: int) -> None:
        self.left = pictures
        self.released = False

    def isOpened(self) -> bool:
        return self.left >= 0

    def read(self) -> Tuple[bool, Any]:
        self.left -= 1
        return self.left >= 0, f"{self.left} left"

    def release(self) -> None:
        self.released = True


class CameraTest(unittest.TestCase):
    def camera(self, pictures: int, rate: Any = None) -> Camera:
        self.capture = FakeCapture(pictures)
        fake = mock.Mock(VideoCapture=mock.Mock(return_value=self.capture))
        with mock.patch.object(opencv, "load", return_value=(fake, None)):
            camera = Camera(7, rate)
        fake.VideoCapture.assert_called_once_with(7)
        return camera

    def test_pictures_until_it_is_pulled_out(self) -> None:
        camera = self.camera(3)
        came: List[Any] = []
        with self.assertRaisesRegex(ClientError, "camera 7 gives no picture"):
            for due, picture in camera:
                came.append((due, picture))
        self.assertEqual([picture for _, picture in came], ["2 left", "1 left", "0 left"])
        self.assertEqual(came[0][0], 0)
        self.assertEqual(sorted(came), came)
        camera.close()
        self.assertTrue(self.capture.released)

    def test_a_rate(self) -> None:
        camera = self.camera(1000, 0.001)
        came: List[Any] = []
        with self.assertRaises(ClientError):
            for _, picture in camera:
                came.append(picture)
        self.assertEqual(came, ["999 left"])

    def test_no_camera(self) -> None:
        with self.assertRaisesRegex(ClientError, "there is no camera 7, .*; --video FILE"):
            self.camera(-1)


if __name__ == "__main__":
    unittest.main()
