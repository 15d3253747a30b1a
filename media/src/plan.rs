//! Which quality serves which frames of a video: one continuous timeline of N frames, cut into one piece
//! for each quality, lowest first.

use std::ops::Range;

/// A run of frames from one quality.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Index into [`Video::clips`](crate::Video::clips), 0 the lowest.
    pub quality: usize,
    /// Frames of the timeline, never empty.
    pub frames: Range<u32>,
}

/// The pieces of one viewing: contiguous, from frame 0 to the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan(Vec<Segment>);

impl Plan {
    /// The plan of chatroom: the remainder of `frames` by `qualities` comes first, from the lowest quality,
    /// then an equal share from each in turn. No qualities count as one.
    pub fn remainder_first(frames: u32, qualities: usize) -> Plan {
        let (share, remainder) = shares(frames, qualities);
        Plan::cut(frames, qualities, |quality| {
            if quality == 0 {
                share + remainder
            } else {
                share
            }
        })
    }

    /// The plan of videochat: an equal share of `frames` from each quality in turn; the highest serves the
    /// rest as well. No qualities count as one.
    pub fn remainder_last(frames: u32, qualities: usize) -> Plan {
        let (share, remainder) = shares(frames, qualities);
        let last = qualities.saturating_sub(1);
        Plan::cut(frames, qualities, |quality| {
            if quality == last {
                share + remainder
            } else {
                share
            }
        })
    }

    /// All of `frames` from one quality.
    pub fn single(frames: u32, quality: usize) -> Plan {
        let all = Segment {
            quality,
            frames: 0..frames,
        };
        Plan((frames > 0).then_some(all).into_iter().collect())
    }

    fn cut(frames: u32, qualities: usize, length: impl Fn(usize) -> u32) -> Plan {
        let mut segments = Vec::new();
        let mut start = 0;
        for quality in 0..qualities.max(1) {
            let end = start + length(quality);
            if end > start {
                segments.push(Segment {
                    quality,
                    frames: start..end,
                });
            }
            start = end;
        }
        debug_assert_eq!(start, frames);
        Plan(segments)
    }

    /// The pieces in order.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The quality that serves frame `i`; `None` past the end.
    pub fn quality_of(&self, i: u32) -> Option<usize> {
        let at = self.0.partition_point(|segment| segment.frames.end <= i);
        self.0.get(at).map(|segment| segment.quality)
    }

    /// How many frames the viewing has.
    pub fn len(&self) -> u32 {
        self.0.last().map_or(0, |segment| segment.frames.end)
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Frames for each quality, and the frames left over.
fn shares(frames: u32, qualities: usize) -> (u32, u32) {
    match u32::try_from(qualities.max(1)) {
        Ok(qualities) => (frames / qualities, frames % qualities),
        Err(_) => (0, frames),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_remainder_goes_where_the_protocol_says() {
        let plan = Plan::remainder_first(11, 3);
        let expected = [(0, 0..5), (1, 5..8), (2, 8..11)];
        assert!(
            plan.segments()
                .iter()
                .map(|s| (s.quality, s.frames.clone()))
                .eq(expected)
        );

        let plan = Plan::remainder_last(11, 3);
        let expected = [(0, 0..3), (1, 3..6), (2, 6..11)];
        assert!(
            plan.segments()
                .iter()
                .map(|s| (s.quality, s.frames.clone()))
                .eq(expected)
        );
    }

    #[test]
    fn fewer_frames_than_qualities_leave_no_empty_segments() {
        assert_eq!(
            Plan::remainder_first(2, 5).segments(),
            [Segment {
                quality: 0,
                frames: 0..2
            }]
        );
        assert_eq!(
            Plan::remainder_last(2, 5).segments(),
            [Segment {
                quality: 4,
                frames: 0..2
            }]
        );
        assert!(Plan::remainder_first(0, 5).is_empty());
        assert_eq!(Plan::remainder_last(7, 0).len(), 7);
    }

    #[test]
    fn one_quality_may_serve_all_frames() {
        let plan = Plan::single(7, 2);
        assert_eq!((plan.len(), plan.segments().len()), (7, 1));
        assert_eq!((plan.quality_of(6), plan.quality_of(7)), (Some(2), None));
        assert!(Plan::single(0, 2).is_empty());
    }

    proptest! {
        #[test]
        fn every_frame_is_served_once_and_in_proportion(frames: u32, qualities in 1usize..=8) {
            let (share, remainder) = (frames / qualities as u32, frames % qualities as u32);
            for (plan, generous) in [
                (Plan::remainder_first(frames, qualities), 0),
                (Plan::remainder_last(frames, qualities), qualities - 1),
            ] {
                prop_assert_eq!(plan.len(), frames);
                let mut next = 0;
                let mut lengths = vec![0; qualities];
                for segment in plan.segments() {
                    prop_assert_eq!(segment.frames.start, next);
                    prop_assert!(segment.frames.end > next);
                    next = segment.frames.end;
                    lengths[segment.quality] += segment.frames.end - segment.frames.start;
                    prop_assert_eq!(plan.quality_of(segment.frames.start), Some(segment.quality));
                    prop_assert_eq!(plan.quality_of(segment.frames.end - 1), Some(segment.quality));
                }
                prop_assert_eq!(plan.quality_of(frames), None);
                for (quality, length) in lengths.into_iter().enumerate() {
                    let expected = if quality == generous { share + remainder } else { share };
                    prop_assert_eq!(length, expected);
                }
            }
        }
    }
}
