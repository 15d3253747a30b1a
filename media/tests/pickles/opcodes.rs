//! Opcodes that no pickler of arrays writes, or that lack what they take.

use playhouse_media::{PickleRule, read_pickled_frame};

use crate::allocations::peak_of;
use crate::refusing::{LITTLE, refuse, refuse_at};
use crate::writer::*;

const ARRAY_ALONE: &str = "STOP: must leave an array on the stack, and nothing else";
const CONSTRUCTOR: &str = "not one of the constructors of a numpy array";
const CUT_OFF: &str = "its argument is cut off";
const NOT_ON_STACK: &str = "takes more than is on the stack";

/// An opcode that nothing has been made for.
#[track_caller]
fn refuse_opcode(opcode: &[u8], reason: &str) {
    refuse(&proto(4), opcode, reason);
    refuse(&proto(2), &[opcode, b"."].concat(), reason);
}

#[test]
fn what_is_no_pickle_is_refused() {
    let start = "must begin with PROTO and a protocol of 2 to 5";
    for bytes in [
        &b""[..],
        b"\x80",
        b"hello",
        b"\xFF\xD8\xFF",
        b"\x80\0.",
        b"\x80\x01.",
        b"\x80\x06.",
        b"\x80\xFF.",
    ] {
        refuse_at(bytes, 0, start);
    }
    refuse_at(b"\x80\x04", 2, "cut off; must end with STOP");
    refuse_at(b"\x80\x04N", 3, "cut off; must end with STOP");
    refuse_at(b"\x80\x04\xFE", 2, "FE is no opcode");
    refuse_at(b"\x80\x04\0", 2, "00 is no opcode");
}

#[test]
fn opcodes_that_run_or_build_something_else_are_refused_by_name() {
    for (opcode, name) in [
        (&b"cos\nsystem\n"[..], "GLOBAL os.system"),
        (b"c\n\n", "GLOBAL ."),
        (b"c__builtin__\neval\n", "GLOBAL __builtin__.eval"),
        (b"cnumpy\nload\n", "GLOBAL numpy.load"),
        (b"cnumpy\r\ndtype\n", "GLOBAL numpy\\r.dtype"),
        (b"cnumpy \ndtype\n", "GLOBAL numpy .dtype"),
        (b"cNumpy\ndtype\n", "GLOBAL Numpy.dtype"),
        (b"cnumpy\xC2\x80\ndtype\n", "GLOBAL numpy\\xc2\\x80.dtype"),
        (b"cnumpy\ndtype\0\n", "GLOBAL numpy.dtype\\x00"),
        (b"cnumpy\nuint8\n", "GLOBAL numpy.uint8"),
        (
            b"cnumpy.core.multiarray\nscalar\n",
            "GLOBAL numpy.core.multiarray.scalar",
        ),
        (
            b"cnumpy.core\nmultiarray._reconstruct\n",
            "GLOBAL numpy.core.multiarray._reconstruct",
        ),
    ] {
        refuse_opcode(opcode, &format!("{name}: {CONSTRUCTOR}"));
    }
    for (opcode, name) in [
        (&b"ios\nsystem\n"[..], "INST"),
        (b"o", "OBJ"),
        (b"\x81", "NEWOBJ"),
        (b"\x92", "NEWOBJ_EX"),
        (b"\x82\x01", "EXT1"),
        (b"\x83\x01\x02", "EXT2"),
        (b"\x84\x01\x02\x03\x04", "EXT4"),
        (b"Pid\n", "PERSID"),
        (b"Q", "BINPERSID"),
        (b"\x97", "NEXT_BUFFER"),
        (b"\x98", "READONLY_BUFFER"),
        (b"]", "EMPTY_LIST"),
        (b"}", "EMPTY_DICT"),
        (b"\x8F", "EMPTY_SET"),
        (b"2", "DUP"),
        (b"0", "POP"),
        (b"1", "POP_MARK"),
        (b"\x8B\xFF\xFF\xFF\xFF", "LONG4"),
        (b"I1\n", "INT"),
        (b"L1L\n", "LONG"),
        (b"F1\n", "FLOAT"),
        (b"G\0\0\0\0\0\0\0\0", "BINFLOAT"),
        (b"S'text'\n", "STRING"),
        (b"Vtext\n", "UNICODE"),
        (b"p0\n", "PUT"),
        (b"g0\n", "GET"),
        (b"\x80\x04", "PROTO"),
    ] {
        refuse_opcode(
            opcode,
            &format!("{name}: not an opcode of a pickled numpy array"),
        );
    }
}

#[test]
fn a_name_on_the_stack_is_as_one_in_the_pickle() {
    let names = [&proto(4)[..], b"\x8C\x05posix\x8C\x06system"].concat();
    refuse(
        &names,
        b"\x93)R.",
        &format!("STACK_GLOBAL posix.system: {CONSTRUCTOR}"),
    );
    let odd = [&proto(4)[..], b"\x8C\x07a\nb\xFF\x1B[m\x8C\x01\""].concat();
    let shown = r#"STACK_GLOBAL a\nb\xff\x1b[m.\""#;
    refuse(&odd, b"\x93", &format!("{shown}: {CONSTRUCTOR}"));
    let long = vec![b'x'; 5_000_000];
    let long = [
        &proto(4)[..],
        b"X",
        &(long.len() as u32).to_le_bytes(),
        &long,
        b"\x8C\x01y",
    ]
    .concat();
    let shown = "x".repeat(80);
    refuse(
        &long,
        b"\x93",
        &format!("STACK_GLOBAL {shown}….y: {CONSTRUCTOR}"),
    );
    refuse(
        &[&proto(4)[..], b"\x8C\x05numpyK\x01"].concat(),
        b"\x93",
        "STACK_GLOBAL: must take two texts",
    );
    refuse(
        &[&proto(4)[..], b"N\x8C\x05dtype"].concat(),
        b"\x93",
        "STACK_GLOBAL: must take two texts",
    );
    refuse(
        &[&proto(4)[..], b"\x8C\x05dtype"].concat(),
        b"\x93",
        &format!("STACK_GLOBAL: {NOT_ON_STACK}"),
    );
}

#[test]
fn claims_of_length_are_not_believed() {
    for (opcode, name) in [
        (&b"C\xFFabc"[..], "SHORT_BINBYTES"),
        (b"B\xFF\xFF\xFF\xFFabc", "BINBYTES"),
        (b"B\x04\0\0\0abc", "BINBYTES"),
        (b"B\x04\0", "BINBYTES"),
        (b"\x8E\0\0\0\0\0\0\0\x80abc", "BINBYTES8"),
        (b"\x8E\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFFabc", "BINBYTES8"),
        (b"\x8E\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7Fabc", "BINBYTES8"),
        (b"\x96\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFFabc", "BYTEARRAY8"),
        (b"\x8D\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFFabc", "BINUNICODE8"),
        (b"X\xFF\xFF\xFF\xFFabc", "BINUNICODE"),
        (b"\x8C\x04abc", "SHORT_BINUNICODE"),
        (b"T\xFF\xFF\xFF\xFFabc", "BINSTRING"),
        (b"T\0\0\0\x80abc", "BINSTRING"),
        (b"U\x04abc", "SHORT_BINSTRING"),
        (b"\x8A\x04abc", "LONG1"),
        (b"\x95\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFFN.", "FRAME"),
        (b"\x95\x03\0\0\0\0\0\0\0N.", "FRAME"),
        (b"cnumpy\ndtype", "GLOBAL"),
        (b"cnumpy", "GLOBAL"),
        (b"c", "GLOBAL"),
        (b"J\0\0\0", "BININT"),
        (b"M\0", "BININT2"),
        (b"K", "BININT1"),
        (b"q", "BINPUT"),
        (b"r\0\0\0", "LONG_BINPUT"),
        (b"h", "BINGET"),
        (b"j\0\0\0", "LONG_BINGET"),
    ] {
        refuse(&proto(4), opcode, &format!("{name}: {CUT_OFF}"));
    }
}

#[test]
fn bombs_do_not_go_off() {
    let opcodes = "must have at most 256 opcodes";
    let many = |opcode: u8| vec![opcode; 4_000_000];
    // Values, marks, remembered values, and tuples in tuples in tuples.
    refuse_at(
        &[proto(4), many(b'N')].concat(),
        2 + 256,
        &format!("NONE: {opcodes}"),
    );
    refuse_at(
        &[proto(4), many(b'(')].concat(),
        2 + 256,
        &format!("MARK: {opcodes}"),
    );
    refuse_at(
        &[&proto(4)[..], b"N", &many(0x94)].concat(),
        2 + 256,
        &format!("MEMOIZE: {opcodes}"),
    );
    refuse_at(
        &[&proto(4)[..], b"N", &many(0x85)].concat(),
        2 + 256,
        &format!("TUPLE1: {opcodes}"),
    );
    refuse_at(
        &[proto(4), many(b')')].concat(),
        2 + 256,
        &format!("EMPTY_TUPLE: {opcodes}"),
    );
    let names = b"cnumpy\ndtype\n".repeat(400_000);
    refuse_at(
        &[proto(4), names].concat(),
        2 + 256 * 13,
        &format!("GLOBAL: {opcodes}"),
    );
    let frames = b"\x95\0\0\0\0\0\0\0\0".repeat(400_000);
    refuse_at(
        &[proto(4), frames].concat(),
        2 + 256 * 9,
        &format!("FRAME: {opcodes}"),
    );
    // Each tuple holds the one before twice: 2 to the power of 60 values, if one wrote them out.
    let mut doubling = [&proto(4)[..], b"Nq\0"].concat();
    for _ in 0..60 {
        doubling.extend(b"h\0\x86q\0");
    }
    refuse(&doubling, b".", ARRAY_ALONE);
    // A tuple in a tuple, as deep as it goes, where a shape is expected.
    let deep = [&b")"[..], &[0x85; 200]].concat();
    let state = state(&deep, DTYPE, FALSE, b"C\x01a");
    refuse(
        &[&proto(4), NEW_ARRAY, &state].concat(),
        b"b.",
        &format!(
            "BUILD: shape (?): {}",
            "must be height × width or height × width × 3, each side 1 to 8192"
        ),
    );
    // An array that is made time and again is turned and decoded once.
    let pixels = latin1(&vec![b'a'; 90_000]);
    let mut again = array(2, &[300, 300], true, &pixels);
    again.pop();
    again.extend(b"q\x01");
    again.extend(b"h\x01".repeat(90));
    let (peak, _) = peak_of(|| read_pickled_frame(&again).map(drop));
    assert!(peak <= LITTLE, "{peak}");
}

#[test]
fn the_stack_the_marks_and_the_memory_have_to_hold_what_is_taken() {
    for (opcode, name) in [
        (b"R", "REDUCE"),
        (b"b", "BUILD"),
        (b"\x93", "STACK_GLOBAL"),
        (b"\x85", "TUPLE1"),
        (b"\x94", "MEMOIZE"),
    ] {
        refuse(&proto(4), opcode, &format!("{name}: {NOT_ON_STACK}"));
        // What lies below a mark isn't taken.
        refuse(
            &[&proto(4)[..], b"NNN("].concat(),
            opcode,
            &format!("{name}: {NOT_ON_STACK}"),
        );
    }
    refuse(
        &[&proto(4)[..], b"NN"].concat(),
        b"\x87",
        &format!("TUPLE3: {NOT_ON_STACK}"),
    );
    refuse(
        &[&proto(4)[..], b"N(N"].concat(),
        b"\x86",
        &format!("TUPLE2: {NOT_ON_STACK}"),
    );
    refuse(&proto(4), b"q\0", &format!("BINPUT: {NOT_ON_STACK}"));
    refuse(
        &[&proto(4)[..], b"N"].concat(),
        b"t",
        "TUPLE: must follow a MARK",
    );
    refuse(
        &[&proto(4)[..], b"(t"].concat(),
        b"t",
        "TUPLE: must follow a MARK",
    );
    refuse(&proto(4), b"h\x07", "BINGET: nothing was remembered as 7");
    refuse(
        &proto(4),
        b"j\xFF\xFF\xFF\xFF",
        "LONG_BINGET: nothing was remembered as 4294967295",
    );
    refuse(
        &[&proto(4)[..], b"N\x94"].concat(),
        b"h\x01",
        "BINGET: nothing was remembered as 1",
    );
    refuse(
        &[&proto(4)[..], b"Nr\xFF\xFF\xFF\xFF"].concat(),
        b"h\xFF",
        "BINGET: nothing was remembered as 255",
    );
}

#[test]
fn the_last_of_one_number_is_remembered() {
    let shape = b"K\x01q\0K\x03q\0h\0\x87";
    let state = state(shape, DTYPE, FALSE, b"C\x09abcdefghi");
    let pickle = [&proto(4), NEW_ARRAY, &state, b"b."].concat();
    let frame = read_pickled_frame(&pickle).unwrap();
    assert_eq!((frame.height, frame.width, frame.pixels.len()), (1, 3, 9));
}

#[test]
fn only_an_array_may_be_left() {
    let good = array(4, &[1, 2], false, b"C\x02ab");
    let good = &good[2..good.len() - 1];
    refuse(&[&proto(4)[..], b"N", good].concat(), b".", ARRAY_ALONE);
    refuse(&[&proto(4)[..], good, b"N"].concat(), b".", ARRAY_ALONE);
    refuse(&[&proto(4)[..], b"(", good].concat(), b".", ARRAY_ALONE);
    refuse(&[&proto(4)[..], good, b"\x85"].concat(), b".", ARRAY_ALONE);
    refuse(&[&proto(4)[..], NEW_ARRAY].concat(), b".", ARRAY_ALONE);
    refuse(&[&proto(4)[..], DTYPE].concat(), b".", ARRAY_ALONE);
    refuse(&proto(4), b".", ARRAY_ALONE);
    refuse(
        &[&proto(4)[..], good, b"."].concat(),
        b"\0",
        "nothing may follow STOP",
    );
    refuse(
        &[&proto(4)[..], good, b"."].concat(),
        &vec![b'.'; 5_000_000],
        "nothing may follow STOP",
    );
}

#[test]
fn reasons_are_typed() {
    let error = read_pickled_frame(b"\x80\x04cos\nsystem\n)R.").unwrap_err();
    assert_eq!((error.position, error.opcode), (2, Some("GLOBAL")));
    assert_eq!(error.rule, PickleRule::Constructor("os.system".to_owned()));
}
