//! From packets to frames.

use std::ptr;

use ffmpeg_next::ffi::{self, AVERROR, AVERROR_EOF, EAGAIN};

use super::{AvError, Frame, Input, Options, Packet, check};

/// A decoder must take a packet or give a frame after so many calls; one that doesn't is stuck.
const MAX_IDLE_CALLS: u32 = 64;

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
    /// For a file: with several threads, frames come out late.
    pub fn open(input: &Input, index: i32, threads: usize) -> Result<Decoder, AvError> {
        Decoder::with_flags(input, index, threads, 0)
    }

    /// For a live source: threads share a frame's work, so that it comes out as soon as its packet is there.
    pub fn open_prompt(input: &Input, index: i32, threads: usize) -> Result<Decoder, AvError> {
        Decoder::with_flags(input, index, threads, ffi::AV_CODEC_FLAG_LOW_DELAY as i32)
    }

    fn with_flags(
        input: &Input,
        index: i32,
        threads: usize,
        flags: i32,
    ) -> Result<Decoder, AvError> {
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
            (*context).flags |= flags;
            let mut options = Options::new();
            options.limit_frames()?;
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
    /// shows as a missing frame; then this is false.
    pub fn send(&mut self, packet: Option<&Packet>) -> bool {
        let packet = packet.map_or(ptr::null(), |packet| ptr::from_ref(packet.raw()));
        // SAFETY: the context is open; the packet is valid or null for the end.
        let taken = unsafe { ffi::avcodec_send_packet(self.context, packet) } >= 0;
        if taken {
            self.idle = 0;
        }
        taken
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
        // SAFETY: allocated in `with_flags`, freed once.
        unsafe { ffi::avcodec_free_context(&mut self.context) }
    }
}
