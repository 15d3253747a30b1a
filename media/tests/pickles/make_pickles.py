"""Writes the pickles that the tests read: pictures to good/, and what must be refused to bad/.

    python3 -m venv /tmp/numpy && /tmp/numpy/bin/pip install numpy==1.26.4
    /tmp/numpy/bin/python media/tests/pickles/make_pickles.py

Those of good/ begin with the version of numpy, and each was made so by that version: 1.16 with Python 2.7 and
with Python 3.7, 1.26 and 2.4 with Python 3.11. It works with all of these; bad/ is written by numpy 2 alone.

A name says how the array was made: writer_protocol_channels_HEIGHTxWIDTH_layout. Whatever the layout, the
picture's byte at row y, column x and channel c is pixel(y, x, c), which the tests compute, too. A pickle that is
the same as another one of the same writer and size is left out.
"""

import os
import pickle
import sys

import numpy

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON_2 = sys.version_info[0] == 2
WRITER = "numpy%s-python%d" % (".".join(numpy.__version__.split(".")[:2]), sys.version_info[0])
PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)
MAIN_SIZE = (5, 7)
# Of the newest writer alone.
MORE_SIZES = [(24, 16), (1, 1), (1, 9), (9, 1)]
NUMPY_2 = int(numpy.__version__.split(".")[0]) >= 2


def pixel(y, x, c):
    return (37 * y + 11 * x + 101 * c + 7) % 256


def picture(height, width, channels):
    rows = [[[pixel(y, x, c) for c in range(channels)] for x in range(width)] for y in range(height)]
    array = numpy.array(rows, dtype=numpy.uint8)
    return array if channels == 3 else array[:, :, 0].copy()


def layouts(array):
    """The same picture, lying differently in memory."""
    yield "plain", array.copy()
    larger = numpy.zeros([2 * side + 3 for side in array.shape[:2]] + list(array.shape[2:]), numpy.uint8)
    view = larger[2 : 2 * array.shape[0] + 2 : 2, 1 : 2 * array.shape[1] + 1 : 2]
    view[...] = array
    yield "sliced", view
    yield "reversed", array[::-1, ::-1].copy()[::-1, ::-1]
    yield "fortran", numpy.asfortranarray(array)
    yield "turned", array.swapaxes(0, 1).copy().swapaxes(0, 1)
    if array.ndim == 3:
        yield "planes", array.transpose(2, 0, 1).copy().transpose(1, 2, 0)
        yield "rgb", array[:, :, ::-1].copy()[:, :, ::-1]
    frozen = array.copy()
    frozen.setflags(write=False)
    yield "frozen", frozen


def write(folder, name, data):
    with open(os.path.join(HERE, folder, name + ".pickle"), "wb") as file:
        file.write(data)


def write_good():
    for height, width in [MAIN_SIZE] + NUMPY_2 * MORE_SIZES:
        for channels in (1, 3):
            known = set()
            kind = "%s_%dx%d" % ("bgr" if channels == 3 else "grey", height, width)
            for layout, array in layouts(picture(height, width, channels)):
                if (height, width) != MAIN_SIZE and layout not in ("plain", "fortran"):
                    continue
                texts = [(str(p), pickle.dumps(array, protocol=p)) for p in PROTOCOLS]
                if PYTHON_2:
                    import cPickle

                    texts = [("2c", cPickle.dumps(array, protocol=2))] + texts
                else:
                    texts.append(("dumps", array.dumps()))
                    texts.append(("5pure", pickle._dumps(array, protocol=pickle.HIGHEST_PROTOCOL)))
                for protocol, data in texts:
                    if data not in known:
                        write("good", "_".join([WRITER, protocol, kind, layout]), data)
                    known.add(data)


class Call(object):
    """Pickled as a call, and, with more, as that and what is to be done with its result."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


def write_bad():
    import builtins
    import subprocess

    colour = picture(5, 7, 3)
    touch = "touch /tmp/pickle_was_run"

    def bad(name, value, protocol=4):
        write("bad", name, pickle.dumps(value, protocol=protocol))

    for protocol in PROTOCOLS:
        bad("system_%d" % protocol, Call(os.system, (touch,)), protocol)
    bad("popen", Call(subprocess.Popen, (["sh", "-c", touch],)))
    bad("eval", Call(builtins.eval, ("1 + 1",)))
    bad("getattr", Call(getattr, ("text", "upper")))
    bad("load", Call(numpy.load, ("/etc/passwd",)))
    bad("system_in_dtype", Call(numpy.dtype, (Call(os.system, (touch,)), False, True)))
    bad("system_in_state", Call(numpy.ndarray, ((1,), "u1"), Call(os.system, (touch,))))
    bad("encode_rot13", Call(__import__("_codecs").encode, ("text", "rot13")), 2)
    bad("objects", numpy.array([[None, os.system]], dtype=object))
    bad("float", numpy.zeros((2, 2), "f4"))
    bad("signed", numpy.zeros((2, 2), "i1"))
    bad("bool", numpy.zeros((2, 2), "?"))
    bad("big_endian", numpy.zeros((2, 2), ">u2"))
    bad("structured", numpy.zeros((2, 2), [("a", "u1")]))
    bad("metadata", numpy.zeros((2, 2), numpy.dtype("u1", metadata={"a": 1})))
    bad("scalar", numpy.uint8(7))
    bad("masked", numpy.ma.zeros((2, 2), "u1"))
    bad("matrix", numpy.zeros((2, 2), "u1").view(numpy.matrix))
    bad("list", [colour])
    bad("dict", {"frame": colour})
    bad("pair", (colour, colour))
    bad("none", None)
    bad("text", "hello")
    bad("bytes", b"hello")
    bad("line", numpy.zeros(7, "u1"))
    bad("cube", numpy.zeros((2, 2, 3, 1), "u1"))
    bad("one_channel", numpy.zeros((5, 7, 1), "u1"))
    bad("four_channels", numpy.zeros((5, 7, 4), "u1"))
    bad("channels_first", numpy.zeros((3, 5, 7), "u1"))
    bad("nothing", numpy.zeros((0, 7, 3), "u1"))
    bad("no_axes", numpy.zeros((), "u1"))
    bad("too_wide", numpy.zeros((1, 8193), "u1"))
    bad("line_5", numpy.zeros(7, "u1"), 5)
    bad("nothing_5", numpy.zeros((7, 0), "u1"), 5)
    bad("float_5", numpy.zeros((2, 2), "f8"), 5)
    for protocol in (0, 1):
        bad("protocol_%d" % protocol, colour, protocol)
    write("bad", "out_of_band", pickle.dumps(colour, protocol=5, buffer_callback=lambda buffer: False))
    write("bad", "two", pickle.dumps(colour, protocol=4) * 2)


def main():
    write_good()
    if NUMPY_2:
        write_bad()


main()
