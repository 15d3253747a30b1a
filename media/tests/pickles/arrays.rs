//! Arrays that numpy doesn't write, or that are no pictures.

use playhouse_media::read_pickled_frame;

use crate::refusing::{refuse, refuse_at};
use crate::writer::*;

const NO_STATE: &str = "must have the state that numpy writes";
const NO_ARGUMENTS: &str = "must have the arguments that numpy writes";
const DTYPE_NAME: &[u8] = b"cnumpy\ndtype\n";

#[test]
fn calls_have_numpys_arguments() {
    let call = |parts: &[&[u8]]| [&proto(4), &parts.concat()[..]].concat();
    let wrong = |name: &str| format!("REDUCE: {name} {NO_ARGUMENTS}");
    let encode = b"c_codecs\nencode\n";
    let reconstruct = b"cnumpy.core.multiarray\n_reconstruct\n";
    let ndarray = b"cnumpy\nndarray\n";
    for (before, name) in [
        (call(&[DTYPE_NAME, b"X\x02\0\0\0u1\x85"]), "numpy.dtype"),
        (
            call(&[DTYPE_NAME, b"X\x02\0\0\0u1\x88\x88\x87"]),
            "numpy.dtype",
        ),
        (
            call(&[DTYPE_NAME, b"X\x02\0\0\0u1K\x02\x88\x87"]),
            "numpy.dtype",
        ),
        (call(&[DTYPE_NAME, b"C\x02u1\x89\x88\x87"]), "numpy.dtype"),
        (call(&[ndarray, b"K\x01\x85"]), "numpy.ndarray"),
        (call(&[ndarray, b")"]), "numpy.ndarray"),
        (
            call(&[encode, b"X\x01\0\0\0aX\x05\0\0\0utf-8\x86"]),
            "_codecs.encode",
        ),
        (
            call(&[encode, b"X\x01\0\0\0aX\x06\0\0\0zlib_c\x86"]),
            "_codecs.encode",
        ),
        (call(&[encode, b"X\x01\0\0\0a\x85"]), "_codecs.encode"),
        (
            call(&[encode, b"C\x01aX\x06\0\0\0latin1\x86"]),
            "_codecs.encode",
        ),
        (
            call(&[reconstruct, ndarray, b"K\0\x85C\x01c\x87"]),
            "_reconstruct",
        ),
        (
            call(&[reconstruct, ndarray, b"K\x01\x85C\x01b\x87"]),
            "_reconstruct",
        ),
        (
            call(&[reconstruct, ndarray, b")C\x01b\x87"]),
            "_reconstruct",
        ),
        (
            call(&[reconstruct, ndarray, b"K\0\x85N\x87"]),
            "_reconstruct",
        ),
        (
            call(&[reconstruct, DTYPE_NAME, b"K\0\x85C\x01b\x87"]),
            "_reconstruct",
        ),
        (
            call(&[reconstruct, encode, b"K\0\x85C\x01b\x87"]),
            "_reconstruct",
        ),
        (call(&[FROM_BUFFER, b")"]), "_frombuffer"),
        (
            call(&[FROM_BUFFER, b"(C\x01a", DTYPE, b"K\x01K\x01\x86Nt"]),
            "_frombuffer",
        ),
        (
            call(&[FROM_BUFFER, b"(C\x01aNK\x01K\x01\x86\x8C\x01Ct"]),
            "_frombuffer",
        ),
        (
            call(&[
                FROM_BUFFER,
                b"(\x8C\x01a",
                DTYPE,
                b"K\x01K\x01\x86\x8C\x01Ct",
            ]),
            "_frombuffer",
        ),
        (
            call(&[FROM_BUFFER, b"(C\x01a", DTYPE, b"K\x01K\x01\x86\x8C\x01KNt"]),
            "_frombuffer",
        ),
    ] {
        refuse(&before, b"R.", &wrong(name));
    }
    let no_call = "REDUCE: must call a constructor, with a tuple";
    refuse(&call(&[b"\x8C\x09os.system)"]), b"R", no_call);
    refuse(&call(&[DTYPE_NAME, b"N"]), b"R", no_call);
    refuse(&call(&[DTYPE, b")"]), b"R", no_call);
    refuse(&call(&[b"))"]), b"R", no_call);
}

#[test]
fn only_dtypes_of_bytes_are_taken() {
    for name in [
        "f4", "u2", ">u2", "i1", "b1", "O8", "V4", "S1", "U1", "", "u1,u1", "u1 ", "U1",
    ] {
        let before = [
            &proto(4)[..],
            DTYPE_NAME,
            &[0x8C, name.len() as u8],
            name.as_bytes(),
            b"\x89\x88\x87",
        ];
        refuse(
            &before.concat(),
            b"R",
            &format!("REDUCE: dtype {name}: must be u1"),
        );
    }
    let wrong = format!("BUILD: numpy.dtype {NO_STATE}");
    for state in [
        &b")"[..],
        b"(K\x03\x8C\x01>NNNJ\xFF\xFF\xFF\xFFJ\xFF\xFF\xFF\xFFK\0t",
        b"(K\x04\x8C\x01|NNNJ\xFF\xFF\xFF\xFFJ\xFF\xFF\xFF\xFFK\0t",
        b"(K\x03\x8C\x01|NNNK\x02J\xFF\xFF\xFF\xFFK\0t",
        b"(K\x03\x8C\x01|NNNJ\xFF\xFF\xFF\xFFJ\xFF\xFF\xFF\xFFK?t",
        b"(K\x03\x8C\x01|)NNJ\xFF\xFF\xFF\xFFJ\xFF\xFF\xFF\xFFK\0t",
        b"(K\x03\x8C\x01|NNNJ\xFF\xFF\xFF\xFFJ\xFF\xFF\xFF\xFFK\0Nt",
        b"(K\x03\x8C\x01|NNNJ\xFF\xFF\xFF\xFFJ\xFF\xFF\xFF\xFFt",
    ] {
        refuse(&[&proto(4)[..], DTYPE, state].concat(), b"b", &wrong);
    }
}

#[test]
fn states_are_numpys() {
    let shape = &tuple(&[1, 2])[..];
    let wrong = format!("BUILD: numpy.ndarray {NO_STATE}");
    for state in [
        b")".to_vec(),
        state(shape, DTYPE, b"N", b"C\x02ab"),
        state(shape, DTYPE, b"K\0", b"C\x02ab"),
        state(shape, b"N", FALSE, b"C\x02ab"),
        state(shape, DTYPE_NAME, FALSE, b"C\x02ab"),
        state(shape, DTYPE, FALSE, b"N"),
        state(shape, DTYPE, FALSE, b"\x8C\x02ab"),
        state(shape, DTYPE, FALSE, DTYPE),
        state(b"K\x02", DTYPE, FALSE, b"C\x02ab"),
        [b"(K\x02", shape, DTYPE, FALSE, b"C\x02abt"].concat(),
        [b"(", shape, DTYPE, FALSE, b"C\x02abt"].concat(),
        [b"(K\x01", shape, DTYPE, FALSE, b"C\x02abNt"].concat(),
    ] {
        refuse(&[&proto(4), NEW_ARRAY, &state].concat(), b"b", &wrong);
    }
    let no_target = "BUILD: must complete a new array or a dtype, with a tuple";
    refuse(&[&proto(4), NEW_ARRAY, b"N"].concat(), b"b", no_target);
    refuse(&[&proto(4)[..], b"N)"].concat(), b"b", no_target);
    refuse(&[&proto(4)[..], b"))"].concat(), b"b", no_target);
    refuse(&[&proto(4)[..], DTYPE_NAME, b")"].concat(), b"b", no_target);
    let mut twice = array(4, &[1, 2], false, b"C\x02ab");
    twice.pop();
    twice.extend(state(shape, DTYPE, FALSE, b"C\x02cd"));
    refuse(&twice, b"b", no_target);
}

#[test]
fn shapes_are_those_of_pictures() {
    let sides = "must be height × width or height × width × 3, each side 1 to 8192";
    for (shape, shown) in [
        (&b")"[..], ""),
        (b"K\x02\x85", "2"),
        (b"(K\x01K\x01K\x01K\x03t", "1, 1, 1, 3"),
        (b"(K\x01K\x01K\x01K\x03K\x01K\x01t", "1, 1, 1, 3, …"),
        (b"K\0K\x02\x86", "0, 2"),
        (b"K\x01K\x02K\x01\x87", "1, 2, 1"),
        (b"K\x01K\x02K\x04\x87", "1, 2, 4"),
        (b"J\xFF\xFF\xFF\xFFJ\xFE\xFF\xFF\xFF\x86", "-1, -2"),
        (b"K\x01J\xFE\xFF\xFF\xFF\x86", "1, -2"),
        (b"K\x01M\x01 \x86", "1, 8193"),
        (b"M\x01 K\x01\x86", "8193, 1"),
        (
            b"J\xFF\xFF\xFF\x7FJ\xFF\xFF\xFF\x7FJ\xFF\xFF\xFF\x7F\x87",
            "2147483647, 2147483647, 2147483647",
        ),
        (b"\x8A\x08\0\0\0\0\x01\0\0\0K\x02\x86", "4294967296, 2"),
        (
            b"\x8A\x08\0\0\0\0\0\0\0\x80K\x02\x86",
            "-9223372036854775808, 2",
        ),
        (
            b"\x8A\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F\x8A\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F\x86",
            "9223372036854775807, 9223372036854775807",
        ),
        (b"\x8A\x01\xFFK\x02\x86", "-1, 2"),
        (b"\x8A\0K\x02\x86", "0, 2"),
        (b"\x88K\x02\x86", "?, 2"),
        (b"NK\x02\x86", "?, 2"),
        (b"C\x01\x01K\x02\x86", "?, 2"),
        (b"K\x01K\x02K\x03\x87\x85", "?"),
    ] {
        let reason = format!("shape ({shown}): {sides}");
        let state = state(shape, DTYPE, FALSE, b"C\x02ab");
        refuse(
            &[&proto(4), NEW_ARRAY, &state].concat(),
            b"b",
            &format!("BUILD: {reason}"),
        );
        let arguments = [b"(C\x02ab", DTYPE, shape, b"\x8C\x01Ct"].concat();
        refuse(
            &[&proto(5), FROM_BUFFER, &arguments].concat(),
            b"R",
            &format!("REDUCE: {reason}"),
        );
    }
    let number = "LONG1: must be a number of at most 8 bytes";
    refuse(&proto(4), b"\x8A\x09\0\0\0\0\0\0\0\0\0", number);
    refuse(
        &proto(4),
        &[&b"\x8A\xFF"[..], &[0xFF; 255]].concat(),
        number,
    );
}

#[test]
fn orders_are_numpys() {
    let order = "REDUCE: the order must be C, F, or K with each axis once";
    for text in [
        &b"\x8C\x01A"[..],
        b"\x8C\0",
        b"\x8C\x01K",
        b"\x8C\x01CK\0K\x01\x86",
        b"\x8C\x01FK\x01K\0\x86",
        b"\x8C\x01KK\0\x85",
        b"\x8C\x01KK\0K\0\x86",
        b"\x8C\x01KK\0K\x02\x86",
        b"\x8C\x01KK\x01K\x02\x86",
        b"\x8C\x01KK\0K\x01K\x02\x87",
        b"\x8C\x01KK\0K\x03\x86",
        b"\x8C\x01KK\0J\xFF\xFF\xFF\xFF\x86",
        b"\x8C\x01KK\0N\x86",
    ] {
        let pickle = from_buffer(&[1, 2], text, b"ab");
        refuse_at(&pickle, pickle.len() - 2, order);
    }
}

#[test]
fn pixels_are_as_many_as_the_shape_says() {
    let pickle = |shape: &[usize], data: &[u8]| {
        let pickle = array(4, shape, false, data);
        (pickle.len() - 2, pickle)
    };
    for (shape, bytes, expected) in [
        (&[2, 2][..], &b"C\x03abc"[..], "4 bytes of pixels, not 3"),
        (&[2, 2], b"C\x05abcde", "4 bytes of pixels, not 5"),
        (&[2, 2, 3], b"C\x04abcd", "12 bytes of pixels, not 4"),
        (&[2, 2, 3], b"C\0", "12 bytes of pixels, not 0"),
        (
            &[8192, 8192, 3],
            b"C\x04abcd",
            "201326592 bytes of pixels, not 4",
        ),
    ] {
        let (end, pickle) = pickle(shape, bytes);
        refuse_at(&pickle, end, &format!("BUILD: must have {expected}"));
    }
    for text in [&b"abc"[..], "äöüßé".as_bytes(), b""] {
        let (end, pickle) = pickle(&[2, 2], &latin1(text));
        refuse_at(&pickle, end, "BUILD: must have 4 characters of pixels");
    }
    let (end, pickle) = pickle(&[8192, 8192, 3], &latin1(b"abcd"));
    refuse_at(
        &pickle,
        end,
        "BUILD: must have 201326592 characters of pixels",
    );
}

#[test]
fn text_is_as_many_characters_of_latin1() {
    // Where the text starts: it is the last but a few opcodes.
    let at = |text: &[u8], offset: usize, reason: &str| {
        for fortran in [false, true] {
            let data = latin1(text);
            let pickle = array(2, &[2, 3], fortran, &data);
            let start = pickle
                .windows(data.len())
                .position(|window| window == data)
                .unwrap();
            refuse_at(
                &pickle,
                start + "c_codecs\nencode\nX".len() + 4 + offset,
                reason,
            );
        }
    };
    let character = "must be a character of Latin-1 in UTF-8";
    at(b"abc\xFFef", 3, character);
    at(b"abc\x80def", 3, character);
    at(b"abc\xC3def", 4, character);
    at(b"abc\xC3\xC3\xA9de", 4, character);
    at(b"abc\xC4\x80de", 3, character);
    at(b"abc\xC0\x80de", 3, character);
    at(b"abc\xC1\xBFde", 3, character);
    at("abc€de".as_bytes(), 3, character);
    at("abc😀de".as_bytes(), 3, character);
    at(b"abc\xED\xA0\x80", 3, character);
    at(b"\xFF\xFF\xFF\xFF\xFF\xFF", 0, character);
    let few = "must have 6 characters of pixels";
    at("äbcde".as_bytes(), 6, few);
    at(b"abcde\xC3", 6, few);
    at(b"abcdef\xC3", 6, few);
    at(b"abcdefg", 6, few);
    at("äbcdefg".as_bytes(), 7, few);
}

#[test]
fn good_ones_of_this_writer_are_read() {
    for pickle in [
        array(4, &[1, 2], false, b"C\x02ab"),
        array(2, &[1, 2], true, &latin1(b"ab")),
        from_buffer(&[1, 2], b"\x8C\x01C", b"ab"),
        from_buffer(&[2, 1], b"\x8C\x01KK\x01K\0\x86", b"ab"),
    ] {
        let frame = read_pickled_frame(&pickle).unwrap();
        assert_eq!(
            (frame.height, frame.width, &*frame.pixels),
            (1, 2, &b"ab"[..])
        );
    }
}
