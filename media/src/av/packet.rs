//! A compressed frame.

use std::slice;

use ffmpeg_next::ffi;

use super::{AvError, known};

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

    pub(super) fn raw(&self) -> &ffi::AVPacket {
        // SAFETY: allocated in `new`, freed in `drop`.
        unsafe { &*self.0 }
    }

    /// Which stream of its container it belongs to.
    pub fn stream(&self) -> i32 {
        self.raw().stream_index
    }

    pub fn pts(&self) -> Option<i64> {
        known(self.raw().pts)
    }

    pub fn dts(&self) -> Option<i64> {
        known(self.raw().dts)
    }

    /// How long it lasts, in the unit of its time stamps; 0 if that isn't known.
    pub fn duration(&self) -> i64 {
        self.raw().duration
    }

    pub fn is_key(&self) -> bool {
        self.raw().flags & ffi::AV_PKT_FLAG_KEY != 0
    }

    /// Needed to decode others but not shown, because of an edit list.
    pub fn is_hidden(&self) -> bool {
        self.raw().flags & ffi::AV_PKT_FLAG_DISCARD != 0
    }

    pub(super) fn raw_mut(&mut self) -> &mut ffi::AVPacket {
        // SAFETY: allocated in `new`, freed in `drop`, and ours alone.
        unsafe { &mut *self.0 }
    }

    /// How long it is shown, in the unit of its time stamps.
    pub fn set_duration(&mut self, duration: i64) {
        self.raw_mut().duration = duration;
    }

    /// What it holds.
    pub fn bytes(&self) -> &[u8] {
        let raw = self.raw();
        match usize::try_from(raw.size) {
            // SAFETY: a packet with data has `size` bytes of it.
            Ok(size) if !raw.data.is_null() => unsafe { slice::from_raw_parts(raw.data, size) },
            _ => &[],
        }
    }

    pub(super) fn clear(&mut self) {
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
