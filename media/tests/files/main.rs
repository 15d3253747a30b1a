//! The crate on real files, made by the `ffmpeg` command for the purpose.

mod bad_heads;
mod bad_movies;
mod catalogue;
mod common;
mod decoding;
mod heads;
mod jpegs;
mod live;
mod movies;
mod network;
mod probing;
#[path = "../support/mod.rs"]
mod support;
