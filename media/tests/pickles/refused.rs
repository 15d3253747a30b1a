//! What Python itself pickles, and nobody may have read as a picture.

use playhouse_media::read_pickled_frame;

use crate::allocations::peak_of;
use crate::fixtures;

/// The files of `bad`, and how the reason begins; its end is that of one of the `RULES`.
const REASONS: &[(&str, &str)] = &[
    ("big_endian", "byte 115: REDUCE: dtype u2"),
    ("bool", "byte 115: REDUCE: dtype b1"),
    ("bytes", "byte 19: STOP"),
    ("channels_first", "byte 255: BUILD: shape (3, 5, 7)"),
    ("cube", "byte 165: BUILD: shape (2, 2, 3, 1)"),
    ("dict", "byte 11: EMPTY_DICT"),
    ("encode_rot13", "byte 46: REDUCE: _codecs.encode"),
    ("eval", "byte 29: STACK_GLOBAL builtins.eval"),
    ("float", "byte 115: REDUCE: dtype f4"),
    ("float_5", "byte 119: REDUCE: dtype f8"),
    ("four_channels", "byte 290: BUILD: shape (5, 7, 4)"),
    ("getattr", "byte 32: STACK_GLOBAL builtins.getattr"),
    ("line", "byte 153: BUILD: shape (7)"),
    ("line_5", "byte 131: REDUCE: shape (7)"),
    ("list", "byte 11: EMPTY_LIST"),
    ("load", "byte 26: STACK_GLOBAL numpy.load"),
    (
        "masked",
        "byte 44: STACK_GLOBAL numpy.ma.core._mareconstruct",
    ),
    ("matrix", "byte 70: STACK_GLOBAL numpy.matrix"),
    ("metadata", "byte 139: EMPTY_DICT"),
    ("no_axes", "byte 144: BUILD: shape ()"),
    ("none", "byte 3: STOP"),
    ("nothing", "byte 150: BUILD: shape (0, 7, 3)"),
    ("nothing_5", "byte 126: REDUCE: shape (7, 0)"),
    ("objects", "byte 115: REDUCE: dtype O8"),
    ("one_channel", "byte 185: BUILD: shape (5, 7, 1)"),
    ("out_of_band", "byte 50: NEXT_BUFFER"),
    ("pair", "byte 260: STOP"),
    ("popen", "byte 32: STACK_GLOBAL subprocess.Popen"),
    (
        "protocol_0",
        "byte 0: must begin with PROTO and a protocol of 2 to 5",
    ),
    (
        "protocol_1",
        "byte 0: must begin with PROTO and a protocol of 2 to 5",
    ),
    (
        "scalar",
        "byte 45: STACK_GLOBAL numpy._core.multiarray.scalar",
    ),
    ("signed", "byte 115: REDUCE: dtype i1"),
    ("structured", "byte 115: REDUCE: dtype V1"),
    ("system_2", "byte 2: GLOBAL posix.system"),
    ("system_3", "byte 2: GLOBAL posix.system"),
    ("system_4", "byte 28: STACK_GLOBAL posix.system"),
    ("system_5", "byte 28: STACK_GLOBAL posix.system"),
    ("system_in_dtype", "byte 46: STACK_GLOBAL posix.system"),
    ("system_in_state", "byte 42: REDUCE: numpy.ndarray"),
    ("text", "byte 19: STOP"),
    ("too_wide", "byte 8345: BUILD: shape (1, 8193)"),
    ("two", "byte 257: nothing may follow STOP"),
];

const RULES: [&str; 8] = [
    "must be u1",
    "must begin with PROTO and a protocol of 2 to 5",
    "must be height × width or height × width × 3, each side 1 to 8192",
    "must have the arguments that numpy writes",
    "must leave an array on the stack, and nothing else",
    "not an opcode of a pickled numpy array",
    "not one of the constructors of a numpy array",
    "nothing may follow STOP",
];

#[test]
fn everything_but_pictures_is_refused_with_its_place() {
    let fixtures = fixtures("bad");
    let names = fixtures.iter().map(|(name, _)| &**name);
    assert!(names.eq(REASONS.iter().map(|&(name, _)| name)));
    for ((name, pickle), (_, reason)) in fixtures.iter().zip(REASONS) {
        let (peak, error) = peak_of(|| read_pickled_frame(pickle).map(drop).unwrap_err());
        let said = error.to_string();
        assert!(said.starts_with(reason), "{name}: {said}");
        assert!(
            RULES.iter().any(|rule| said.ends_with(rule)),
            "{name}: {said}"
        );
        assert!(peak <= 64 * 1024, "{name}: {peak}");
    }
}
