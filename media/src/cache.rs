//! The JPEGs of all channels, the least recently used forgotten first, limited by bytes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use lru::LruCache;
use serde::Serialize;

/// What an entry costs besides its JPEG: its place in the map and the list, and the shared buffer's own
/// bookkeeping.
const ENTRY_OVERHEAD: usize = 100;

/// JPEGs by clip and frame. Shared by reference; every method takes `&self`.
pub struct FrameCache {
    limit: usize,
    inner: Mutex<Inner>,
}

struct Inner {
    frames: LruCache<(u64, u32), Bytes>,
    usage: CacheUsage,
}

/// How full a [`FrameCache`] is, and what it was good for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CacheUsage {
    /// Bytes in use, overhead included.
    pub bytes: usize,
    /// Frames kept.
    pub frames: usize,
    /// Look-ups that found their frame.
    pub hits: u64,
    /// Look-ups that didn't.
    pub misses: u64,
    /// Frames that had to go to make room.
    pub evicted: u64,
}

impl FrameCache {
    /// A cache that keeps at most `limit_bytes`, overhead included; 0 keeps nothing.
    pub fn new(limit_bytes: usize) -> Self {
        let inner = Inner {
            frames: LruCache::unbounded(),
            usage: CacheUsage::default(),
        };
        FrameCache {
            limit: limit_bytes,
            inner: Mutex::new(inner),
        }
    }

    /// Frame `index` of the clip with this [`id`](crate::Clip::id), if it is still here.
    pub fn get(&self, clip: u64, index: u32) -> Option<Bytes> {
        let mut inner = self.lock();
        let found = inner.frames.get(&(clip, index)).cloned();
        match found {
            Some(_) => inner.usage.hits += 1,
            None => inner.usage.misses += 1,
        }
        found
    }

    /// Keeps a frame, and lets go of the ones used longest ago until it fits. One that is larger than the
    /// whole cache isn't kept.
    pub fn insert(&self, clip: u64, index: u32, jpeg: Bytes) {
        let room = cost(&jpeg);
        let mut inner = self.lock();
        if let Some(old) = inner.frames.pop(&(clip, index)) {
            inner.usage.bytes -= cost(&old);
        }
        if room > self.limit {
            return;
        }
        while inner.usage.bytes + room > self.limit
            && let Some((_, old)) = inner.frames.pop_lru()
        {
            inner.usage.bytes -= cost(&old);
            inner.usage.evicted += 1;
        }
        inner.usage.bytes += room;
        inner.frames.put((clip, index), jpeg);
    }

    /// Lets go of all frames of a clip, for instance because its file is gone.
    pub fn forget(&self, clip: u64) {
        let mut inner = self.lock();
        let gone: Vec<_> = inner
            .frames
            .iter()
            .map(|(key, _)| *key)
            .filter(|key| key.0 == clip)
            .collect();
        for key in gone {
            if let Some(old) = inner.frames.pop(&key) {
                inner.usage.bytes -= cost(&old);
            }
        }
    }

    /// How full it is, and what it was good for.
    pub fn usage(&self) -> CacheUsage {
        let inner = self.lock();
        CacheUsage {
            frames: inner.frames.len(),
            ..inner.usage
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here panics halfway, so a poisoned lock still guards a sound cache.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost(jpeg: &Bytes) -> usize {
    jpeg.len().saturating_add(ENTRY_OVERHEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jpeg(len: usize) -> Bytes {
        Bytes::from(vec![0; len])
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let cache = FrameCache::new(3 * 200);
        for index in 0..3 {
            cache.insert(1, index, jpeg(100));
        }
        assert!(cache.get(1, 0).is_some());
        cache.insert(1, 3, jpeg(100));
        assert!(cache.get(1, 1).is_none());
        assert!(
            cache.get(1, 0).is_some() && cache.get(1, 2).is_some() && cache.get(1, 3).is_some()
        );
        let usage = CacheUsage {
            bytes: 600,
            frames: 3,
            hits: 4,
            misses: 1,
            evicted: 1,
        };
        assert_eq!(cache.usage(), usage);
    }

    #[test]
    fn the_limit_holds_whatever_comes() {
        let cache = FrameCache::new(1000);
        for (index, len) in (0..100).zip([0, 10, 500, 899, 900, 901, 5000].into_iter().cycle()) {
            cache.insert(u64::from(index % 3), index % 10, jpeg(len));
            assert!(cache.usage().bytes <= 1000);
        }
        cache.insert(9, 9, jpeg(901));
        assert!(cache.get(9, 9).is_none(), "larger than the cache");
        let cache = FrameCache::new(0);
        cache.insert(0, 0, jpeg(0));
        assert_eq!(cache.usage(), CacheUsage::default());
    }

    #[test]
    fn a_frame_that_comes_again_replaces_itself() {
        let cache = FrameCache::new(1000);
        cache.insert(1, 1, jpeg(300));
        cache.insert(1, 1, jpeg(500));
        assert_eq!(
            (
                cache.usage().bytes,
                cache.usage().frames,
                cache.usage().evicted
            ),
            (600, 1, 0)
        );
    }

    #[test]
    fn a_forgotten_clip_leaves_nothing_behind() {
        let cache = FrameCache::new(10_000);
        for index in 0..10 {
            cache.insert(1, index, jpeg(10));
            cache.insert(2, index, jpeg(10));
        }
        cache.forget(1);
        assert_eq!((cache.usage().bytes, cache.usage().frames), (1100, 10));
        assert!(cache.get(1, 0).is_none() && cache.get(2, 0).is_some());
        cache.forget(2);
        assert_eq!(cache.usage().bytes, 0);
    }
}
