//! The few FFmpeg objects that the rest of the crate needs, each with an owner that frees it. All calls
//! into FFmpeg's libraries are in here; what comes out is plain numbers, bytes and [`Frame`]s.

mod decoder;
mod encoder;
mod frame;
mod input;
mod interrupt;
mod live;
mod output;
mod packet;
mod resampler;
mod scaler;

use std::ffi::{CStr, CString, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::{fmt, io, ptr};

use ffmpeg_next::ffi::{self, AVERROR};

pub(crate) use decoder::{Decoded, Decoder};
pub(crate) use encoder::{Encoder, PIXELS};
pub(crate) use frame::Frame;
pub(crate) use input::{Input, Read, SoundFacts, StreamFacts};
pub(crate) use interrupt::Interrupt;
pub(crate) use live::Medium;
pub(crate) use output::Output;
pub(crate) use packet::Packet;
pub(crate) use resampler::{Resampler, SoundShape};
pub(crate) use scaler::{Layout, Scaler};

/// 8192 × 8192, as text for an option.
const MAX_PIXELS: &CStr = c"67108864";
/// Samples of a frame, for each channel. The longest frames of real files have some 200,000.
const MAX_SAMPLES: &CStr = c"262144";
/// FFmpeg's own codes are four letters; the system's are small numbers.
const MAX_ERRNO: i32 = 4095;
/// FFmpeg's descriptions are shorter.
const DESCRIPTION: usize = 128;

pub(crate) fn silence() {
    // SAFETY: sets one global integer, no pointer involved.
    unsafe { ffi::av_log_set_level(ffi::AV_LOG_QUIET) }
}

/// FFmpeg's error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AvError(i32);

impl AvError {
    const NO_MEMORY: AvError = AvError(AVERROR(ffi::ENOMEM));
    const INVALID: AvError = AvError(AVERROR(ffi::EINVAL));

    /// The operating system's error, if it refused rather than the content.
    pub fn io(self) -> Option<io::Error> {
        let io = [ffi::ENOENT, ffi::EACCES, ffi::EIO, ffi::EPERM, ffi::ENOMEM]
            .map(AVERROR)
            .contains(&self.0);
        io.then(|| io::Error::from_raw_os_error(-self.0))
    }

    /// As an error of a file that FFmpeg writes: the operating system's, where it is one.
    pub fn into_io(self) -> io::Error {
        if (-MAX_ERRNO..0).contains(&self.0) {
            io::Error::from_raw_os_error(-self.0)
        } else {
            io::Error::other(self.to_string())
        }
    }
}

impl fmt::Display for AvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text: [c_char; DESCRIPTION] = [0; DESCRIPTION];
        // SAFETY: writes at most so many bytes, the last of them a zero, for every code.
        let text = unsafe {
            ffi::av_strerror(self.0, text.as_mut_ptr(), text.len());
            CStr::from_ptr(text.as_ptr())
        };
        f.write_str(&text.to_string_lossy())
    }
}

fn check(code: i32) -> Result<i32, AvError> {
    if code < 0 {
        Err(AvError(code))
    } else {
        Ok(code)
    }
}

fn known(timestamp: i64) -> Option<i64> {
    (timestamp != ffi::AV_NOPTS_VALUE).then_some(timestamp)
}

/// A path as FFmpeg takes it. Without the prefix a name with a colon in it would be taken for a protocol.
fn file_url(path: &Path) -> Result<CString, AvError> {
    let mut url = b"file:".to_vec();
    url.extend_from_slice(path.as_os_str().as_bytes());
    CString::new(url).map_err(|_| AvError::INVALID)
}

/// Options for a call; freed afterwards with what the call left in it.
struct Options(*mut ffi::AVDictionary);

impl Options {
    fn new() -> Options {
        Options(ptr::null_mut())
    }

    fn set(&mut self, key: &CStr, value: &CStr) -> Result<(), AvError> {
        // SAFETY: both strings end in a zero and are copied.
        check(unsafe { ffi::av_dict_set(&mut self.0, key.as_ptr(), value.as_ptr(), 0) }).map(drop)
    }

    /// For a decoder: what a file claims of its frames must not allocate gigabytes.
    fn limit_frames(&mut self) -> Result<(), AvError> {
        self.set(c"max_pixels", MAX_PIXELS)?;
        self.set(c"max_samples", MAX_SAMPLES)
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: null or a dictionary that is ours.
        unsafe { ffi::av_dict_free(&mut self.0) }
    }
}
