//! From a picture to a JPEG, straight from the decoder's planes.
//!
//! JFIF knows only full range (black 0, white 255), video is nearly always limited (black 16, white 235):
//! those planes are stretched into scratch ones on the way. The colours' matrix is left as it is: JFIF's is
//! that of BT.601, so BT.709 video comes out very slightly off, which saves a conversion of every frame.

use std::ptr;
use std::slice;

use bytes::Bytes;
use ffmpeg_next::ffi::AVPixelFormat;
use thiserror::Error;
use turbojpeg::raw;

use crate::av::{self, Frame, PIXELS, Scaler};
use crate::decode::Picture;
use crate::pickle::{Channels, PickledFrame};
use crate::turbo::Handle;

/// Why there is no JPEG.
#[derive(Debug, Error)]
pub enum JpegError {
    /// The quality that was asked for isn't one.
    #[error("JPEG quality {0}: must be 1 to 100")]
    Quality(u8),
    /// The picture's pixel format can't be converted.
    #[error("pixel format {0} can't be converted")]
    Format(i32),
    /// A frame has not as many pixels as it says.
    #[error("{width} × {height} pixels: can't be {bytes} bytes")]
    Pixels {
        width: u32,
        height: u32,
        bytes: usize,
    },
    /// The encoder itself failed, out of memory for instance.
    #[error("the JPEG encoder failed: {0}")]
    Encoder(String),
}

/// Encodes pictures of any size and pixel format, one after the other. Keeps its buffers between them.
pub struct JpegEncoder {
    handle: Handle,
    subsampling: Option<i32>,
    scaler: Option<Scaler>,
    scratch: [Vec<u8>; 3],
    output: Vec<u8>,
}

/// How a format's planes lie.
#[derive(Clone, Copy)]
struct Layout {
    subsampling: i32,
    planes: usize,
    /// Pixels that share a chroma sample, across and down.
    across: usize,
    down: usize,
}

/// A plane of a frame: `rows` × `columns` samples, `stride` bytes from row to row.
#[derive(Clone, Copy)]
struct Plane {
    data: *const u8,
    stride: i32,
    columns: usize,
    rows: usize,
}

impl JpegEncoder {
    /// An encoder of this quality, 1 (smallest) to 100 (best).
    ///
    /// # Errors
    /// The quality is none, or the encoder can't be allocated.
    pub fn new(quality: u8) -> Result<Self, JpegError> {
        if !(1..=100).contains(&quality) {
            return Err(JpegError::Quality(quality));
        }
        let handle = Handle::compressor().map_err(JpegError::Encoder)?;
        let set = |parameter, value| handle.set(parameter, value).map_err(JpegError::Encoder);
        set(raw::TJPARAM_TJPARAM_QUALITY, quality.into())?;
        set(raw::TJPARAM_TJPARAM_NOREALLOC, 1)?;
        let scratch = [const { Vec::new() }; 3];
        Ok(JpegEncoder {
            handle,
            subsampling: None,
            scaler: None,
            scratch,
            output: Vec::new(),
        })
    }

    /// The picture as a JFIF file.
    ///
    /// # Errors
    /// The picture's format is exotic beyond conversion, or memory ran out.
    pub fn encode(&mut self, picture: &Picture) -> Result<Bytes, JpegError> {
        let frame = picture.frame();
        let source = av::Layout::of(frame);
        if let Some((layout, always_full)) = layout(source.format) {
            return self.encode_planes(frame, layout, always_full || source.full);
        }
        // The range stays, because libswscale doesn't stretch formats of more than 8 bit.
        let target = av::Layout {
            format: PIXELS as i32,
            ..source
        };
        // Taken out while it lends its frame to the encoder.
        let mut scaler = match self.scaler.take() {
            Some(scaler) if scaler.layouts() == (source, target) => scaler,
            _ => Scaler::new(source, target).ok_or(JpegError::Format(source.format))?,
        };
        let converted = scaler
            .convert(frame)
            .ok_or(JpegError::Format(source.format))?;
        let jpeg = self.encode_planes(converted, YUV420, source.full);
        self.scaler = Some(scaler);
        jpeg
    }

    fn encode_planes(
        &mut self,
        frame: &Frame,
        layout: Layout,
        full: bool,
    ) -> Result<Bytes, JpegError> {
        let source = frame.raw();
        let (width, height) = (
            source.width.unsigned_abs() as usize,
            source.height.unsigned_abs() as usize,
        );
        let whole = width.is_multiple_of(layout.across) && height.is_multiple_of(layout.down);
        let mut data = [ptr::null::<u8>(); 3];
        let mut strides = [0; 3];
        for (i, scratch) in self.scratch.iter_mut().enumerate().take(layout.planes) {
            let (across, down) = if i == 0 {
                (1, 1)
            } else {
                (layout.across, layout.down)
            };
            let plane = Plane {
                data: source.data[i],
                stride: source.linesize[i],
                columns: width.div_ceil(across),
                rows: height.div_ceil(down),
            };
            if full && whole {
                (data[i], strides[i]) = (plane.data, plane.stride);
                continue;
            }
            // The encoder reads whole groups of the pixels that share a chroma sample.
            let columns = width.next_multiple_of(layout.across) / across;
            let rows = height.next_multiple_of(layout.down) / down;
            let stretch = match (full, i) {
                (true, _) => copy,
                (false, 0) => stretch_luma,
                (false, _) => stretch_chroma,
            };
            fill(scratch, plane, columns, rows, stretch);
            data[i] = scratch.as_ptr();
            strides[i] = i32::try_from(columns).map_err(|_| JpegError::Format(source.format))?;
        }
        let (width, height) = (source.width, source.height);
        // SAFETY: each plane that the subsampling asks for has the rows and columns that the encoder reads,
        // padded to whole groups.
        self.compress(
            width,
            height,
            layout.subsampling,
            |handle, buffer, size| unsafe {
                raw::tj3CompressFromYUVPlanes8(
                    handle,
                    data.as_ptr(),
                    width,
                    strides.as_ptr(),
                    height,
                    buffer,
                    size,
                )
            },
        )
    }

    /// The frame as a JFIF file.
    ///
    /// # Errors
    /// The frame has more or fewer pixels than it says, or memory ran out.
    pub fn encode_frame(&mut self, frame: &PickledFrame<'_>) -> Result<Bytes, JpegError> {
        let sides = (i32::try_from(frame.width), i32::try_from(frame.height));
        let ((Ok(width), Ok(height)), true) = (sides, frame.size() == Some(frame.pixels.len()))
        else {
            return Err(JpegError::Pixels {
                width: frame.width,
                height: frame.height,
                bytes: frame.pixels.len(),
            });
        };
        let (format, subsampling) = match frame.channels {
            Channels::Grey => (raw::TJPF_TJPF_GRAY, raw::TJSAMP_TJSAMP_GRAY),
            Channels::Bgr => (raw::TJPF_TJPF_BGR, raw::TJSAMP_TJSAMP_420),
        };
        // SAFETY: the pixels are as many as the sides and the format ask for; 0 says that no gaps are
        // between rows.
        self.compress(width, height, subsampling, |handle, buffer, size| unsafe {
            let pixels = frame.pixels.as_ptr();
            raw::tj3Compress8(handle, pixels, width, 0, height, format, buffer, size)
        })
    }

    /// What `write` makes: by the handle, into a buffer of the size that it is given, which it replaces by
    /// the JPEG's.
    fn compress(
        &mut self,
        width: i32,
        height: i32,
        subsampling: i32,
        write: impl FnOnce(raw::tjhandle, *mut *mut u8, *mut raw::size_t) -> i32,
    ) -> Result<Bytes, JpegError> {
        if self.subsampling != Some(subsampling) {
            let set = self.handle.set(raw::TJPARAM_TJPARAM_SUBSAMP, subsampling);
            set.map_err(JpegError::Encoder)?;
            self.subsampling = Some(subsampling);
        }
        // SAFETY: plain arithmetic on its arguments.
        let worst = unsafe { raw::tj3JPEGBufSize(width, height, subsampling) };
        self.output.clear();
        self.output.reserve(worst as usize);
        let mut buffer = self.output.as_mut_ptr();
        let mut size = worst;
        // The buffer holds the worst case, and the handle may not replace it.
        let result = write(self.handle.raw(), &mut buffer, &mut size);
        self.handle.check(result).map_err(JpegError::Encoder)?;
        // SAFETY: the encoder wrote `size` bytes from the start of `output`, within its capacity.
        let jpeg = unsafe { slice::from_raw_parts(self.output.as_ptr(), size as usize) };
        Ok(Bytes::copy_from_slice(jpeg))
    }
}

const YUV420: Layout = Layout {
    subsampling: raw::TJSAMP_TJSAMP_420,
    planes: 3,
    across: 2,
    down: 2,
};

/// The layout of a format that the encoder takes as it is, and whether it is always full range.
fn layout(format: i32) -> Option<(Layout, bool)> {
    use AVPixelFormat::*;
    let of = |format: AVPixelFormat| format as i32;
    let planar = |subsampling, across, down| Layout {
        subsampling,
        planes: 3,
        across,
        down,
    };
    let is =
        |limited: AVPixelFormat, full: AVPixelFormat| format == of(limited) || format == of(full);
    let always_full = [
        AV_PIX_FMT_YUVJ420P,
        AV_PIX_FMT_YUVJ422P,
        AV_PIX_FMT_YUVJ444P,
        AV_PIX_FMT_YUVJ440P,
        AV_PIX_FMT_YUVJ411P,
    ];
    let layout = if is(AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUVJ420P) {
        YUV420
    } else if is(AV_PIX_FMT_YUV422P, AV_PIX_FMT_YUVJ422P) {
        planar(raw::TJSAMP_TJSAMP_422, 2, 1)
    } else if is(AV_PIX_FMT_YUV444P, AV_PIX_FMT_YUVJ444P) {
        planar(raw::TJSAMP_TJSAMP_444, 1, 1)
    } else if is(AV_PIX_FMT_YUV440P, AV_PIX_FMT_YUVJ440P) {
        planar(raw::TJSAMP_TJSAMP_440, 1, 2)
    } else if is(AV_PIX_FMT_YUV411P, AV_PIX_FMT_YUVJ411P) {
        planar(raw::TJSAMP_TJSAMP_411, 4, 1)
    } else if format == of(AV_PIX_FMT_GRAY8) {
        Layout {
            subsampling: raw::TJSAMP_TJSAMP_GRAY,
            planes: 1,
            across: 1,
            down: 1,
        }
    } else {
        return None;
    };
    Some((layout, always_full.map(of).contains(&format)))
}

/// Fills `scratch` with `rows` × `columns` samples: the plane's, changed by `stretch`, its last ones
/// repeated where it is smaller.
fn fill(
    scratch: &mut Vec<u8>,
    plane: Plane,
    columns: usize,
    rows: usize,
    stretch: fn(&[u8], &mut [u8]),
) {
    scratch.resize(columns * rows, 0);
    let mut targets = scratch.chunks_exact_mut(columns.max(1));
    for row in 0..rows {
        let Some(target) = targets.next() else { return };
        let offset = row.min(plane.rows - 1) as isize * plane.stride as isize;
        // SAFETY: a decoded frame's plane has `rows` rows of `columns` samples, `stride` apart; its size was
        // derived from the frame's own dimensions and format.
        let source = unsafe { slice::from_raw_parts(plane.data.offset(offset), plane.columns) };
        let (inside, padding) = target.split_at_mut(plane.columns);
        stretch(source, inside);
        padding.fill(inside.last().copied().unwrap_or_default());
    }
}

fn copy(source: &[u8], target: &mut [u8]) {
    target.copy_from_slice(source);
}

// 16-bit arithmetic throughout, so that the compiler makes vectors of both loops.

/// 16..=235 to 0..=255.
fn stretch_luma(source: &[u8], target: &mut [u8]) {
    for (target, &source) in target.iter_mut().zip(source) {
        let y = u16::from(source.saturating_sub(16));
        *target = ((y * 149 + 64) >> 7).min(255) as u8;
    }
}

/// 16..=240 to 0..=255 around 128.
fn stretch_chroma(source: &[u8], target: &mut [u8]) {
    for (target, &source) in target.iter_mut().zip(source) {
        let c = u16::from(source.clamp(16, 240) - 16);
        *target = ((c * 291 + 256) >> 8) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretching_is_right_to_a_rounding_step() {
        let all: Vec<u8> = (0..=255).collect();
        let (mut luma, mut chroma) = (vec![0; 256], vec![0; 256]);
        stretch_luma(&all, &mut luma);
        stretch_chroma(&all, &mut chroma);
        assert_eq!((luma[16], luma[235], chroma[128]), (0, 255, 128));
        for (i, (luma, chroma)) in luma.into_iter().zip(chroma).enumerate() {
            let exact_luma = ((i as f64 - 16.0) * 255.0 / 219.0).clamp(0.0, 255.0);
            let exact_chroma = ((i as f64 - 128.0) * 255.0 / 224.0 + 128.0).clamp(0.0, 255.0);
            assert!(
                (f64::from(luma) - exact_luma).abs() <= 1.0,
                "luma {i}: {luma}"
            );
            assert!(
                (f64::from(chroma) - exact_chroma).abs() <= 1.0,
                "chroma {i}: {chroma}"
            );
        }
    }

    #[test]
    fn only_qualities_are_accepted() {
        assert!(JpegEncoder::new(1).is_ok() && JpegEncoder::new(100).is_ok());
        assert!(matches!(JpegEncoder::new(0), Err(JpegError::Quality(0))));
        assert!(matches!(
            JpegEncoder::new(101),
            Err(JpegError::Quality(101))
        ));
    }
}
