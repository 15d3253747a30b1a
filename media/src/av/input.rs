//! Containers: opening and reading them.

use std::ffi::CStr;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

use ffmpeg_next::ffi::{self, AVERROR, AVERROR_EOF, EAGAIN};

use super::{AvError, Interrupt, Options, Packet, check, file_url};

/// Containers only: a playlist among them could make FFmpeg open other files or addresses.
const FORMATS: &CStr = c"mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,flv";
/// Those, and such as have nothing but sound.
const SOUND_FORMATS: &CStr = c"mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,flv,\
    wav,w64,aiff,au,caf,mp3,flac,ogg,aac,ac3,asf,wv";
const PROTOCOLS: &CStr = c"file";

/// A damaged file may give errors between good packets; so many in a row are its end.
const MAX_READ_ERRORS: u32 = 16;

/// An open container.
pub(crate) struct Input {
    context: *mut ffi::AVFormatContext,
    /// What the context refers to; so it must be freed later.
    _interrupt: Option<Arc<Interrupt>>,
}

// SAFETY: the context isn't tied to the thread that made it, and `Input` is its only owner.
unsafe impl Send for Input {}

/// What one attempt to read gave.
pub(crate) enum Read {
    Packet,
    /// Nothing is there yet.
    Later,
    End,
    Failed(AvError),
}

/// What a container says about its audio stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SoundFacts {
    pub index: i32,
    /// Seconds for each unit of the stream's timestamps, as a fraction; both above 0.
    pub time_base: (i64, i64),
}

/// What a container says about its video stream.
pub(crate) struct StreamFacts {
    pub index: i32,
    pub width: i32,
    pub height: i32,
    /// Seconds for each unit of the stream's timestamps, as a fraction.
    pub time_base: (i64, i64),
    /// Frames a second; 0 if unknown.
    pub frame_rate: f64,
    /// How many frames the container promises; 0 if it doesn't say.
    pub promised: i64,
    /// Degrees by which players are asked to turn the picture.
    pub rotation: i32,
    /// Whether each packet is a JPEG.
    pub motion_jpeg: bool,
}

impl Input {
    /// Opens a video file, whatever its name.
    pub fn open(path: &Path, interrupt: Option<Arc<Interrupt>>) -> Result<Input, AvError> {
        Input::open_file(path, FORMATS, interrupt)
    }

    /// Opens a file with sound, with or without pictures, whatever its name.
    pub fn open_sound(path: &Path, interrupt: Option<Arc<Interrupt>>) -> Result<Input, AvError> {
        Input::open_file(path, SOUND_FORMATS, interrupt)
    }

    fn open_file(
        path: &Path,
        formats: &CStr,
        interrupt: Option<Arc<Interrupt>>,
    ) -> Result<Input, AvError> {
        let mut options = Options::new();
        options.set(c"format_whitelist", formats)?;
        options.set(c"protocol_whitelist", PROTOCOLS)?;
        let mut input = Input::context(interrupt)?.start(&file_url(path)?, ptr::null(), options)?;
        input.analyse()?;
        Ok(input)
    }

    /// A context that isn't open yet.
    pub(super) fn context(interrupt: Option<Arc<Interrupt>>) -> Result<Input, AvError> {
        // SAFETY: allocates a context or returns null.
        let context = unsafe { ffi::avformat_alloc_context() };
        if context.is_null() {
            return Err(AvError::NO_MEMORY);
        }
        if let Some(interrupt) = &interrupt {
            // SAFETY: the context was just made. `Input` frees it before it lets go of the interrupt.
            unsafe { (*context).interrupt_callback = interrupt.callback() }
        }
        Ok(Input {
            context,
            _interrupt: interrupt,
        })
    }

    /// Opens the context, with `format` or, if that is null, with the one that the content suggests.
    pub(super) fn start(
        mut self,
        url: &CStr,
        format: *const ffi::AVInputFormat,
        mut options: Options,
    ) -> Result<Input, AvError> {
        // SAFETY: all pointers are valid for the call; on failure the context is freed and set to null.
        check(unsafe {
            ffi::avformat_open_input(&mut self.context, url.as_ptr(), format, &mut options.0)
        })?;
        Ok(self)
    }

    /// Reads on until it is known what the streams hold. That decodes a little.
    pub(super) fn analyse(&mut self) -> Result<(), AvError> {
        // SAFETY: the context is open.
        let streams = unsafe { (*self.context).nb_streams } as usize;
        let mut limits: Vec<Options> = (0..streams).map(|_| Options::new()).collect();
        for limit in &mut limits {
            limit.limit_frames()?;
        }
        let mut raw: Vec<*mut ffi::AVDictionary> = limits.iter().map(|limit| limit.0).collect();
        let raw_limits = if raw.is_empty() {
            ptr::null_mut()
        } else {
            raw.as_mut_ptr()
        };
        // SAFETY: `raw` has an entry for each stream the context has now; FFmpeg may replace entries.
        let found = unsafe { ffi::avformat_find_stream_info(self.context, raw_limits) };
        for (limit, raw) in limits.iter_mut().zip(raw) {
            limit.0 = raw;
        }
        check(found).map(drop)
    }

    pub(super) fn raw(&self) -> *mut ffi::AVFormatContext {
        self.context
    }

    fn streams(&self) -> impl Iterator<Item = &ffi::AVStream> {
        // SAFETY: the context keeps `nb_streams` valid stream pointers for as long as it lives.
        let streams = unsafe {
            match (*self.context).nb_streams as usize {
                0 => &[][..],
                n => std::slice::from_raw_parts((*self.context).streams, n),
            }
        };
        // SAFETY: as above; FFmpeg changes a stream only in calls that take `&mut self`.
        streams.iter().map(|&stream| unsafe { &*stream })
    }

    pub(super) fn stream(&self, index: i32) -> Option<&ffi::AVStream> {
        self.streams().nth(usize::try_from(index).ok()?)
    }

    pub fn has_sound(&self) -> bool {
        // SAFETY: every stream has codec parameters.
        self.streams()
            .any(|s| unsafe { (*s.codecpar).codec_type } == ffi::AVMediaType::AVMEDIA_TYPE_AUDIO)
    }

    /// The best video stream; a cover picture doesn't count.
    pub fn video(&self) -> Option<StreamFacts> {
        let (index, stream) = self.best(ffi::AVMediaType::AVMEDIA_TYPE_VIDEO)?;
        if stream.disposition & ffi::AV_DISPOSITION_ATTACHED_PIC != 0 {
            return None;
        }
        // SAFETY: every stream has codec parameters.
        let parameters = unsafe { &*stream.codecpar };
        let rate = |r: ffi::AVRational| {
            if r.den > 0 {
                f64::from(r.num) / f64::from(r.den)
            } else {
                0.0
            }
        };
        let average = rate(stream.avg_frame_rate);
        Some(StreamFacts {
            index,
            width: parameters.width,
            height: parameters.height,
            time_base: time_base(stream),
            frame_rate: if average > 0.0 {
                average
            } else {
                rate(stream.r_frame_rate)
            },
            promised: stream.nb_frames,
            rotation: rotation(stream),
            motion_jpeg: parameters.codec_id == ffi::AVCodecID::AV_CODEC_ID_MJPEG,
        })
    }

    /// The best audio stream.
    pub fn sound(&self) -> Option<SoundFacts> {
        let (index, stream) = self.best(ffi::AVMediaType::AVMEDIA_TYPE_AUDIO)?;
        Some(SoundFacts {
            index,
            time_base: time_base(stream),
        })
    }

    fn best(&self, kind: ffi::AVMediaType) -> Option<(i32, &ffi::AVStream)> {
        // SAFETY: the context is open; no decoder is asked for.
        let index =
            unsafe { ffi::av_find_best_stream(self.context, kind, -1, -1, ptr::null_mut(), 0) };
        Some((index, self.stream(index)?))
    }

    /// Reads only this stream from now on.
    pub fn select(&mut self, index: i32) {
        // SAFETY: the context and its streams are ours alone while `&mut self` is held.
        unsafe {
            for i in 0..(*self.context).nb_streams {
                let stream = *(*self.context).streams.add(i as usize);
                let wanted = i32::try_from(i) == Ok(index);
                (*stream).discard = if wanted {
                    ffi::AVDiscard::AVDISCARD_DEFAULT
                } else {
                    ffi::AVDiscard::AVDISCARD_ALL
                };
            }
        }
    }

    /// The next packet of any stream. Reads once, which may wait.
    pub fn read_once(&mut self, packet: &mut Packet) -> Read {
        packet.clear();
        // SAFETY: both are valid and ours alone; the packet is blank.
        match unsafe { ffi::av_read_frame(self.context, packet.raw_mut()) } {
            0.. => Read::Packet,
            AVERROR_EOF => Read::End,
            code if code == AVERROR(EAGAIN) => Read::Later,
            code => Read::Failed(AvError(code)),
        }
    }

    /// The next packet of stream `index` of a file; false at the end, however it came about.
    pub fn read(&mut self, index: i32, packet: &mut Packet) -> bool {
        let mut errors = 0;
        while errors < MAX_READ_ERRORS {
            match self.read_once(packet) {
                Read::Packet if packet.stream() == index => return true,
                Read::Packet => {}
                Read::End => return false,
                Read::Later | Read::Failed(_) => errors += 1,
            }
        }
        false
    }

    /// Positions at the key packet at or before `timestamp`, as exactly as the container can.
    pub fn seek(&mut self, index: i32, timestamp: i64) -> bool {
        // SAFETY: the context is open and ours alone.
        unsafe {
            ffi::av_seek_frame(self.context, index, timestamp, ffi::AVSEEK_FLAG_BACKWARD) >= 0
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        // SAFETY: made by avformat_alloc_context, freed once; null is allowed.
        unsafe { ffi::avformat_close_input(&mut self.context) }
    }
}

fn time_base(stream: &ffi::AVStream) -> (i64, i64) {
    let ffi::AVRational { num, den } = stream.time_base;
    (num.max(1).into(), den.max(1).into())
}

fn rotation(stream: &ffi::AVStream) -> i32 {
    let kind = ffi::AVPacketSideDataType::AV_PKT_DATA_DISPLAYMATRIX;
    let mut size = 0;
    // SAFETY: the stream is valid; a display matrix is nine 32-bit integers.
    unsafe {
        let matrix = ffi::av_stream_get_side_data(stream, kind, &mut size);
        if matrix.is_null() || size < 36 {
            return 0;
        }
        let angle = ffi::av_display_rotation_get(matrix.cast());
        if angle.is_finite() {
            -angle.round() as i32
        } else {
            0
        }
    }
}
