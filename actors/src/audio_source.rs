//! The sound of the house, one for all: a row of samples, played by the clock whether anybody hears it
//! or not, so that everyone hears the same moment. Read ahead by a thread of its own; where the source
//! has nothing, there is silence.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::prelude::*;
use bytes::Bytes;
use playhouse_media::{AudioInput, SAMPLE_RATE, Tone};
use playhouse_protocols::lan::{BUFFER_SAMPLES, encode_samples};
use tokio::time::Instant;

use crate::locks::locked;
use crate::messages::{Observation, Observe};
use crate::persistence::{Attempt, PATIENCE, Reading};
use crate::settings::Sound;
use crate::sound_queue::SoundQueue;

/// The pitch of the tone, in hertz.
const PITCH: u32 = 440;
/// When the house stood still for so long, what was due meanwhile is not played at once.
const STANDSTILL: Duration = Duration::from_secs(1);

/// A buffer of sound, in lan_audio's wire format.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Played(pub Bytes);

/// Everybody who hears the house's sound; clones share the list. It outlives an [`AudioSource`] that has
/// to be rebuilt.
#[derive(Clone, Default)]
pub struct Hearers(Arc<Mutex<HearerList>>);

#[derive(Default)]
struct HearerList {
    next: u64,
    here: HashMap<u64, Recipient<Played>>,
}

/// Hearing the house's sound; over when it is dropped.
pub struct Hearing {
    number: u64,
    hearers: Hearers,
}

impl Hearers {
    /// From the next buffer on, `seat` gets each.
    pub fn hear(&self, seat: Recipient<Played>) -> Hearing {
        let mut list = locked(&self.0);
        let number = list.next;
        list.next += 1;
        list.here.insert(number, seat);
        let hearers = self.clone();
        Hearing { number, hearers }
    }

    fn play(&self, buffer: &Bytes) {
        for seat in locked(&self.0).here.values() {
            seat.do_send(Played(buffer.clone()));
        }
    }

    fn len(&self) -> usize {
        locked(&self.0).here.len()
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        let seat = locked(&self.hearers.0).here.remove(&self.number);
        // Not under the lock: it may be the last address of whoever heard.
        drop(seat);
    }
}

/// The one who plays.
pub struct AudioSource {
    source: Sound,
    /// Of the video whose sound is the sample.
    sample: PathBuf,
    hearers: Hearers,
    queue: Arc<SoundQueue>,
    reading: Option<Reading>,
    began: Instant,
    /// Buffers played since.
    played: u64,
    /// Of these, those for which the source had nothing.
    silent: u64,
}

impl AudioSource {
    pub fn new(source: Sound, sample: PathBuf, hearers: Hearers) -> AudioSource {
        AudioSource {
            source,
            sample,
            hearers,
            queue: Arc::default(),
            reading: None,
            began: Instant::now(),
            played: 0,
            silent: 0,
        }
    }

    /// Plays what is due, and comes again when the next buffer is.
    fn play(&mut self, ctx: &mut Context<Self>) {
        let late = self.began.elapsed().saturating_sub(time_of(self.played));
        if late > STANDSTILL {
            tracing::warn!(
                milliseconds = late.as_millis(),
                "the sound goes on after the house stood still"
            );
            self.began += late;
        }
        while time_of(self.played) <= self.began.elapsed() {
            let buffer = self.next();
            self.hearers.play(&buffer);
            self.played += 1;
        }
        let due = self.began + time_of(self.played);
        let wait = due.saturating_duration_since(Instant::now());
        ctx.run_later(wait, Self::play);
    }

    fn next(&mut self) -> Bytes {
        match self.queue.take(BUFFER_SAMPLES) {
            Some(samples) => encode_samples(&samples),
            None => {
                self.silent += 1;
                encode_samples(&[0; BUFFER_SAMPLES])
            }
        }
    }
}

/// When the buffer of this number is due. Reckoned from the beginning each time: nothing adds up.
fn time_of(buffer: u64) -> Duration {
    let rate = u64::from(SAMPLE_RATE);
    let samples = buffer * BUFFER_SAMPLES as u64;
    let rest = samples % rate * 1_000_000_000 / rate;
    Duration::from_secs(samples / rate) + Duration::from_nanos(rest)
}

impl Actor for AudioSource {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let (source, sample) = (self.source.clone(), self.sample.clone());
        let queue = self.queue.clone();
        let read = move |attempt: &Attempt| match &source {
            Sound::Tone => play_tone(&queue, attempt),
            Sound::Address(address) => play_input(address, &queue, attempt),
            Sound::Sample => play_sample(&sample, &queue, attempt),
        };
        self.reading = Some(Reading::start("lan_audio.source", read));
        self.began = Instant::now();
        self.play(ctx);
    }
}

fn play_tone(queue: &SoundQueue, attempt: &Attempt) -> String {
    attempt.connected();
    let mut tone = Tone::new(PITCH);
    let mut samples = Vec::new();
    while !attempt.is_stopped() {
        samples.clear();
        tone.read(BUFFER_SAMPLES, &mut samples);
        queue.put(&samples, || attempt.is_stopped());
    }
    String::new()
}

fn play_sample(sample: &Path, queue: &SoundQueue, attempt: &Attempt) -> String {
    let address = sample.display().to_string();
    match sample.is_file() {
        true => play_input(&address, queue, attempt),
        false => {
            tracing::warn!(
                sample = address,
                "no sample video in server.videos_dir: lan_audio plays a tone (lan_audio.source)"
            );
            play_tone(queue, attempt)
        }
    }
}

/// Plays until it breaks off; says why.
fn play_input(address: &str, queue: &SoundQueue, attempt: &Attempt) -> String {
    let mut input = match AudioInput::open(address, attempt.stop_flag(), PATIENCE) {
        Ok(input) => input,
        Err(error) => return error.to_string(),
    };
    attempt.connected();
    tracing::info!(source = "lan_audio.source", "sound begins");
    let mut samples = Vec::new();
    while !attempt.is_stopped() {
        samples.clear();
        if let Err(error) = input.read(&mut samples) {
            return error.to_string();
        }
        match input.runs_ahead() {
            true => queue.put(&samples, || attempt.is_stopped()),
            false => queue.put_live(&samples),
        }
    }
    String::new()
}

impl Handler<Observe> for AudioSource {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::AudioSource {
            connected: self.reading.as_ref().is_some_and(Reading::is_connected),
            hearers: self.hearers.len(),
            played: self.played,
            silent: self.silent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_due_by_the_clock_without_drift() {
        assert_eq!(time_of(0), Duration::ZERO);
        // 44,100 buffers are 4,096 seconds, to the nanosecond, however many came before.
        for days in [0, 1, 1000, 1_000_000] {
            let n = days * 86_400 * 44_100 / 4096;
            let whole = n / 44_100 * 44_100;
            assert_eq!(time_of(whole), Duration::from_secs(whole / 44_100 * 4096));
            let apart = time_of(n + 1) - time_of(n);
            assert!(
                (92_879_817..=92_879_820).contains(&apart.as_nanos()),
                "{apart:?}"
            );
        }
    }
}
