//! Video files: finding and probing them, decoding exactly the frames they promise, making JPEGs of
//! those, and deciding which quality serves which frame.
//!
//! A frame's way through this crate: [`Catalogue`] finds the files and probes each into a [`Clip`] →
//! [`Plan`] says which quality serves which frames of a [`Video`] → [`ClipDecoder`] turns a clip into
//! [`Picture`]s → [`JpegEncoder`] turns a picture into bytes → [`FrameCache`] keeps what fits.
//!
//! Files are material from outside: whatever they hold, the answer is a frame, a warning or a typed
//! error. This is the only crate that links FFmpeg and libjpeg-turbo; it knows no actors, no sockets and
//! no clocks.

mod av;
mod cache;
mod catalogue;
mod clip;
mod decode;
mod jpeg;
mod name;
mod plan;

pub use cache::{CacheUsage, FrameCache};
pub use catalogue::{Catalogue, Reject, Video, Warning};
pub use clip::{Clip, ClipError, MAX_FRAMES, MAX_SIDE};
pub use decode::{ClipDecoder, Picture};
pub use jpeg::{JpegEncoder, JpegError};
pub use name::{ClipName, Quality};
pub use plan::{Plan, Segment};

/// Silences FFmpeg's own log, which would write to standard error about every odd byte of a file. Call it
/// once, before anything else of this crate; calling it again does no harm.
pub fn init() {
    av::silence();
}
