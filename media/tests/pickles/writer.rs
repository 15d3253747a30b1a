//! Pickles as numpy writes them, from their opcodes, with any part replaced.

/// How the pixels are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// As text, for `_codecs.encode`.
    Latin1,
    /// As a string of Python 2.
    String,
    Bytes,
    Bytes8,
}

/// u1, False, True: a dtype without its state.
pub const DTYPE: &[u8] = b"cnumpy\ndtype\nX\x02\0\0\0u1\x89\x88\x87R";
pub const DTYPE_STATE: &[u8] = b"(K\x03X\x01\0\0\0|NNNJ\xFF\xFF\xFF\xFFJ\xFF\xFF\xFF\xFFK\0tb";
pub const NEW_ARRAY: &[u8] =
    b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87R";
pub const FROM_BUFFER: &[u8] = b"\x8C\x13numpy._core.numeric\x8C\x0B_frombuffer\x93";
pub const FALSE: &[u8] = b"\x89";
pub const TRUE: &[u8] = b"\x88";

pub fn proto(protocol: u8) -> Vec<u8> {
    vec![0x80, protocol]
}

/// The shortest opcode that numpy's pickler has for it.
pub fn int(n: i32) -> Vec<u8> {
    match (u8::try_from(n), u16::try_from(n)) {
        (Ok(n), _) => vec![b'K', n],
        (_, Ok(n)) => [b"M", &n.to_le_bytes()[..]].concat(),
        _ => [b"J", &n.to_le_bytes()[..]].concat(),
    }
}

pub fn tuple(sides: &[usize]) -> Vec<u8> {
    let items: Vec<_> = sides.iter().flat_map(|&side| int(side as i32)).collect();
    match sides.len() {
        n @ 1..=3 => [&items[..], &[0x84 + n as u8]].concat(),
        _ => [b"(", &items[..], b"t"].concat(),
    }
}

pub fn data(bytes: &[u8], kind: Data) -> Vec<u8> {
    let length = (bytes.len() as u32).to_le_bytes();
    match kind {
        Data::Latin1 => {
            let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
            latin1(text.as_bytes())
        }
        Data::String => [b"T", &length[..], bytes].concat(),
        Data::Bytes => [b"B", &length[..], bytes].concat(),
        Data::Bytes8 => buffer(bytes, 0x8E),
    }
}

/// A text, well-formed or not, to be encoded.
pub fn latin1(text: &[u8]) -> Vec<u8> {
    let length = (text.len() as u32).to_le_bytes();
    let encoding = b"X\x06\0\0\0latin1\x86R";
    [b"c_codecs\nencode\nX", &length[..], text, encoding].concat()
}

/// Bytes with a length of 8.
pub fn buffer(bytes: &[u8], opcode: u8) -> Vec<u8> {
    [&[opcode], &(bytes.len() as u64).to_le_bytes()[..], bytes].concat()
}

/// From MARK to the end of the state's tuple.
pub fn state(shape: &[u8], dtype: &[u8], fortran: &[u8], data: &[u8]) -> Vec<u8> {
    [b"(K\x01", shape, dtype, fortran, data, b"t"].concat()
}

/// A whole pickle of protocols 2 to 4.
pub fn array(protocol: u8, shape: &[usize], fortran: bool, data: &[u8]) -> Vec<u8> {
    let dtype = [DTYPE, DTYPE_STATE].concat();
    let fortran = if fortran { TRUE } else { FALSE };
    let state = state(&tuple(shape), &dtype, fortran, data);
    [&proto(protocol), NEW_ARRAY, &state, b"b."].concat()
}

/// A whole pickle of protocol 5; the order has what follows it.
pub fn from_buffer(shape: &[usize], order: &[u8], bytes: &[u8]) -> Vec<u8> {
    let dtype = [DTYPE, DTYPE_STATE].concat();
    let (buffer, shape) = (buffer(bytes, 0x96), tuple(shape));
    let arguments = [&buffer, &dtype, &shape[..], order].concat();
    [&proto(5), FROM_BUFFER, b"(", &arguments, b"tR."].concat()
}
