//! Sound of files, streams and devices as one row of samples.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::av::{Decoded, Decoder, Frame, Medium, Resampler, SoundFacts, SoundShape};
use crate::live_error::LiveError;
use crate::live_feed::Feed;

/// Samples a second of all sound that leaves this crate.
pub const SAMPLE_RATE: u32 = 44_100;

/// About so many samples are given at once, at most.
const CHUNK: usize = 4096;
/// So many packets in a row without sound are the end: about a minute.
const MAX_BARREN: u32 = 3000;
/// What can't be decoded is replaced by silence, so long at most for each packet.
const MAX_SILENCE: usize = SAMPLE_RATE as usize;
/// A shorter file would be opened more often than it is heard.
const MIN_ROUND: Duration = Duration::from_millis(10);

/// Sound as one row of samples: signed 16 bit, mono, [`SAMPLE_RATE`] of them a second. Blocking; belongs on a
/// thread of its own.
pub struct AudioInput {
    feed: Feed,
    round: Round,
    /// Made for the frames that came last. It goes on when a file begins again.
    resampler: Option<Resampler>,
}

impl AudioInput {
    /// Opens what `url` names: a path of a file, which is played in a loop; `scheme://…` for what FFmpeg
    /// reads from the network; `device:FORMAT:NAME` for a capture device (`device:pulse:default`,
    /// `device:alsa:default`, `device:lavfi:sine`). Pictures beside the sound are left out.
    ///
    /// `stop`, set from another thread, ends any call that waits, within about 0.1 s, and so does a wait of
    /// more than `patience` for the next of the source's packets. Looking a host's name up is the one thing
    /// that neither can end, besides a sound server's answer when one of its devices is opened.
    ///
    /// # Errors
    /// All of [`LiveError`] but `TooShort`, `Ended`, `Broken` and what is said of pictures.
    pub fn open(
        url: &str,
        stop: Arc<AtomicBool>,
        patience: Duration,
    ) -> Result<AudioInput, LiveError> {
        let mut feed = Feed::open(url, Medium::Sound, stop, patience)?;
        let round = Round::open(&mut feed)?;
        Ok(AudioInput {
            feed,
            round,
            resampler: None,
        })
    }

    /// Whether sound comes as fast as it is asked for, so that the caller has to keep the pace: a file, but
    /// also a recording or a segmented stream (HLS, DASH) on the network, and sound that FFmpeg makes itself
    /// (`device:lavfi:…`).
    pub fn runs_ahead(&self) -> bool {
        self.feed.runs_ahead()
    }

    /// Appends the next samples, at least one and some thousands at most, waiting for them if need be. A file
    /// begins again at its end, without a gap; all else ends with an error. What can't be decoded is silence
    /// for as long as it would have lasted, if that is known.
    ///
    /// # Errors
    /// The source is to be opened anew after any of them. Nothing was appended.
    pub fn read(&mut self, to: &mut Vec<i16>) -> Result<(), LiveError> {
        let length = to.len();
        loop {
            if self.feed.is_stopped() {
                return Err(LiveError::Stopped);
            }
            while self.round.is_piece_ready(&self.feed) {
                self.give(to);
                if to.len() > length {
                    return Ok(());
                }
            }
            match self.round.decoder.receive() {
                Decoded::Frame(frame) => {
                    self.round.add(frame);
                    continue;
                }
                Decoded::Hungry if !self.round.drained => {}
                Decoded::End if !self.round.drained => {
                    return Err(self.feed.broken("the decoder is stuck".to_owned()));
                }
                Decoded::Hungry | Decoded::End if !self.round.ended => {
                    self.round.end();
                    continue;
                }
                Decoded::Hungry | Decoded::End => {
                    self.begin_again(to)?;
                    if to.len() > length {
                        return Ok(());
                    }
                    continue;
                }
            }
            if self.round.barren == MAX_BARREN {
                let reason = format!("{MAX_BARREN} packets gave no sound");
                return Err(self.feed.broken(reason));
            }
            self.round.barren += 1;
            self.round.read(&mut self.feed)?;
        }
    }

    /// Appends what becomes of the first piece, or of a part of it. That may be nothing yet.
    fn give(&mut self, to: &mut Vec<i16>) {
        let length = to.len();
        let Round {
            pieces,
            given,
            barren,
            ..
        } = &mut self.round;
        match pieces.front_mut() {
            None => return,
            Some(Piece::Silence { left }) => {
                let count = CHUNK.min(*left);
                to.resize(length + count, 0);
                *left -= count;
                if *left > 0 {
                    return;
                }
            }
            Some(Piece::Sound { frame, at, end }) => {
                if let Some(shape) = SoundShape::of(frame)
                    && let Some(resampler) = suited(&mut self.resampler, shape, to)
                {
                    let count = chunk(shape).min(end.saturating_sub(*at));
                    let converted = resampler.convert(frame, *at, count, to);
                    if to.len() > length {
                        *given = given.saturating_add(to.len() - length);
                        *barren = 0;
                    }
                    *at += count;
                    if converted.is_some() && *at < *end {
                        return;
                    }
                }
            }
        }
        pieces.pop_front();
    }

    /// After the last sample. What isn't a file gives what the resampler holds back, and the next time, an
    /// error.
    fn begin_again(&mut self, to: &mut Vec<i16>) -> Result<(), LiveError> {
        if self.feed.is_file() && self.round.given < samples(MIN_ROUND) {
            return Err(LiveError::TooShort {
                address: self.feed.address(),
                least: MIN_ROUND,
            });
        }
        if !self.feed.is_file()
            && let Some(resampler) = self.resampler.take()
        {
            resampler.finish(to);
            return Ok(());
        }
        self.feed.begin_again()?;
        self.round = Round::open(&mut self.feed)?;
        Ok(())
    }
}

/// The resampler for this shape; when there was one for another, what that one held back is appended.
fn suited<'a>(
    resampler: &'a mut Option<Resampler>,
    shape: SoundShape,
    to: &mut Vec<i16>,
) -> Option<&'a mut Resampler> {
    if let Some(other) = resampler.take_if(|resampler| resampler.shape() != shape) {
        other.finish(to);
    }
    if resampler.is_none() {
        *resampler = Resampler::new(shape, SAMPLE_RATE);
    }
    resampler.as_mut()
}

/// How many samples of this shape become about [`CHUNK`].
fn chunk(shape: SoundShape) -> usize {
    let count = CHUNK as i64 * shape.rate() / i64::from(SAMPLE_RATE);
    usize::try_from(count).map_or(1, |count| count.max(1))
}

fn samples(time: Duration) -> usize {
    let samples = time.as_millis() * u128::from(SAMPLE_RATE) / 1000;
    usize::try_from(samples).unwrap_or(usize::MAX)
}

/// A source from its beginning to its end.
struct Round {
    facts: SoundFacts,
    decoder: Decoder,
    /// What is still to be given.
    pieces: VecDeque<Piece>,
    /// When the last packet said it begins, and how long it lasts.
    stamp: Option<i64>,
    duration: i64,
    /// Whether the decoder knows that no packet will come.
    drained: bool,
    /// Whether the last piece is the last one.
    ended: bool,
    /// How many samples it has given, silence left out.
    given: usize,
    /// How many packets were read since it gave any.
    barren: u32,
}

enum Piece {
    /// Samples `at` to `end` of a frame.
    Sound { frame: Frame, at: usize, end: usize },
    /// In place of so many samples.
    Silence { left: usize },
}

impl Round {
    fn open(feed: &mut Feed) -> Result<Round, LiveError> {
        let facts = feed.input().sound().ok_or_else(|| LiveError::NoSound {
            address: feed.address(),
        })?;
        feed.select(facts.index);
        let decoder = Decoder::open(feed.input(), facts.index, 1);
        Ok(Round {
            facts,
            decoder: decoder.map_err(|error| feed.undecodable(error))?,
            pieces: VecDeque::new(),
            stamp: None,
            duration: 0,
            drained: false,
            ended: false,
            given: 0,
            barren: 0,
        })
    }

    /// Reads the next packet and hands it to the decoder.
    fn read(&mut self, feed: &mut Feed) -> Result<(), LiveError> {
        if !feed.read()? {
            self.drained = true;
            self.decoder.send(None);
            return Ok(());
        }
        let packet = feed.packet();
        self.stamp = packet.pts();
        self.duration = packet.duration();
        let begun = self.given > 0 || !self.pieces.is_empty();
        if !self.decoder.send(Some(packet)) && begun {
            let left = self.samples_of(self.duration).min(MAX_SILENCE);
            self.pieces.push_back(Piece::Silence { left });
        }
        Ok(())
    }

    fn add(&mut self, frame: Frame) {
        let end = frame.samples();
        self.pieces.push_back(Piece::Sound { frame, at: 0, end });
    }

    /// Whether the first piece may be given. The last one of a file has to wait until it is known to be that,
    /// since it may have to be cut.
    fn is_piece_ready(&self, feed: &Feed) -> bool {
        let wait = feed.is_file() && !self.ended;
        self.pieces.len() > usize::from(wait)
    }

    /// Nothing follows. Decoders give frames of one length; where the time stamps count samples, the last
    /// packet says how many of its frame are sound.
    fn end(&mut self) {
        self.ended = true;
        if let Some(Piece::Sound { frame, end, .. }) = self.pieces.back_mut()
            && SoundShape::of(frame).is_some_and(|shape| self.facts.time_base == (1, shape.rate()))
            && frame.pts() == self.stamp
            && self.duration > 0
        {
            *end = usize::try_from(self.duration).map_or(*end, |declared| declared.min(*end));
        }
    }

    /// How many samples last so long, in the units of the stream's time stamps.
    fn samples_of(&self, duration: i64) -> usize {
        let (numerator, denominator) = self.facts.time_base;
        let samples = i128::from(duration) * i128::from(numerator) * i128::from(SAMPLE_RATE)
            / i128::from(denominator);
        // Less than none if the duration is a wrong one.
        usize::try_from(samples.max(0)).unwrap_or(usize::MAX)
    }
}
