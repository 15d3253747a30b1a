//! Sound from files written here or made by the `ffmpeg` command, from the network and from devices.

mod broken;
mod codecs;
mod common;
mod network;
mod pcm;
mod sources;
mod tone;
