//! Why a live source gives nothing.

use std::time::Duration;

use thiserror::Error;

use crate::clip::ClipError;

/// Why there is no picture or sound of a live source, or none any more. Users, passwords and queries of
/// addresses are left out.
#[derive(Debug, Error)]
pub enum LiveError {
    /// The file can't be opened.
    #[error(transparent)]
    File(#[from] ClipError),
    /// Not one of the containers in which sound is read, or too damaged to be recognised.
    #[error(
        "{address}: isn't a container of sound (WAV, FLAC, MP3, Ogg, AAC, MP4, Matroska, …): {reason}"
    )]
    NotSound { address: String, reason: String },
    /// Not a way to reach a source over the network.
    #[error("{scheme}:// can't be read; must be one of {known}")]
    Scheme { scheme: String, known: String },
    /// A device that isn't named fully.
    #[error("{address}: a device is named device:FORMAT:NAME")]
    DeviceName { address: String },
    /// FFmpeg has no such format, or it isn't one that captures pictures, or sound where that is asked for.
    #[error("{address}: FFmpeg has no capture devices of this format")]
    DeviceFormat { address: String },
    /// The source can't be opened: nobody there, refused, not a known format, …
    #[error("{address}: can't be opened: {reason}")]
    Unopened { address: String, reason: String },
    /// Sound alone, or nothing.
    #[error("{address}: has no video stream")]
    NoVideo { address: String },
    /// Pictures alone, or nothing.
    #[error("{address}: has no audio stream")]
    NoSound { address: String },
    /// There is no decoder.
    #[error("{address}: can't be decoded: {reason}")]
    Undecodable { address: String, reason: String },
    /// The file has been read through, and nothing in it was a picture.
    #[error("{address}: gave no picture from beginning to end")]
    NoPicture { address: String },
    /// The file has been read through, and there was not enough sound in it to be played in a loop.
    #[error("{address}: gave less than {least:?} of sound from beginning to end")]
    TooShort { address: String, least: Duration },
    /// The source has come to its end.
    #[error("{address}: has ended")]
    Ended { address: String },
    /// Too many errors in a row.
    #[error("{address}: broken off: {reason}")]
    Broken { address: String, reason: String },
    /// Nothing came for so long.
    #[error("{address}: sent nothing for {patience:?}")]
    Silent { address: String, patience: Duration },
    /// The caller's `stop` was set.
    #[error("stopped")]
    Stopped,
}
