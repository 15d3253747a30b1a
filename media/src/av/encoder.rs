//! From frames to H.264.

use std::ffi::CStr;
use std::{iter, ptr};

use ffmpeg_next::ffi::{self, AVCodecID, AVERROR, AVERROR_EOF, AVPixelFormat, EAGAIN};

use super::{AvError, Frame, Options, Packet, check};

/// What all frames must be.
pub(crate) const PIXELS: AVPixelFormat = AVPixelFormat::AV_PIX_FMT_YUV420P;
/// Time stamps are milliseconds.
pub(super) const TIME_BASE: ffi::AVRational = ffi::AVRational { num: 1, den: 1000 };

const X264: &CStr = c"libx264";
/// The preset and quality of x264. It looks at no frames ahead: each is written when it comes, and none are
/// kept, which would be a gigabyte if they are large.
const X264_OPTIONS: [(&CStr, &CStr); 4] = [
    (c"preset", c"veryfast"),
    (c"crf", c"23"),
    (c"rc-lookahead", c"0"),
    (c"mbtree", c"0"),
];
/// Other encoders are given a bit rate: so many bits a second for each pixel.
const BITS_PER_PIXEL: i64 = 3;
/// Key frames are asked for by time, and come after so many frames in any case.
const MAX_GROUP: i32 = 250;

/// An open H.264 encoder.
pub(crate) struct Encoder(*mut ffi::AVCodecContext);

// SAFETY: the context isn't tied to the thread that made it, and `Encoder` is its only owner.
unsafe impl Send for Encoder {}

impl Encoder {
    /// An encoder for frames of this size in yuv420p with the limited range of BT.601: x264, or else
    /// whichever works. If none does, the error is that of the first.
    pub fn h264(width: i32, height: i32) -> Result<Encoder, AvError> {
        // SAFETY: the name ends in a zero.
        let x264 = unsafe { ffi::avcodec_find_encoder_by_name(X264.as_ptr()) };
        let mut first_refusal = None;
        for codec in iter::once(x264).chain(others()) {
            if codec.is_null() {
                continue;
            }
            match Encoder::open(codec, codec == x264, width, height) {
                Ok(encoder) => return Ok(encoder),
                Err(refusal) => _ = first_refusal.get_or_insert(refusal),
            }
        }
        Err(first_refusal.unwrap_or(AvError(ffi::AVERROR_ENCODER_NOT_FOUND)))
    }

    fn open(
        codec: *const ffi::AVCodec,
        is_x264: bool,
        width: i32,
        height: i32,
    ) -> Result<Encoder, AvError> {
        let mut options = Options::new();
        if is_x264 {
            for (key, value) in X264_OPTIONS {
                options.set(key, value)?;
            }
        }
        // SAFETY: the codec is static; the context is freed by `Encoder` however this ends.
        unsafe {
            let context = ffi::avcodec_alloc_context3(codec);
            if context.is_null() {
                return Err(AvError::NO_MEMORY);
            }
            let encoder = Encoder(context);
            let fields = &mut *context;
            fields.width = width;
            fields.height = height;
            fields.pix_fmt = PIXELS;
            fields.time_base = TIME_BASE;
            fields.gop_size = MAX_GROUP;
            fields.max_b_frames = 0;
            fields.thread_count = 1;
            if !is_x264 {
                fields.bit_rate = i64::from(width) * i64::from(height) * BITS_PER_PIXEL;
            }
            // JFIF has the primaries and transfer of sRGB, the matrix of BT.601, and its chroma samples in
            // the middle of the pixels that share them.
            fields.color_range = ffi::AVColorRange::AVCOL_RANGE_MPEG;
            fields.colorspace = ffi::AVColorSpace::AVCOL_SPC_SMPTE170M;
            fields.color_primaries = ffi::AVColorPrimaries::AVCOL_PRI_BT709;
            fields.color_trc = ffi::AVColorTransferCharacteristic::AVCOL_TRC_IEC61966_2_1;
            fields.chroma_sample_location = ffi::AVChromaLocation::AVCHROMA_LOC_CENTER;
            // MP4 has the parameters in its index.
            fields.flags |= ffi::AV_CODEC_FLAG_GLOBAL_HEADER as i32;
            check(ffi::avcodec_open2(context, codec, &mut options.0))?;
            Ok(encoder)
        }
    }

    /// Takes a frame to be shown at `millis`, later than the one before.
    pub fn send(&mut self, frame: &mut Frame, millis: i64, key: bool) -> Result<(), AvError> {
        let raw = frame.raw_mut();
        raw.pts = millis;
        raw.pict_type = if key {
            ffi::AVPictureType::AV_PICTURE_TYPE_I
        } else {
            ffi::AVPictureType::AV_PICTURE_TYPE_NONE
        };
        // SAFETY: the context is open; it keeps a reference to the frame's buffers if it needs them.
        check(unsafe { ffi::avcodec_send_frame(self.0, frame.raw()) }).map(drop)
    }

    /// Says that no more frames will come.
    pub fn end(&mut self) -> Result<(), AvError> {
        // SAFETY: the context is open; null is the end.
        check(unsafe { ffi::avcodec_send_frame(self.0, ptr::null()) }).map(drop)
    }

    /// The next packet; false if there is none yet, or none any more.
    pub fn receive(&mut self, packet: &mut Packet) -> Result<bool, AvError> {
        // SAFETY: both are valid and ours alone.
        match unsafe { ffi::avcodec_receive_packet(self.0, packet.raw_mut()) } {
            AVERROR_EOF => Ok(false),
            code if code == AVERROR(EAGAIN) => Ok(false),
            code => check(code).map(|_| true),
        }
    }

    pub(super) fn raw(&self) -> *const ffi::AVCodecContext {
        self.0
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: allocated in `open`, freed once.
        unsafe { ffi::avcodec_free_context(&mut self.0) }
    }
}

/// All H.264 encoders but x264 that take yuv420p.
fn others() -> impl Iterator<Item = *const ffi::AVCodec> {
    let mut position = ptr::null_mut();
    // SAFETY: the position is the call's own; codecs are static.
    let all = iter::from_fn(move || unsafe { ffi::av_codec_iterate(&mut position).as_ref() });
    let fitting = all.filter(|codec| {
        // SAFETY: codecs are static, their names end in a zero.
        let (encodes, name) = unsafe {
            (
                ffi::av_codec_is_encoder(*codec) != 0,
                CStr::from_ptr(codec.name),
            )
        };
        encodes && codec.id == AVCodecID::AV_CODEC_ID_H264 && name != X264 && takes_pixels(codec)
    });
    fitting.map(ptr::from_ref)
}

/// One that doesn't say is tried.
fn takes_pixels(codec: &ffi::AVCodec) -> bool {
    let mut format = codec.pix_fmts;
    // SAFETY: null, or a list that ends with AV_PIX_FMT_NONE.
    unsafe {
        while let Some(&known) = format.as_ref() {
            if known == PIXELS {
                return true;
            }
            if known == AVPixelFormat::AV_PIX_FMT_NONE {
                return false;
            }
            format = format.add(1);
        }
    }
    true
}
