//! Pictures from video files and live sources, and to JPEGs and films: finding and probing files, decoding
//! exactly the frames they promise, making JPEGs of those, deciding which quality serves which frame, reading
//! what is live, and recording it.
//!
//! A frame's way through this crate: [`Catalogue`] finds the files and probes each into a [`Clip`] →
//! [`Plan`] says which quality serves which frames of a [`Video`] → [`ClipDecoder`] turns a clip into
//! [`Picture`]s → [`JpegEncoder`] turns a picture into bytes → [`FrameCache`] keeps what fits.
//!
//! A live picture's way: [`LiveInput`] reads it from a file, a camera or the network, as a JPEG or as a
//! [`Picture`] for [`JpegEncoder`]; [`inspect_jpeg`] checks one that came otherwise → [`MovieWriter`] records
//! it.
//!
//! Sound's way: [`AudioInput`] makes one row of samples of whatever it reads, live or not; [`Tone`] is there
//! when nothing else is.
//!
//! Files, streams and JPEGs are material from outside: whatever they hold, the answer is a frame, a warning
//! or a typed error. This is the only crate that links FFmpeg and libjpeg-turbo; it knows no actors, and no
//! sockets but those that FFmpeg opens for a [`LiveInput`] or an [`AudioInput`].

mod audio_input;
mod av;
mod cache;
mod catalogue;
mod clip;
mod decode;
mod jpeg;
mod jpeg_decode;
mod jpeg_head;
mod jpeg_tables;
mod live_address;
mod live_error;
mod live_feed;
mod live_input;
mod movie;
mod name;
mod pace;
mod pickle;
mod plan;
mod timeline;
mod tone;
mod turbo;

pub use audio_input::{AudioInput, SAMPLE_RATE};
pub use cache::{CacheUsage, FrameCache};
pub use catalogue::{Catalogue, Reject, Video, Warning};
pub use clip::{Clip, ClipError, MAX_FRAMES, MAX_SIDE};
pub use decode::{ClipDecoder, Picture};
pub use jpeg::{JpegEncoder, JpegError};
pub use jpeg_head::{JpegRule, JpegShape, NotJpeg, inspect_jpeg};
pub use live_address::{check_live_address, hide_secrets};
pub use live_error::LiveError;
pub use live_input::{LiveImage, LiveInput, LivePicture};
pub use movie::{MAX_MOVIE, MovieError, MovieWriter, PictureError};
pub use name::{ClipName, Quality};
pub use pickle::{Channels, PickleError, PickleRule, PickledFrame, read_pickled_frame};
pub use plan::{Plan, Segment};
pub use tone::Tone;

/// Silences FFmpeg's own log, which would write to standard error about every odd byte of a file. Call it
/// once, before anything else of this crate; calling it again does no harm.
pub fn init() {
    av::silence();
}
