//! MP4 files: making them.

use std::path::Path;
use std::ptr;

use ffmpeg_next::ffi;

use super::encoder::TIME_BASE;
use super::{AvError, Encoder, Options, Packet, check, file_url};

/// From where `avio_seek` counts.
const FROM_HERE: i32 = 1;

/// An MP4 file that is being written, with one video stream.
pub(crate) struct Output(*mut ffi::AVFormatContext);

// SAFETY: the context isn't tied to the thread that made it, and `Output` is its only owner.
unsafe impl Send for Output {}

impl Output {
    /// A file for what `encoder` gives; whatever was in it is gone.
    pub fn create(path: &Path, encoder: &Encoder) -> Result<Output, AvError> {
        let url = file_url(path)?;
        let mut context = ptr::null_mut();
        // SAFETY: the strings end in a zero; the context is freed by `Output` however this ends, and its
        // stream with it.
        unsafe {
            check(ffi::avformat_alloc_output_context2(
                &mut context,
                ptr::null(),
                c"mp4".as_ptr(),
                url.as_ptr(),
            ))?;
            let output = Output(context);
            let stream = ffi::avformat_new_stream(context, ptr::null());
            if stream.is_null() {
                return Err(AvError::NO_MEMORY);
            }
            check(ffi::avcodec_parameters_from_context(
                (*stream).codecpar,
                encoder.raw(),
            ))?;
            (*stream).time_base = TIME_BASE;
            check(ffi::avio_open(
                &mut (*context).pb,
                url.as_ptr(),
                ffi::AVIO_FLAG_WRITE,
            ))?;
            let mut options = Options::new();
            // Milliseconds, as they come; finer ones would only limit for how long a picture may be shown.
            options.set(c"video_track_timescale", c"1000")?;
            check(ffi::avformat_write_header(context, &mut options.0))?;
            Ok(output)
        }
    }

    /// Writes a packet, which must be later than the one before. The last one is shown for its duration.
    pub fn write(&mut self, packet: &mut Packet) -> Result<(), AvError> {
        let raw = packet.raw_mut();
        raw.stream_index = 0;
        // SAFETY: the context has its header written and one stream; the packet stays ours.
        unsafe {
            let stream = *(*self.0).streams;
            ffi::av_packet_rescale_ts(raw, TIME_BASE, (*stream).time_base);
            check(ffi::av_write_frame(self.0, raw)).map(drop)
        }
    }

    /// How far it is written.
    pub fn position(&self) -> u64 {
        // SAFETY: the file is open; seeking by nothing only tells the position.
        let position = unsafe { ffi::avio_seek((*self.0).pb, 0, FROM_HERE) };
        position.try_into().unwrap_or(0)
    }

    /// Writes the index and closes the file.
    pub fn finish(self) -> Result<(), AvError> {
        // SAFETY: the header was written; closing sets the pointer to null.
        unsafe {
            let written = check(ffi::av_write_trailer(self.0));
            ffi::avio_flush((*self.0).pb);
            let error = (*(*self.0).pb).error;
            let closed = check(ffi::avio_closep(&mut (*self.0).pb));
            written.and(check(error)).and(closed).map(drop)
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // SAFETY: the context is ours; its file is open or null.
        unsafe {
            ffi::avio_closep(&mut (*self.0).pb);
            ffi::avformat_free_context(self.0);
        }
    }
}
