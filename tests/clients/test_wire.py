"""Reads, keys, sizes, cut texts."""

from __future__ import annotations

import json
import socket
import unittest
from typing import Tuple

from support import fake_jpeg

from playhouse_clients import ConnectionLost, ProtocolError
from playhouse_clients.keys import load_public_key, same_key
from playhouse_clients.wire import Wire, jpeg_size, parse_address, split_text


class WireTest(unittest.TestCase):
    def pair(self) -> Tuple[Wire, socket.socket]:
        here, there = socket.socketpair()
        here.settimeout(5)
        self.addCleanup(here.close)
        self.addCleanup(there.close)
        return Wire(here), there

    def test_exact_reads_take_no_more(self) -> None:
        wire, there = self.pair()
        there.sendall(b"\x00\x00\x00\x07" + b"\x00" * 7 + b"\x09" + b"abcdef")
        self.assertEqual(wire.u32(), 7)
        self.assertEqual(wire.u64(), 9)
        self.assertEqual(wire.exact(2), b"ab")
        self.assertEqual(wire.peek(2), b"cd")
        self.assertEqual(wire.exact(4), b"cdef")

    def test_an_end_is_an_error(self) -> None:
        wire, there = self.pair()
        there.sendall(b"abc")
        there.close()
        with self.assertRaises(ConnectionLost):
            wire.exact(4)

    def test_huge_lengths_are_refused(self) -> None:
        wire, _ = self.pair()
        with self.assertRaises(ProtocolError):
            wire.exact(1 << 40)

    def test_json_cut_at_every_byte(self) -> None:
        value = {"jürgen}": "-----BEGIN\n{", "名前": 'a"}b', "z": "😀"}
        for ascii_only in (True, False):
            text = json.dumps(value, separators=(",", ":"), ensure_ascii=ascii_only).encode()
            for cut in range(1, len(text)):
                wire, there = self.pair()
                there.sendall(text[:cut])
                wire.fill()
                there.sendall(text[cut:] + b"CHAT\xff\x80}")
                self.assertEqual(wire.json(), value)
                self.assertEqual(wire.peek(7), b"CHAT\xff\x80}")

    def test_json_array(self) -> None:
        wire, there = self.pair()
        there.sendall(b'["a]","b"]x')
        self.assertEqual(wire.json(), ["a]", "b"])
        self.assertEqual(wire.exact(1), b"x")

    def test_no_json(self) -> None:
        wire, there = self.pair()
        there.sendall(b"hello")
        with self.assertRaises(ProtocolError):
            wire.json()

    def test_pem_ends_at_its_end(self) -> None:
        pem = "-----BEGIN RSA PUBLIC KEY-----\nabc\n-----END RSA PUBLIC KEY-----"
        wire, there = self.pair()
        there.sendall(pem.encode() + b"\nOK")
        self.assertEqual(wire.pem(), pem)
        wire.skip_line_end()
        self.assertEqual(wire.exact(2), b"OK")

    def test_fill_within_says_whether_something_came(self) -> None:
        wire, there = self.pair()
        self.assertFalse(wire.fill_within(0.01))
        there.sendall(b"x")
        self.assertTrue(wire.fill_within(5))


class HelpersTest(unittest.TestCase):
    def test_addresses(self) -> None:
        self.assertEqual(parse_address("house", 7), ("house", 7))
        self.assertEqual(parse_address("house:8", 7), ("house", 8))
        self.assertEqual(parse_address("::1", 7), ("::1", 7))
        self.assertEqual(parse_address("[::1]", 7), ("::1", 7))
        self.assertEqual(parse_address("[::1]:8", 7), ("::1", 8))
        for bad in ("", ":8", "house:x", "house:0", "house:65536", "[::1", "[::1]8"):
            with self.assertRaises(ValueError, msg=bad):
                parse_address(bad, 7)

    def test_texts_are_cut_between_characters(self) -> None:
        for text in ("", "short", "ä" * 300, "a" + "😀" * 200, "x" * 190, "x" * 191):
            for limit in (4, 5, 117, 190):
                parts = split_text(text, limit)
                self.assertEqual("".join(parts), text)
                self.assertTrue(all(len(part.encode()) <= limit for part in parts))
        self.assertEqual(len(split_text("x" * 190, 190)), 1)
        self.assertEqual(len(split_text("x" * 191, 190)), 2)

    def test_jpeg_sizes(self) -> None:
        jpeg = fake_jpeg(854, 480)
        self.assertEqual(jpeg_size(jpeg), (854, 480))
        self.assertEqual(jpeg_size(jpeg[:2] + b"\xff" * 3 + jpeg[2:]), (854, 480))
        progressive = jpeg.replace(b"\xff\xc0", b"\xff\xc2")
        self.assertEqual(jpeg_size(progressive), (854, 480))
        huffman_first = jpeg[:2] + b"\xff\xc4\x00\x04ab" + jpeg[2:]
        self.assertEqual(jpeg_size(huffman_first), (854, 480))
        for bad in (b"", b"\xff\xd8", b"\x89PNG", jpeg[:90], b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xda\x00\x02"):
            self.assertIsNone(jpeg_size(bad))

    def test_keys(self) -> None:
        self.assertTrue(same_key("a\nb\n", "a\r\nb"))
        self.assertFalse(same_key("ab", "ac"))
        for bad in ("", "hello", "schlüssel", "-----BEGIN PUBLIC KEY-----\nxx\n-----END PUBLIC KEY-----"):
            with self.assertRaises(ValueError):
                load_public_key(bad)


if __name__ == "__main__":
    unittest.main()
