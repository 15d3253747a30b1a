//! Which tables a JPEG has defined so far, for [`inspect_jpeg`](crate::inspect_jpeg): what they hold isn't
//! kept, but must make sense.

/// In a class of Huffman tables the first is of those for DC, the second for AC.
const DC: usize = 0;
const AC: usize = 1;
/// What a DC table may give: how many bits a difference has.
const MAX_DC_BITS: u8 = 15;
/// Symbols are bytes, and each comes once.
const MAX_SYMBOLS: usize = 256;

/// Four places for each kind of table.
#[derive(Default)]
pub(crate) struct Tables {
    quantisation: [bool; 4],
    huffman: [[bool; 4]; 2],
}

impl Tables {
    pub fn has_quantisation(&self, place: u8) -> bool {
        self.quantisation.get(usize::from(place)) == Some(&true)
    }

    pub fn has_dc(&self, place: u8) -> bool {
        self.huffman[DC].get(usize::from(place)) == Some(&true)
    }

    pub fn has_ac(&self, place: u8) -> bool {
        self.huffman[AC].get(usize::from(place)) == Some(&true)
    }

    /// A DQT segment's content: tables of 64 values of one or two bytes. `None` if one isn't whole, or has no
    /// such place.
    pub fn define_quantisation(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&kind, rest)) = segment.split_first() {
            let length = match kind >> 4 {
                0 => 64,
                1 => 128,
                _ => return None,
            };
            *self.quantisation.get_mut(usize::from(kind & 0xF))? = true;
            segment = rest.get(length..)?;
        }
        Some(())
    }

    /// A DHT segment's content: tables of how many codes there are of each length, 1 to 16 bits, and then the
    /// symbols they stand for. `None` if one isn't whole, is no code, or has no such place.
    pub fn define_huffman(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&kind, rest)) = segment.split_first() {
            let (class, place) = (usize::from(kind >> 4), usize::from(kind & 0xF));
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let (mut next_code, mut count) = (0, 0);
            for (bits, &codes) in (1..).zip(counts) {
                next_code = next_code * 2 + u32::from(codes);
                // A code of ones alone would look like what fills up before a marker.
                if next_code >= 1 << bits {
                    return None;
                }
                count += usize::from(codes);
            }
            let (symbols, rest) = rest.split_at_checked(count)?;
            let symbols_fit = class != DC || symbols.iter().all(|&bits| bits <= MAX_DC_BITS);
            if count > MAX_SYMBOLS || !symbols_fit {
                return None;
            }
            *self.huffman.get_mut(class)?.get_mut(place)? = true;
            segment = rest;
        }
        Some(())
    }
}
