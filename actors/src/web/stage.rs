//! What one page watches, by the page's own numbers, and what of it is on its way.

use std::collections::{HashMap, VecDeque};

use crate::viewing::Viewing;

/// Streams that a page may have at once.
pub const MAX_STREAMS: usize = 16;
/// Buffers of sound that wait to be written.
const MAX_SOUND: usize = 16;

struct Stream {
    /// Drawn anew for each `watch`.
    viewing: u64,
    /// `None` until it is found.
    shown: Option<Viewing>,
}

/// What is queued, in order.
enum Queued {
    Frame { viewing: u64 },
    Sound,
}

/// All of it.
#[derive(Default)]
pub struct Stage {
    streams: HashMap<u32, Stream>,
    next: u64,
    queued: VecDeque<Queued>,
    sounds: usize,
}

impl Stage {
    /// A number for what is to be watched as `stream`, under which nothing is watched. `None`: there are too
    /// many.
    pub fn begin(&mut self, stream: u32) -> Option<u64> {
        if self.streams.len() >= MAX_STREAMS {
            return None;
        }
        self.next += 1;
        let viewing = self.next;
        let shown = None;
        self.streams.insert(stream, Stream { viewing, shown });
        Some(viewing)
    }

    /// It was found, and is shown; dropped if it is not wanted any more.
    pub fn show(&mut self, stream: u32, viewing: u64, shown: Viewing) {
        if let Some(begun) = self.current(stream, viewing) {
            begun.shown = Some(shown);
        }
    }

    /// Whether that is still what is to be watched.
    pub fn is_current(&mut self, stream: u32, viewing: u64) -> bool {
        self.current(stream, viewing).is_some()
    }

    fn current(&mut self, stream: u32, viewing: u64) -> Option<&mut Stream> {
        let begun = self.streams.get_mut(&stream);
        begun.filter(|begun| begun.viewing == viewing)
    }

    /// The stream that this is shown as.
    pub fn stream_of(&self, viewing: u64) -> Option<u32> {
        let mut streams = self.streams.iter();
        let found = streams.find(|(_, begun)| begun.viewing == viewing);
        found.map(|(&stream, _)| stream)
    }

    /// Nothing is watched as `stream` any more; what was.
    pub fn stop(&mut self, stream: u32) -> Option<u64> {
        Some(self.streams.remove(&stream)?.viewing)
    }

    /// The last so many frames of this viewing that were queued are not any more.
    pub fn discarded(&mut self, viewing: u64, mut frames: usize) {
        let mut kept = VecDeque::with_capacity(self.queued.len());
        while let Some(queued) = self.queued.pop_back() {
            match queued {
                Queued::Frame { viewing: of } if of == viewing && frames > 0 => frames -= 1,
                queued => kept.push_front(queued),
            }
        }
        self.queued = kept;
    }

    /// Nothing is watched any more.
    pub fn clear(&mut self) {
        self.streams.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// A frame was queued.
    pub fn queued_frame(&mut self, viewing: u64) {
        self.queued.push_back(Queued::Frame { viewing });
    }

    /// Whether a buffer of sound may be queued, which counts as done.
    pub fn queues_sound(&mut self) -> bool {
        let room = self.sounds < MAX_SOUND;
        if room {
            self.sounds += 1;
            self.queued.push_back(Queued::Sound);
        }
        room
    }

    /// So many of what was queued went out: whoever showed it hears so. How many were pictures.
    pub fn written(&mut self, frames: u32) -> u32 {
        let mut pictures = 0;
        for _ in 0..frames {
            match self.queued.pop_front() {
                Some(Queued::Sound) => self.sounds -= 1,
                Some(Queued::Frame { viewing }) => {
                    pictures += 1;
                    let shown = self.streams.values().find(|s| s.viewing == viewing);
                    if let Some(shown) = shown.and_then(|stream| stream.shown.as_ref()) {
                        shown.written(1);
                    }
                }
                None => {}
            }
        }
        pictures
    }
}
