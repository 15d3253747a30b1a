//! Sound from files written here or made by the `ffmpeg` command, from the network and from devices.

mod broken;
mod codecs;
mod common;
mod network;
mod pcm;
mod sources;
#[path = "../support/mod.rs"]
mod support;
mod tone;
