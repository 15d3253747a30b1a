"""The packets of packetchat, byte by byte; the time-outs; the names that files get here."""

from __future__ import annotations

import random
import unittest
from typing import Any, Tuple

import support  # noqa: F401  makes the clients importable

from playhouse_clients import packets
from playhouse_clients.local_files import LONGEST_NAME, safe_name
from playhouse_clients.packets import CLIENT, DOCUMENT, NUMBERINGS, SHAPES, Malformed, decode, encode
from playhouse_clients.round_trip import FIRST, LEAST, MOST, FixedWaits, RoundTrip

A, B, C = 0x0102030405060708, 0x1112131415161718, 0xFFFFFFFFFFFFFFFF
a, b, c = "0102030405060708", "1112131415161718", "ffffffffffffffff"

# name, values, type in the document's numbering, in the clients', the rest; in hexadecimal
GOLDEN = [
    (packets.SESSION_REQUEST, (b"anna",), "0001", "0001", "0004616e6e61"),
    (packets.SESSION_COOKIE, (A, B), "0002", "0002", a + b),
    (packets.SESSION_PRESERVE, (A,), "0004", "0004", a),
    (packets.USERS_REQUEST, (A,), "0005", "0005", a),
    (packets.USERS, ([A, B, C],), "0006", "0006", "0003" + a + b + c),
    (packets.USER_DATA_REQUEST, (A, B), "0007", "0007", a + b),
    (packets.USER_DATA, (A, b"bob"), "0008", "0008", a + "0003626f62"),
    (packets.MESSAGE_REQUEST, (A, B, C, b"hi"), "0009", "0009", a + b + c + "00026869"),
    (packets.MESSAGE, (C,), "000a", "000a", c),
    (packets.BROADCAST_REQUEST, (A, C, b""), "000b", "000b", a + c + "0000"),
    (packets.BROADCAST, (C,), "000c", "000c", c),
    (packets.INCOMING, (A, C, "ä".encode()), "000d", "000d", a + c + "0002c3a4"),
    (packets.RECEIVED, (C,), "000e", "000e", c),
    (packets.FILES_REQUEST, (A,), "0013", "000f", a),
    (packets.FILES, ([],), "0014", "0010", "0000"),
    (packets.FILE_DATA_REQUEST, (A, B), "0015", "0011", a + b),
    (packets.FILE_DATA, (B, 0x01020304, b"f.txt"), "0016", "0012", b + "01020304" + "0005662e747874"),
    (packets.DOWNLOAD_REQUEST, (A, B), "000f", "0013", a + b),
    (packets.DOWNLOAD, (B, C), "0010", "0014", b + c),
    (packets.DOWNLOAD_CHUNK_REQUEST, (A, 0xFFFFFFFF), "0011", "0015", a + "ffffffff"),
    (packets.DOWNLOAD_CHUNK, (A, 1, b"\0\xff"), "0012", "0016", a + "00000001" + "000200ff"),
    (packets.UPLOAD_REQUEST, (A, 513, b"f.txt"), "000f", "0017", a + "00000201" + "0005662e747874"),
    (packets.UPLOAD, (B, C), "0010", "0018", b + c),
    (packets.UPLOAD_CHUNK_REQUEST, (A, 2, b"x" * 256), "0011", "0019", a + "00000002" + "0100" + "78" * 256),
    (packets.UPLOAD_CHUNK, (A, 2), "0012", "001a", a + "00000002"),
]


class PacketsTest(unittest.TestCase):
    def test_all_there_are(self) -> None:
        self.assertEqual({name for name, *_ in GOLDEN}, set(SHAPES))

    def test_bytes(self) -> None:
        for name, values, document, client, rest in GOLDEN:
            for numbering, kind in ((DOCUMENT, document), (CLIENT, client)):
                packet = bytes.fromhex(kind + rest)
                self.assertEqual(encode(name, numbering, *values).hex(), packet.hex(), name)
                # the one answer that is the same for upload and download in the document's numbering
                expected = packets.DOWNLOAD if (name, numbering) == (packets.UPLOAD, DOCUMENT) else name
                decoded = decode(packet, numbering, SHAPES[name].from_server)
                self.assertEqual(decoded, (expected, values), numbering)

    def test_a_packet_ends_with_its_datagram(self) -> None:
        for name, values, *_ in GOLDEN:
            packet = encode(name, CLIENT, *values)
            for broken in [packet[:cut] for cut in range(len(packet))] + [packet + b"\0"]:
                with self.assertRaises(Malformed, msg=f"{name}: {broken.hex()}"):
                    decode(broken, CLIENT, SHAPES[name].from_server)

    def test_garbage(self) -> None:
        dice = random.Random(7)
        for _ in range(20000):
            packet = dice.randrange(32).to_bytes(2, "big") + dice.randbytes(dice.randrange(40))
            for numbering in NUMBERINGS:
                try:
                    name, values = decode(packet, numbering)
                except Malformed:
                    continue
                self.assertEqual(encode(name, numbering, *values), packet)

    def test_what_does_not_fit(self) -> None:
        too_much: Tuple[Tuple[Any, ...], ...] = (
            (packets.SESSION_REQUEST, b"x" * 65536),
            (packets.MESSAGE_REQUEST, 1, 2, 3, b"x" * (packets.LONGEST_TEXT + 1)),
            (packets.UPLOAD_REQUEST, 1, packets.LARGEST_FILE + 1, b"x"),
            (packets.USERS_REQUEST, -1),
            (packets.FILES, [1] * 8189),
        )
        for name, *values in too_much:
            with self.assertRaises(ValueError):
                encode(name, CLIENT, *values)
        longest = encode(packets.MESSAGE_REQUEST, CLIENT, 1, 2, 3, b"x" * packets.LONGEST_TEXT)
        self.assertEqual(len(longest), packets.LARGEST_PACKET)
        self.assertEqual(len(encode(packets.FILES, CLIENT, [1] * 8187)), 65500)


class RoundTripTest(unittest.TestCase):
    def test_rfc_6298(self) -> None:
        trip = RoundTrip()
        self.assertEqual(trip.timeout, FIRST)
        trip.measured(0.2)
        self.assertAlmostEqual(trip.timeout, 0.2 + 4 * 0.1)
        trip.measured(0.4)
        variation = 0.75 * 0.1 + 0.25 * 0.2
        smoothed = 0.875 * 0.2 + 0.125 * 0.4
        self.assertAlmostEqual(trip.timeout, smoothed + 4 * variation)
        for _ in range(100):
            trip.measured(0.0001)
        self.assertEqual(trip.timeout, LEAST)
        trip.measured(100)
        self.assertEqual(trip.timeout, MOST)

    def test_a_repeated_request_measures_nothing(self) -> None:
        trip = RoundTrip()
        trip.measured(0.1)
        before = trip.smoothed
        trip.ambiguous(1.0)
        self.assertEqual((trip.smoothed, trip.timeout), (before, 1.0))  # and the longer wait stays
        trip.measured(0.1)
        self.assertLess(trip.timeout, 0.5)

    def test_the_old_waits(self) -> None:
        trip = FixedWaits()
        trip.measured(5.0)
        waits = [trip.timeout]
        while sum(waits) < FixedWaits.TOTAL:
            waits.append(trip.longer(waits[-1]))
        self.assertEqual(waits, [0.125, 0.25, 0.5, 1.0, 2.0])


class NamesTest(unittest.TestCase):
    def test_hostile_names(self) -> None:
        cases = {
            "report.pdf": "report.pdf",
            "grüße 😀.txt": "grüße 😀.txt",
            "../../etc/passwd": "_._etc_passwd",
            "/etc/passwd": "_etc_passwd",
            "C:\\Windows\\x": "C__Windows_x",
            "..": "file",
            "...": "file",
            ".": "file",
            "": "file",
            "  ": "file",
            ". .bashrc": "bashrc",
            ".bashrc": "bashrc",
            "a\0b\nc\x1b[2Jd\x7f": "a_b_c_[2Jd_",
            "photo\u202egpj.exe": "photo_gpj.exe",
            "a\u2028b": "a_b",
            "a....b": "a.b",
        }
        for label, name in cases.items():
            self.assertEqual(safe_name(label), name, repr(label))

    def test_any_name(self) -> None:
        dice = random.Random(3)
        letters = "a./\\:\0\n \u202e\u2028\udcff😀\u2003"
        for _ in range(5000):
            name = safe_name("".join(dice.choice(letters) for _ in range(dice.randrange(300))))
            self.assertTrue(name and 0 < len(name.encode()) <= LONGEST_NAME)
            self.assertFalse(name.startswith(".") or ".." in name or set(name) & set("/\\:\0\n\u202e\u2028"), name)
            self.assertEqual(name, name.strip())


if __name__ == "__main__":
    unittest.main()
