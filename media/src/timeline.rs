//! When which frame of a clip is due, from what its packets and its container say.

use std::path::Path;

use crate::av::StreamFacts;
use crate::clip::ClipError;

/// Frame rates that containers make up when they don't know are far above this.
const MAX_FRAME_RATE: f64 = 1000.0;
const USUAL_FRAME_RATE: f64 = 25.0;

/// What the index needs of a packet.
pub(crate) struct Stamp {
    pub pts: Option<i64>,
    pub dts: Option<i64>,
    pub key: bool,
    pub hidden: bool,
}

/// A frame from which decoding can start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub frame: u32,
    pub pts: i64,
    pub dts: i64,
}

/// When which frame is due.
pub(crate) struct Timeline {
    pub counted: bool,
    pub time_base: (i64, i64),
    pub frame_rate: f64,
    pub stamps: Vec<i64>,
    pub keys: Vec<Key>,
}

impl Timeline {
    pub fn new(path: &Path, packets: &[Stamp], facts: &StreamFacts) -> Result<Timeline, ClipError> {
        let shown = || packets.iter().filter(|packet| !packet.hidden);
        let counted = shown().any(|packet| packet.pts.is_none());
        let known_rate = is_frame_rate(facts.frame_rate).then_some(facts.frame_rate);

        let mut time_base = facts.time_base;
        let mut frames: Vec<(i64, Option<i64>, bool)> = Vec::new();
        if shown().all(|packet| packet.pts.or(packet.dts).is_some()) {
            frames.extend(shown().filter_map(|p| Some((p.pts.or(p.dts)?, p.dts, p.key))));
            frames.sort_by_key(|&(stamp, ..)| stamp);
        } else {
            // Units of one frame.
            time_base = (
                1_000_000,
                (known_rate.unwrap_or(USUAL_FRAME_RATE) * 1e6)
                    .round()
                    .max(1.0) as i64,
            );
            frames.extend((0..).zip(shown()).map(|(i, p)| (i, p.dts, p.key)));
        }

        let (Some(&(first, ..)), Some(&(last, ..))) = (frames.first(), frames.last()) else {
            return Err(ClipError::NoFrames { path: path.into() });
        };
        let frame_rate = known_rate.unwrap_or_else(|| {
            let seconds = (last as f64 - first as f64) * time_base.0 as f64 / time_base.1 as f64;
            let rate = (frames.len() - 1) as f64 / seconds;
            if rate.is_finite() && rate > 0.001 {
                rate.min(MAX_FRAME_RATE)
            } else {
                USUAL_FRAME_RATE
            }
        });
        let keys = (0..).zip(&frames).filter(|(_, (.., key))| *key);
        Ok(Timeline {
            counted,
            time_base,
            frame_rate,
            keys: keys
                .map(|(frame, &(pts, dts, _))| Key {
                    frame,
                    pts,
                    dts: dts.unwrap_or(pts),
                })
                .collect(),
            stamps: frames.iter().map(|&(stamp, ..)| stamp).collect(),
        })
    }
}

fn is_frame_rate(rate: f64) -> bool {
    rate > 0.0 && rate <= MAX_FRAME_RATE
}

/// The rate, in frames a second, or the usual one where it is none.
pub(crate) fn known_rate(rate: f64) -> f64 {
    if is_frame_rate(rate) {
        rate
    } else {
        USUAL_FRAME_RATE
    }
}
