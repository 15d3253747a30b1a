//! What the opcodes of a pickled array make and take.

use super::pixels::Pixels;

/// What lies on the stack. Nothing in it owns anything: copies are cheap and never deep.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// Also a buffer of protocol 5.
    Bytes(&'a [u8]),
    Text(Text<'a>),
    /// A string of Python 2, which is bytes or text as one likes.
    String(&'a [u8]),
    /// A text as bytes, one for each character.
    Latin1(Text<'a>),
    Tuple(Tuple),
    Name(Name),
    /// `uint8`, the only one there is.
    Dtype,
    /// An array that has yet to get its state.
    NewArray,
    Array(Pixels<'a>),
}

/// UTF-8, as the pickle claims.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// Offset in the pickle.
    pub position: usize,
    pub bytes: &'a [u8],
}

/// A range of the [`Tuples`].
#[derive(Debug, Clone, Copy)]
pub struct Tuple {
    start: usize,
    end: usize,
}

/// The items of all tuples.
#[derive(Debug, Default)]
pub struct Tuples<'a>(Vec<Value<'a>>);

/// The names that a pickled array has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    Reconstruct,
    FromBuffer,
    NdArray,
    Dtype,
    Encode,
}

impl<'a> Value<'a> {
    pub fn text(self) -> Option<&'a [u8]> {
        match self {
            Value::Text(text) => Some(text.bytes),
            Value::String(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Early numpy writes 0 and 1 for some.
    pub fn flag(self) -> Option<bool> {
        match self {
            Value::Bool(flag) => Some(flag),
            Value::Int(0) => Some(false),
            Value::Int(1) => Some(true),
            _ => None,
        }
    }
}

impl<'a> Tuples<'a> {
    pub fn add(&mut self, items: impl Iterator<Item = Value<'a>>) -> Tuple {
        let start = self.0.len();
        self.0.extend(items);
        let end = self.0.len();
        Tuple { start, end }
    }

    pub fn items(&self, tuple: Tuple) -> &[Value<'a>] {
        self.0.get(tuple.start..tuple.end).unwrap_or_default()
    }
}

impl Name {
    /// The name of a module's attribute. numpy 2 has moved what numpy 1 had in `numpy.core`.
    pub fn find(module: &[u8], attribute: &[u8]) -> Option<Name> {
        match (module, attribute) {
            (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"_reconstruct") => {
                Some(Name::Reconstruct)
            }
            (b"numpy.core.numeric" | b"numpy._core.numeric", b"_frombuffer") => {
                Some(Name::FromBuffer)
            }
            (b"numpy", b"ndarray") => Some(Name::NdArray),
            (b"numpy", b"dtype") => Some(Name::Dtype),
            (b"_codecs", b"encode") => Some(Name::Encode),
            _ => None,
        }
    }

    pub fn text(self) -> &'static str {
        match self {
            Name::Reconstruct => "_reconstruct",
            Name::FromBuffer => "_frombuffer",
            Name::NdArray => "numpy.ndarray",
            Name::Dtype => "numpy.dtype",
            Name::Encode => "_codecs.encode",
        }
    }
}
