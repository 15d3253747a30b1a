//! A picture or a piece of sound in memory.

use std::ptr;

use ffmpeg_next::ffi;

use super::known;

/// A decoded picture, or some samples of sound, in a buffer of the decoder's pool, which gets it back when
/// this is dropped.
pub(crate) struct Frame(*mut ffi::AVFrame);

// SAFETY: a frame isn't tied to a thread; its buffers are counted atomically.
unsafe impl Send for Frame {}
// SAFETY: through `&Frame` it is only read.
unsafe impl Sync for Frame {}

impl Frame {
    pub fn new() -> Option<Frame> {
        // SAFETY: allocates a blank frame or returns null.
        let frame = unsafe { ffi::av_frame_alloc() };
        (!frame.is_null()).then_some(Frame(frame))
    }

    /// A frame with buffers of its own, their content undefined.
    pub fn with_buffers(format: ffi::AVPixelFormat, width: i32, height: i32) -> Option<Frame> {
        let mut frame = Frame::new()?;
        let raw = frame.raw_mut();
        raw.format = format as i32;
        raw.width = width;
        raw.height = height;
        // SAFETY: a blank frame with format and dimensions set, as the function asks.
        (unsafe { ffi::av_frame_get_buffer(raw, 0) } >= 0).then_some(frame)
    }

    /// As [`with_buffers`](Self::with_buffers), with all bytes 0.
    pub fn zeroed(format: ffi::AVPixelFormat, width: i32, height: i32) -> Option<Frame> {
        let frame = Frame::with_buffers(format, width, height)?;
        for &buffer in &frame.raw().buf {
            // SAFETY: null, or a buffer of `size` bytes that was just allocated and is ours alone.
            unsafe {
                if let Some(buffer) = buffer.as_ref() {
                    ptr::write_bytes(buffer.data, 0, buffer.size);
                }
            }
        }
        Some(frame)
    }

    /// A mid-grey picture.
    pub fn grey(width: u32, height: u32) -> Option<Frame> {
        let (width, height) = (i32::try_from(width).ok()?, i32::try_from(height).ok()?);
        let mut frame = Frame::with_buffers(ffi::AVPixelFormat::AV_PIX_FMT_GRAY8, width, height)?;
        let raw = frame.raw_mut();
        raw.color_range = ffi::AVColorRange::AVCOL_RANGE_JPEG;
        let size = usize::try_from(raw.linesize[0]).ok()? * usize::try_from(height).ok()?;
        // SAFETY: the plane was just allocated with `height` rows of `linesize` bytes.
        unsafe { ptr::write_bytes(raw.data[0], 128, size) };
        Some(frame)
    }

    pub fn raw(&self) -> &ffi::AVFrame {
        // SAFETY: allocated in `new`, freed in `drop`.
        unsafe { &*self.0 }
    }

    pub fn raw_mut(&mut self) -> &mut ffi::AVFrame {
        // SAFETY: allocated in `new`, freed in `drop`, and ours alone.
        unsafe { &mut *self.0 }
    }

    /// The presentation time that came with the packet, in the stream's units.
    pub fn pts(&self) -> Option<i64> {
        known(self.raw().pts).or(known(self.raw().best_effort_timestamp))
    }

    /// Of sound, for each channel; 0 for a picture.
    pub fn samples(&self) -> usize {
        usize::try_from(self.raw().nb_samples).unwrap_or(0)
    }

    /// Whether there is a picture or sound in it. What the decoder mended counts: it shows more than a repeat.
    pub(super) fn is_good(&self) -> bool {
        let raw = self.raw();
        let is_picture = raw.width > 0 && raw.height > 0;
        raw.flags & ffi::AV_FRAME_FLAG_CORRUPT == 0
            && (is_picture || raw.nb_samples > 0)
            && !raw.data[0].is_null()
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        // SAFETY: allocated in `new`, freed once.
        unsafe { ffi::av_frame_free(&mut self.0) }
    }
}
