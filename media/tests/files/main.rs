//! The crate on real files, made by the `ffmpeg` command for the purpose.

mod catalogue;
mod common;
mod decoding;
mod jpegs;
mod probing;
