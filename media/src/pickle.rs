//! Pictures out of pickled numpy arrays: the frames of cameras that speak Python.
//!
//! A pickle is a program for a stack machine that looks up names and calls them. Here it is read as data: the
//! few names that a pickled array has are known as constants, and nothing is ever looked up, imported or
//! called. Every opcode, name and argument that numpy doesn't write is refused, with its place.
//!
//! A grey picture of 1 × 2 pixels in protocol 3, without the opcodes that remember what was made (`q`):
//!
//! ```text
//! 80 03                                          PROTO 3
//! c "numpy.core.multiarray\n" "_reconstruct\n"   GLOBAL: a constructor
//! c "numpy\n" "ndarray\n"                        GLOBAL: what it is to make
//! K 00  85                                       BININT1 0, TUPLE1: (0,)
//! C 01 "b"  87                                   SHORT_BINBYTES, TUPLE3: the arguments
//! R                                              REDUCE: a new array
//! (                                              MARK: its state begins
//! K 01                                           its version
//! K 01  K 02  86                                 TUPLE2: the shape, (1, 2)
//! c "numpy\n" "dtype\n"                          GLOBAL
//! X 02 00 00 00 "u1"  89  88  87  R              BINUNICODE, False, True, TUPLE3, REDUCE: a dtype
//! (                                              MARK: its state
//! K 03  X 01 00 00 00 "|"  N  N  N               version 3, byte order, no parts
//! J FF FF FF FF  J FF FF FF FF  K 00             BININT -1: size and alignment are the usual ones; no flags
//! t  b                                           TUPLE, BUILD
//! 89                                             NEWFALSE: not in Fortran's order
//! C 02 <two pixels>                              SHORT_BINBYTES
//! t  b  .                                        TUPLE, BUILD, STOP
//! ```
//!
//! Protocol 2 has no bytes: pixels are a text of the first 256 characters, to be encoded as Latin-1. Protocol 4
//! adds frames (`FRAME`), which say how much to read at once; protocol 5 has another constructor, which takes
//! the pixels as a buffer first.

mod array;
mod error;
mod lexer;
mod machine;
mod opcode;
mod pixels;
mod value;

use std::borrow::Cow;

pub use error::{PickleError, PickleRule};

use machine::Machine;

/// A picture out of a pickled numpy array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PickledFrame<'a> {
    /// In pixels, 1 to [`MAX_SIDE`](crate::MAX_SIDE).
    pub width: u32,
    /// In pixels, 1 to [`MAX_SIDE`](crate::MAX_SIDE).
    pub height: u32,
    /// What each pixel has.
    pub channels: Channels,
    /// `height` rows of `width` pixels of one byte for each channel, without gaps. Borrowed where they lie so
    /// in the pickle; owned where they were turned, or decoded from text.
    pub pixels: Cow<'a, [u8]>,
}

/// The bytes of a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// One: its brightness.
    Grey,
    /// Three: blue, green and red.
    Bgr,
}

impl Channels {
    /// Bytes that a pixel has.
    pub fn count(self) -> usize {
        match self {
            Channels::Grey => 1,
            Channels::Bgr => 3,
        }
    }
}

impl PickledFrame<'_> {
    /// Bytes that its pixels must have; none if they can't be counted.
    pub(crate) fn size(&self) -> Option<usize> {
        let side = |side: u32| usize::try_from(side).ok();
        side(self.width)?
            .checked_mul(side(self.height)?)?
            .checked_mul(self.channels.count())
    }
}

/// Reads a pickle, protocol 2 to 5, of one array of bytes (`uint8`), height × width × 3 (blue, green, red) or
/// height × width (grey), as numpy 1.16 and later write it. Takes time in proportion to its length, and no
/// more memory than its length and a few kilobytes.
///
/// # Errors
/// The first rule that is broken, and where.
pub fn read_pickled_frame(pickle: &[u8]) -> Result<PickledFrame<'_>, PickleError> {
    Machine::run(pickle)?.into_frame()
}
