//! Between pixel formats, sizes and ranges, with libswscale.

use std::ptr;

use ffmpeg_next::ffi::{self, AVColorRange, AVPixelFormat};

use super::Frame;

/// How the pixels of a frame lie, and what they mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// A value of `AVPixelFormat`.
    pub format: i32,
    /// In pixels.
    pub width: i32,
    /// In pixels.
    pub height: i32,
    /// Whether black is 0 and white 255, instead of 16 and 235.
    pub full: bool,
}

impl Layout {
    pub fn of(frame: &Frame) -> Layout {
        let raw = frame.raw();
        Layout {
            format: raw.format,
            width: raw.width,
            height: raw.height,
            full: raw.color_range == AVColorRange::AVCOL_RANGE_JPEG,
        }
    }
}

/// Converts frames of one layout to another. The matrix between colours and YUV is that of BT.601.
pub(crate) struct Scaler {
    context: *mut ffi::SwsContext,
    from: Layout,
    to: Layout,
    target: Frame,
}

// SAFETY: the context isn't tied to the thread that made it, and `Scaler` is its only owner.
unsafe impl Send for Scaler {}

impl Scaler {
    /// `None` if libswscale can't convert so, or memory ran out.
    pub fn new(from: Layout, to: Layout) -> Option<Scaler> {
        let (source, result) = (pixel_format(from.format)?, pixel_format(to.format)?);
        let target = Frame::with_buffers(result, to.width, to.height)?;
        // SAFETY: allocates a context or returns null.
        let context = unsafe { ffi::sws_alloc_context() };
        if context.is_null() {
            return None;
        }
        let scaler = Scaler {
            context,
            from,
            to,
            target,
        };
        // All before the context is initialised: it takes shortcuts where nothing seems to be left to do.
        for (option, value) in [
            (c"srcw", from.width),
            (c"srch", from.height),
            (c"src_format", source as i32),
            (c"src_range", from.full.into()),
            (c"dstw", to.width),
            (c"dsth", to.height),
            (c"dst_format", result as i32),
            (c"dst_range", to.full.into()),
            (c"sws_flags", ffi::SWS_BILINEAR),
        ] {
            // SAFETY: the context begins with a class that has these options.
            let set =
                unsafe { ffi::av_opt_set_int(context.cast(), option.as_ptr(), value.into(), 0) };
            if set < 0 {
                return None;
            }
        }
        let no_filter = ptr::null_mut();
        let (full_source, full_result) = (from.full.into(), to.full.into());
        let one = 1 << 16;
        // SAFETY: the context is ours, formats and sizes are checked by the call; the tables are static.
        unsafe {
            if ffi::sws_init_context(context, no_filter, no_filter) < 0 {
                return None;
            }
            let table = ffi::sws_getCoefficients(ffi::SWS_CS_ITU601);
            ffi::sws_setColorspaceDetails(
                context,
                table,
                full_source,
                table,
                full_result,
                0,
                one,
                one,
            );
        }
        Some(scaler)
    }

    /// What it converts from and to.
    pub fn layouts(&self) -> (Layout, Layout) {
        (self.from, self.to)
    }

    /// Converts a frame of the format it was made for. Of a larger one, only the upper left part is taken.
    /// `None` if the frame is smaller or of another format, or memory ran out.
    pub fn convert(&mut self, frame: &Frame) -> Option<&mut Frame> {
        let (source, from) = (frame.raw(), self.from);
        if source.format != from.format || source.width < from.width || source.height < from.height
        {
            return None;
        }
        // Whoever got the last one may still look at it.
        // SAFETY: the frame is valid and ours alone.
        if unsafe { ffi::av_frame_make_writable(self.target.raw_mut()) } < 0 {
            return None;
        }
        let target = self.target.raw();
        // SAFETY: both frames have the formats that the context was made for and at least its sizes, and the
        // target's buffers are ours alone.
        let rows = unsafe {
            ffi::sws_scale(
                self.context,
                source.data.as_ptr().cast(),
                source.linesize.as_ptr(),
                0,
                from.height,
                target.data.as_ptr(),
                target.linesize.as_ptr(),
            )
        };
        (rows == self.to.height).then_some(&mut self.target)
    }
}

impl Drop for Scaler {
    fn drop(&mut self) {
        // SAFETY: made by sws_alloc_context, freed once.
        unsafe { ffi::sws_freeContext(self.context) }
    }
}

fn pixel_format(format: i32) -> Option<AVPixelFormat> {
    let known = (0..AVPixelFormat::AV_PIX_FMT_NB as i32).contains(&format);
    // SAFETY: the enumeration has a value for each number below AV_PIX_FMT_NB.
    known.then(|| unsafe { std::mem::transmute::<i32, AVPixelFormat>(format) })
}
