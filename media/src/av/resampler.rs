//! From sound of any rate, sample format and channels to one channel of 16 bit, with libswresample.

use std::{mem, ptr};

use ffmpeg_next::ffi::{self, AVChannelLayout, AVChannelOrder, AVSampleFormat};

use super::Frame;

/// What libswresample can mix.
const MAX_CHANNELS: usize = 64;
/// Samples a second; what lies outside comes from a broken file, and would make of one frame millions.
const RATES: std::ops::RangeInclusive<i32> = 1_000..=1_000_000;

/// How the samples of a frame lie, and what they mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SoundShape {
    format: AVSampleFormat,
    /// Samples a second.
    rate: i32,
    /// From 1 to `MAX_CHANNELS`.
    channels: usize,
    /// A bit for each place that has a loudspeaker; 0 if that isn't known.
    places: u64,
}

impl SoundShape {
    /// `None` if there is no sound in it, or none that can be converted.
    pub fn of(frame: &Frame) -> Option<SoundShape> {
        let raw = frame.raw();
        let layout = &raw.ch_layout;
        let channels = usize::try_from(layout.nb_channels).ok()?;
        let fits = (1..=MAX_CHANNELS).contains(&channels) && RATES.contains(&raw.sample_rate);
        let places = if layout.order == AVChannelOrder::AV_CHANNEL_ORDER_NATIVE {
            // SAFETY: layouts of this order have a mask.
            unsafe { layout.u.mask }
        } else {
            0
        };
        let shape = SoundShape {
            format: sample_format(raw.format)?,
            rate: raw.sample_rate,
            channels,
            places,
        };
        fits.then_some(shape)
    }

    /// Samples a second, for each channel.
    pub fn rate(&self) -> i64 {
        self.rate.into()
    }

    fn layout(&self) -> AVChannelLayout {
        // SAFETY: all zeros are a valid layout; the calls fill it in, with no memory to be freed.
        unsafe {
            let mut layout = mem::zeroed();
            if self.places == 0 || ffi::av_channel_layout_from_mask(&mut layout, self.places) < 0 {
                let channels = i32::try_from(self.channels).unwrap_or(0);
                ffi::av_channel_layout_default(&mut layout, channels);
            }
            layout
        }
    }

    /// Where the samples of each plane begin, from sample `at` on.
    fn planes(&self, frame: &Frame, at: usize) -> [*const u8; MAX_CHANNELS] {
        let mut planes = [ptr::null(); MAX_CHANNELS];
        // SAFETY: a frame has samples of its format for each of its channels, in as many planes as that
        // format asks for; `convert` has checked that `at` is one of them.
        unsafe {
            let size = usize::try_from(ffi::av_get_bytes_per_sample(self.format)).unwrap_or(0);
            let planar = ffi::av_sample_fmt_is_planar(self.format) != 0;
            let (count, step) = if planar {
                (self.channels, size)
            } else {
                (1, size * self.channels)
            };
            for (i, plane) in planes.iter_mut().enumerate().take(count) {
                *plane = (*frame.raw().extended_data.add(i)).add(at * step);
            }
        }
        planes
    }
}

/// Converts one sound, frame after frame; its filter runs on from one to the next.
pub(crate) struct Resampler {
    context: *mut ffi::SwrContext,
    from: SoundShape,
}

// SAFETY: the context isn't tied to the thread that made it, and `Resampler` is its only owner.
unsafe impl Send for Resampler {}

impl Resampler {
    /// To `rate` samples a second. Stereo is mixed in equal parts, and so are channels of which it isn't known
    /// how they belong together. `None` if libswresample can't convert so, or memory ran out.
    pub fn new(from: SoundShape, rate: u32) -> Option<Resampler> {
        Resampler::mixed(from, rate, false).or_else(|| Resampler::mixed(from, rate, true))
    }

    fn mixed(from: SoundShape, rate: u32, equally: bool) -> Option<Resampler> {
        let mut context = ptr::null_mut();
        let mut source = from.layout();
        let rate = i32::try_from(rate).ok()?;
        // SAFETY: the layouts live as long as the call, which copies them.
        let set = unsafe {
            let mut mono = mem::zeroed();
            ffi::av_channel_layout_default(&mut mono, 1);
            ffi::swr_alloc_set_opts2(
                &mut context,
                &mut mono,
                AVSampleFormat::AV_SAMPLE_FMT_S16,
                rate,
                &mut source,
                from.format,
                from.rate,
                0,
                ptr::null_mut(),
            )
        };
        let resampler = Resampler { context, from };
        if set < 0 || context.is_null() {
            return None;
        }
        let shares = [1.0 / from.channels as f64; MAX_CHANNELS];
        // SAFETY: the context is set up and not initialised yet; the matrix of one row has a column for each
        // channel, and is copied.
        let ready = unsafe {
            (!equally || ffi::swr_set_matrix(context, shares.as_ptr(), 0) >= 0)
                && ffi::swr_init(context) >= 0
        };
        ready.then_some(resampler)
    }

    /// What it converts from.
    pub fn shape(&self) -> SoundShape {
        self.from
    }

    /// Appends what `count` samples of the frame, from sample `at` on, become: about as long a time, a little
    /// later. `None` if the frame hasn't so many, or is of another shape, or memory ran out.
    pub fn convert(
        &mut self,
        frame: &Frame,
        at: usize,
        count: usize,
        to: &mut Vec<i16>,
    ) -> Option<()> {
        let end = at.checked_add(count)?;
        if SoundShape::of(frame) != Some(self.from) || end > frame.samples() {
            return None;
        }
        let mut planes = self.from.planes(frame, at);
        self.run(planes.as_mut_ptr(), i32::try_from(count).ok()?, to)
    }

    /// Appends what is still in the filter. Nothing may be converted afterwards.
    pub fn finish(mut self, to: &mut Vec<i16>) {
        // What can't be had is a fraction of a millisecond.
        let _ = self.run(ptr::null_mut(), 0, to);
    }

    fn run(&mut self, from: *mut *const u8, count: i32, to: &mut Vec<i16>) -> Option<()> {
        let length = to.len();
        // SAFETY: the context is initialised; `from` is null or has `count` samples in each plane that it
        // asks for; the output has room for as many samples as it is told.
        let written = unsafe {
            let room = ffi::swr_get_out_samples(self.context, count);
            to.resize(length.checked_add(usize::try_from(room).ok()?)?, 0);
            let mut target = to.as_mut_ptr().add(length).cast();
            ffi::swr_convert(self.context, &mut target, room, from, count)
        };
        to.truncate(length + usize::try_from(written).unwrap_or(0));
        (written >= 0).then_some(())
    }
}

impl Drop for Resampler {
    fn drop(&mut self) {
        // SAFETY: made by swr_alloc_set_opts2, freed once; null is allowed.
        unsafe { ffi::swr_free(&mut self.context) }
    }
}

fn sample_format(format: i32) -> Option<AVSampleFormat> {
    let known = (0..AVSampleFormat::AV_SAMPLE_FMT_NB as i32).contains(&format);
    // SAFETY: the enumeration has a value for each number below AV_SAMPLE_FMT_NB.
    known.then(|| unsafe { mem::transmute::<i32, AVSampleFormat>(format) })
}
