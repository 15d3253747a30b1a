//! Which chunks of a file are there.

use std::collections::BTreeMap;

use crate::CHUNK;

/// Chunks to a page.
const PAGE: u32 = u64::BITS;

/// Which chunks of a file are there. Takes memory for what was received, never for the size that a client
/// claims: nothing for chunks without a gap from the start, some 20 bytes for each run of 64 beyond.
#[derive(Debug, Clone)]
pub struct Received {
    size: u64,
    chunks: u32,
    bytes: u64,
    /// Every chunk before this one is there.
    prefix: u32,
    /// Those beyond the prefix, a bit for each, by chunk number ÷ 64.
    pages: BTreeMap<u32, u64>,
}

impl Received {
    /// The most bytes that chunk numbers reach.
    pub(crate) const MOST: u64 = u32::MAX as u64 * CHUNK as u64;

    /// Nothing yet of a file of `size` bytes, 1 TiB at most.
    pub fn new(size: u64) -> Received {
        let size = size.min(Received::MOST);
        Received {
            size,
            chunks: u32::try_from(size.div_ceil(u64::from(CHUNK))).unwrap_or(u32::MAX),
            bytes: 0,
            prefix: 0,
            pages: BTreeMap::new(),
        }
    }

    /// The whole of a file of `size` bytes.
    pub(crate) fn all(size: u64) -> Received {
        let mut received = Received::new(size);
        received.prefix = received.chunks;
        received.bytes = received.size;
        received
    }

    /// How many chunks there will be.
    pub fn chunks(&self) -> u32 {
        self.chunks
    }

    /// Whether a chunk is there.
    pub fn contains(&self, chunk: u32) -> bool {
        chunk < self.prefix
            || self
                .pages
                .get(&(chunk / PAGE))
                .is_some_and(|page| page >> (chunk % PAGE) & 1 == 1)
    }

    /// Notes a chunk. False if it was there already or is past the end.
    pub fn insert(&mut self, chunk: u32) -> bool {
        if chunk >= self.chunks || self.contains(chunk) {
            return false;
        }
        self.bytes += self.length(chunk);
        if chunk == self.prefix {
            self.prefix += 1;
            self.join_pages();
        } else {
            *self.pages.entry(chunk / PAGE).or_default() |= 1 << (chunk % PAGE);
        }
        true
    }

    /// Grows the prefix over the pages that it reaches.
    fn join_pages(&mut self) {
        while let Some(mut first) = self.pages.first_entry()
            && *first.key() == self.prefix / PAGE
        {
            let rest = *first.get() >> (self.prefix % PAGE);
            let run = rest.trailing_ones();
            self.prefix += run;
            // What the prefix has passed is not looked at any more.
            let left = rest.checked_shr(run).unwrap_or(0);
            if left != 0 {
                *first.get_mut() = left << (self.prefix % PAGE);
                return;
            }
            first.remove();
        }
    }

    /// How many bytes are there.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many bytes are there without a gap from the start.
    pub fn prefix_bytes(&self) -> u64 {
        self.size.min(u64::from(self.prefix) * u64::from(CHUNK))
    }

    /// Whether every chunk is there.
    pub fn is_complete(&self) -> bool {
        self.prefix == self.chunks
    }

    /// How many bytes this chunk must have; 0 past the end.
    pub fn length(&self, chunk: u32) -> u64 {
        self.size
            .saturating_sub(u64::from(chunk) * u64::from(CHUNK))
            .min(u64::from(CHUNK))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set_of_chunks(
            size in 0u64..100_000,
            order in prop::collection::vec(0u32..450, 0..600),
            run in 0u32..300,
        ) {
            let mut received = Received::new(size);
            let mut model = BTreeSet::new();
            let chunks = u32::try_from(size.div_ceil(256)).unwrap();
            prop_assert_eq!(received.chunks(), chunks);
            for chunk in order.into_iter().chain(0..run) {
                let new = chunk < chunks && model.insert(chunk);
                prop_assert_eq!(received.insert(chunk), new);
                let bytes: u64 = model.iter().map(|&c| received.length(c)).sum();
                prop_assert_eq!(received.bytes(), bytes);
                let prefix = (0..).take_while(|c| model.contains(c)).count() as u64;
                prop_assert_eq!(received.prefix_bytes(), size.min(prefix * 256));
                prop_assert_eq!(received.is_complete(), model.len() as u32 == chunks);
                prop_assert_eq!(received.is_complete(), received.bytes() == size);
                let beyond: BTreeSet<u32> =
                    model.range(prefix as u32..).map(|c| c / PAGE).collect();
                prop_assert_eq!(received.pages.len(), beyond.len());
            }
            for chunk in 0..460 {
                prop_assert_eq!(received.contains(chunk), model.contains(&chunk));
            }
            let lengths: u64 = (0..chunks).map(|c| received.length(c)).sum();
            prop_assert_eq!(lengths, size);
        }
    }

    #[test]
    fn a_claimed_size_costs_nothing() {
        let mut received = Received::new(u64::from(u32::MAX));
        assert_eq!(received.chunks(), 1 << 24);
        assert_eq!(received.length((1 << 24) - 1), 255);
        assert_eq!(received.length(1 << 24), 0);
        assert_eq!(received.length(u32::MAX), 0);
        assert!(!received.insert(u32::MAX));
        assert!(received.insert((1 << 24) - 1));
        assert_eq!(received.pages.len(), 1);
        assert_eq!(received.bytes(), 255);

        assert_eq!(Received::new(u64::MAX).chunks(), u32::MAX);
        assert!(Received::new(0).is_complete());
        assert!(Received::all(1000).is_complete());
        assert_eq!(Received::all(1000).bytes(), 1000);
    }
}
