//! From JPEGs to frames, for recording.

use ffmpeg_next::ffi::AVPixelFormat;
use turbojpeg::raw;

use crate::av::{Frame, Layout};
use crate::jpeg_head::{JpegShape, MAX_SCANS};
use crate::turbo::Handle;

/// Frames are made this much larger where a side isn't a multiple of it: whole groups of the pixels that
/// share a chroma sample are decoded.
const GROUP: i32 = 4;

/// Decodes JPEGs one after the other, each for itself. Keeps its buffer between them.
#[derive(Default)]
pub(crate) struct JpegDecoder {
    /// The last picture, and what it was.
    last: Option<(Layout, Frame)>,
}

impl JpegDecoder {
    /// The picture of this shape, for which memory is taken, in a frame that is at least as large as the
    /// layout says. Damage in the middle shows, as in any viewer.
    pub fn decode(&mut self, jpeg: &[u8], shape: JpegShape) -> Result<(Layout, &Frame), String> {
        // A new one for each picture: it remembers tables of those before, and sometimes their errors.
        let handle = Handle::decompressor()?;
        handle.set(raw::TJPARAM_TJPARAM_SCANLIMIT, MAX_SCANS.into())?;
        // SAFETY: the handle is valid, and the bytes are as many.
        let result =
            unsafe { raw::tj3DecompressHeader(handle.raw(), jpeg.as_ptr(), jpeg.len() as _) };
        handle.check_leniently(result)?;
        let format = frame_format(&handle);
        let layout = Layout {
            format: format as i32,
            width: handle.get(raw::TJPARAM_TJPARAM_JPEGWIDTH),
            height: handle.get(raw::TJPARAM_TJPARAM_JPEGHEIGHT),
            full: true,
        };
        let side = |side: i32| u32::try_from(side).unwrap_or(0);
        if (side(layout.width), side(layout.height)) != (shape.width, shape.height) {
            return Err(format!(
                "has two sizes, the other is {} × {}",
                layout.width, layout.height
            ));
        }
        let mut frame = match self.last.take() {
            Some((last, frame)) if last == layout => frame,
            _ => allocate(layout, format).ok_or("no memory")?,
        };
        decompress(&handle, jpeg, format, &mut frame)?;
        let (layout, frame) = self.last.insert((layout, frame));
        Ok((*layout, frame))
    }
}

/// The planes as they are coded, where FFmpeg has a name for them; else RGB, which anything becomes.
fn frame_format(handle: &Handle) -> AVPixelFormat {
    const YUV: i32 = raw::TJCS_TJCS_YCbCr as i32;
    const GRAY: i32 = raw::TJCS_TJCS_GRAY as i32;
    let colours = handle.get(raw::TJPARAM_TJPARAM_COLORSPACE);
    let subsampling = handle.get(raw::TJPARAM_TJPARAM_SUBSAMP);
    match (colours, subsampling) {
        (YUV, raw::TJSAMP_TJSAMP_420) => AVPixelFormat::AV_PIX_FMT_YUV420P,
        (YUV, raw::TJSAMP_TJSAMP_422) => AVPixelFormat::AV_PIX_FMT_YUV422P,
        (YUV, raw::TJSAMP_TJSAMP_444) => AVPixelFormat::AV_PIX_FMT_YUV444P,
        (YUV, raw::TJSAMP_TJSAMP_440) => AVPixelFormat::AV_PIX_FMT_YUV440P,
        (YUV, raw::TJSAMP_TJSAMP_411) => AVPixelFormat::AV_PIX_FMT_YUV411P,
        (GRAY, raw::TJSAMP_TJSAMP_GRAY) => AVPixelFormat::AV_PIX_FMT_GRAY8,
        _ => AVPixelFormat::AV_PIX_FMT_RGB24,
    }
}

/// `frame` was allocated for the picture whose header `handle` has read, in this format.
fn decompress(
    handle: &Handle,
    jpeg: &[u8],
    format: AVPixelFormat,
    frame: &mut Frame,
) -> Result<(), String> {
    let target = frame.raw_mut();
    let [y, u, v, ..] = target.data;
    let [y_stride, u_stride, v_stride, ..] = target.linesize;
    let (bytes, length) = (jpeg.as_ptr(), jpeg.len() as _);
    let result = if format == AVPixelFormat::AV_PIX_FMT_RGB24 {
        let colours = raw::TJPF_TJPF_RGB;
        // SAFETY: the frame holds the picture in this format, `y_stride` bytes a row.
        unsafe { raw::tj3Decompress8(handle.raw(), bytes, length, y, y_stride, colours) }
    } else {
        let mut planes = [y, u, v];
        let mut strides = [y_stride, u_stride, v_stride];
        let (planes, strides) = (planes.as_mut_ptr(), strides.as_mut_ptr());
        // SAFETY: the frame holds the picture in this subsampling, with whole groups of pixels.
        unsafe { raw::tj3DecompressToYUVPlanes8(handle.raw(), bytes, length, planes, strides) }
    };
    handle.check_leniently(result)
}

/// What damage leaves out isn't somebody else's memory, but black or the picture before.
fn allocate(layout: Layout, format: AVPixelFormat) -> Option<Frame> {
    let whole = |side: i32| Some(side.checked_add(GROUP - 1)? / GROUP * GROUP);
    Frame::zeroed(format, whole(layout.width)?, whole(layout.height)?)
}
