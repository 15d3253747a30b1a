//! The few FFmpeg objects that the rest of the crate needs, each with an owner that frees it. All calls
//! into libavformat and libavcodec are here; what comes out is plain numbers and [`Frame`]s.

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use ffmpeg_next::ffi::{self, AVERROR, AVERROR_EOF, EAGAIN};

/// Containers only: a playlist among them could make FFmpeg open other files or addresses.
const FORMATS: &CStr = c"mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,flv";
const PROTOCOLS: &CStr = c"file";
/// 8192 × 8192, as text for an option.
const MAX_PIXELS: &CStr = c"67108864";

/// A damaged file may give errors between good packets; so many in a row are its end.
const MAX_READ_ERRORS: u32 = 16;
/// A decoder must take a packet or give a frame after so many calls; one that doesn't is stuck.
const MAX_IDLE_CALLS: u32 = 64;

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
}

impl std::fmt::Display for AvError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&ffmpeg_next::Error::from(self.0).to_string())
    }
}

fn check(code: i32) -> Result<i32, AvError> {
    if code < 0 {
        Err(AvError(code))
    } else {
        Ok(code)
    }
}

/// An open container.
pub(crate) struct Input(*mut ffi::AVFormatContext);

// SAFETY: the context isn't tied to the thread that made it, and `Input` is its only owner.
unsafe impl Send for Input {}

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
}

impl Input {
    pub fn open(path: &Path) -> Result<Input, AvError> {
        // Without the prefix a name with a colon in it would be taken for a protocol.
        let mut url = b"file:".to_vec();
        url.extend_from_slice(path.as_os_str().as_bytes());
        let url = CString::new(url).map_err(|_| AvError::INVALID)?;
        let mut options = Options::new();
        options.set(c"format_whitelist", FORMATS)?;
        options.set(c"protocol_whitelist", PROTOCOLS)?;
        let mut context = ptr::null_mut();
        // SAFETY: all pointers are valid for the call; on failure the context is freed and stays null.
        check(unsafe {
            ffi::avformat_open_input(&mut context, url.as_ptr(), ptr::null_mut(), &mut options.0)
        })?;
        let input = Input(context);
        // Finding the parameters decodes a little: keep absurd dimensions from allocating gigabytes.
        // SAFETY: `context` was just opened.
        let streams = unsafe { (*context).nb_streams } as usize;
        let mut limits: Vec<Options> = (0..streams).map(|_| Options::new()).collect();
        for limit in &mut limits {
            limit.set(c"max_pixels", MAX_PIXELS)?;
        }
        let mut raw: Vec<*mut ffi::AVDictionary> = limits.iter().map(|limit| limit.0).collect();
        let raw_limits = if raw.is_empty() {
            ptr::null_mut()
        } else {
            raw.as_mut_ptr()
        };
        // SAFETY: `raw` has an entry for each stream the context has now; FFmpeg may replace entries.
        let found = unsafe { ffi::avformat_find_stream_info(context, raw_limits) };
        for (limit, raw) in limits.iter_mut().zip(raw) {
            limit.0 = raw;
        }
        check(found)?;
        Ok(input)
    }

    fn streams(&self) -> impl Iterator<Item = &ffi::AVStream> {
        // SAFETY: the context keeps `nb_streams` valid stream pointers for as long as it lives.
        let streams = unsafe {
            match (*self.0).nb_streams as usize {
                0 => &[][..],
                n => std::slice::from_raw_parts((*self.0).streams, n),
            }
        };
        // SAFETY: as above; FFmpeg changes a stream only in calls that take `&mut self`.
        streams.iter().map(|&stream| unsafe { &*stream })
    }

    fn stream(&self, index: i32) -> Option<&ffi::AVStream> {
        self.streams().nth(usize::try_from(index).ok()?)
    }

    pub fn has_sound(&self) -> bool {
        // SAFETY: every stream has codec parameters.
        self.streams()
            .any(|s| unsafe { (*s.codecpar).codec_type } == ffi::AVMediaType::AVMEDIA_TYPE_AUDIO)
    }

    /// The best video stream; a cover picture doesn't count.
    pub fn video(&self) -> Option<StreamFacts> {
        let kind = ffi::AVMediaType::AVMEDIA_TYPE_VIDEO;
        // SAFETY: the context is open; no decoder is asked for.
        let index = unsafe { ffi::av_find_best_stream(self.0, kind, -1, -1, ptr::null_mut(), 0) };
        let stream = self.stream(index)?;
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
            time_base: (
                stream.time_base.num.max(1).into(),
                stream.time_base.den.max(1).into(),
            ),
            frame_rate: if average > 0.0 {
                average
            } else {
                rate(stream.r_frame_rate)
            },
            promised: stream.nb_frames,
            rotation: rotation(stream),
        })
    }

    /// Reads only this stream from now on.
    pub fn select(&mut self, index: i32) {
        // SAFETY: the context and its streams are ours alone while `&mut self` is held.
        unsafe {
            for i in 0..(*self.0).nb_streams {
                let stream = *(*self.0).streams.add(i as usize);
                let wanted = i32::try_from(i) == Ok(index);
                (*stream).discard = if wanted {
                    ffi::AVDiscard::AVDISCARD_DEFAULT
                } else {
                    ffi::AVDiscard::AVDISCARD_ALL
                };
            }
        }
    }

    /// The next packet of stream `index`; false at the end, however it came about.
    pub fn read(&mut self, index: i32, packet: &mut Packet) -> bool {
        let mut errors = 0;
        while errors < MAX_READ_ERRORS {
            packet.clear();
            // SAFETY: both are valid and ours alone; the packet is blank.
            match unsafe { ffi::av_read_frame(self.0, packet.0) } {
                0.. if packet.stream() == index => return true,
                0.. => {}
                AVERROR_EOF => return false,
                _ => errors += 1,
            }
        }
        false
    }

    /// Positions at the key packet at or before `timestamp`, as exactly as the container can.
    pub fn seek(&mut self, index: i32, timestamp: i64) -> bool {
        // SAFETY: the context is open and ours alone.
        unsafe { ffi::av_seek_frame(self.0, index, timestamp, ffi::AVSEEK_FLAG_BACKWARD) >= 0 }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        // SAFETY: made by avformat_open_input, freed once.
        unsafe { ffi::avformat_close_input(&mut self.0) }
    }
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

/// One compressed frame; reused for all of a file.
pub(crate) struct Packet(*mut ffi::AVPacket);

// SAFETY: a packet isn't tied to a thread, and `Packet` is its only owner.
unsafe impl Send for Packet {}

impl Packet {
    pub fn new() -> Result<Packet, AvError> {
        // SAFETY: allocates a blank packet or returns null.
        let packet = unsafe { ffi::av_packet_alloc() };
        if packet.is_null() {
            Err(AvError::NO_MEMORY)
        } else {
            Ok(Packet(packet))
        }
    }

    fn raw(&self) -> &ffi::AVPacket {
        // SAFETY: allocated in `new`, freed in `drop`.
        unsafe { &*self.0 }
    }

    fn stream(&self) -> i32 {
        self.raw().stream_index
    }

    pub fn pts(&self) -> Option<i64> {
        known(self.raw().pts)
    }

    pub fn dts(&self) -> Option<i64> {
        known(self.raw().dts)
    }

    pub fn is_key(&self) -> bool {
        self.raw().flags & ffi::AV_PKT_FLAG_KEY != 0
    }

    /// Needed to decode others but not shown, because of an edit list.
    pub fn is_hidden(&self) -> bool {
        self.raw().flags & ffi::AV_PKT_FLAG_DISCARD != 0
    }

    fn clear(&mut self) {
        // SAFETY: the packet is valid; what it refers to is released.
        unsafe { ffi::av_packet_unref(self.0) }
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        // SAFETY: allocated in `new`, freed once.
        unsafe { ffi::av_packet_free(&mut self.0) }
    }
}

fn known(timestamp: i64) -> Option<i64> {
    (timestamp != ffi::AV_NOPTS_VALUE).then_some(timestamp)
}

/// An open decoder.
pub(crate) struct Decoder {
    context: *mut ffi::AVCodecContext,
    idle: u32,
}

// SAFETY: the context isn't tied to the thread that made it, and `Decoder` is its only owner.
unsafe impl Send for Decoder {}

/// What a decoder answers when asked for a frame.
pub(crate) enum Decoded {
    Frame(Frame),
    /// Send it a packet.
    Hungry,
    /// Everything has come out.
    End,
}

impl Decoder {
    pub fn open(input: &Input, index: i32, threads: usize) -> Result<Decoder, AvError> {
        let stream = input.stream(index).ok_or(AvError::INVALID)?;
        // SAFETY: the codec parameters belong to the open input; the context is freed by `Decoder` however
        // this ends.
        unsafe {
            let codec = ffi::avcodec_find_decoder((*stream.codecpar).codec_id);
            if codec.is_null() {
                return Err(AvError(ffi::AVERROR_DECODER_NOT_FOUND));
            }
            let context = ffi::avcodec_alloc_context3(codec);
            if context.is_null() {
                return Err(AvError::NO_MEMORY);
            }
            let decoder = Decoder { context, idle: 0 };
            check(ffi::avcodec_parameters_to_context(context, stream.codecpar))?;
            (*context).pkt_timebase = stream.time_base;
            (*context).thread_count = i32::try_from(threads.clamp(1, 64)).unwrap_or(1);
            let mut options = Options::new();
            options.set(c"max_pixels", MAX_PIXELS)?;
            check(ffi::avcodec_open2(context, codec, &mut options.0))?;
            Ok(decoder)
        }
    }

    /// Whether frames that no other frame needs may be skipped in the packets sent from now on.
    pub fn skip_unreferenced(&mut self, skip: bool) {
        let discard = if skip {
            ffi::AVDiscard::AVDISCARD_NONREF
        } else {
            ffi::AVDiscard::AVDISCARD_DEFAULT
        };
        // SAFETY: the context is open and ours alone; this field may change between packets.
        unsafe { (*self.context).skip_frame = discard }
    }

    /// Takes a packet; `None` says that no more will come. A packet that the decoder refuses is lost, which
    /// shows as a missing frame.
    pub fn send(&mut self, packet: Option<&Packet>) {
        let packet = packet.map_or(ptr::null(), |packet| packet.0.cast_const());
        // SAFETY: the context is open; the packet is valid or null for the end.
        if unsafe { ffi::avcodec_send_packet(self.context, packet) } >= 0 {
            self.idle = 0;
        }
    }

    /// The next frame in the order of presentation.
    pub fn receive(&mut self) -> Decoded {
        let Some(mut frame) = Frame::new() else {
            return Decoded::End;
        };
        loop {
            // SAFETY: both are valid and ours alone.
            match unsafe { ffi::avcodec_receive_frame(self.context, frame.raw_mut()) } {
                0.. if frame.is_good() => {
                    self.idle = 0;
                    return Decoded::Frame(frame);
                }
                AVERROR_EOF => return Decoded::End,
                code if code == AVERROR(EAGAIN) => return Decoded::Hungry,
                // An undecodable frame: what follows it may be fine.
                _ => self.idle += 1,
            }
            if self.idle > MAX_IDLE_CALLS {
                return Decoded::End;
            }
        }
    }

    /// Forgets everything that was sent, after a seek.
    pub fn flush(&mut self) {
        self.idle = 0;
        // SAFETY: the context is open and ours alone.
        unsafe { ffi::avcodec_flush_buffers(self.context) }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: allocated in `open`, freed once.
        unsafe { ffi::avcodec_free_context(&mut self.context) }
    }
}

/// A decoded picture in a buffer of the decoder's pool, which gets it back when this is dropped.
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

    /// Whether there is a picture in it. One that the decoder mended counts: it shows more than a repeat.
    fn is_good(&self) -> bool {
        let raw = self.raw();
        raw.flags & ffi::AV_FRAME_FLAG_CORRUPT == 0
            && raw.width > 0
            && raw.height > 0
            && !raw.data[0].is_null()
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        // SAFETY: allocated in `new`, freed once.
        unsafe { ffi::av_frame_free(&mut self.0) }
    }
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
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: null or a dictionary that is ours.
        unsafe { ffi::av_dict_free(&mut self.0) }
    }
}
