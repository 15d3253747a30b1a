//! Numbers that say what they are of. A server draws the numbers of sessions, users, files and
//! transactions, and packets of the two numberings can only be told apart by what kind of number they
//! begin with. So each number carries its kind, in four bits; the other sixty are random.

/// What a number is the number of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Session,
    User,
    File,
    Download,
    Upload,
    /// A message on its way from the server to its recipient. Senders draw theirs as they like.
    Message,
}

/// Bits below the kind.
const RANDOM_BITS: u32 = 60;
/// A file's number is never one that could be a size, the length 2, and a name of two bytes: bits 16
/// to 31 are not this.
const NAME_OF_TWO: u64 = 2;

impl Kind {
    const ALL: [Kind; 6] = [
        Kind::Session,
        Kind::User,
        Kind::File,
        Kind::Download,
        Kind::Upload,
        Kind::Message,
    ];

    /// 1 to 6: never a number's sign bit, for clients that read signed ones.
    fn tag(self) -> u64 {
        match self {
            Kind::Session => 1,
            Kind::User => 2,
            Kind::File => 3,
            Kind::Download => 4,
            Kind::Upload => 5,
            Kind::Message => 6,
        }
    }

    /// The number of this kind that is made of 60 bits of `random`.
    pub fn number(self, random: u64) -> u64 {
        let mut number = random & ((1 << RANDOM_BITS) - 1) | self.tag() << RANDOM_BITS;
        if self == Kind::File && number >> 16 & 0xffff == NAME_OF_TWO {
            number ^= 1 << 16;
        }
        number
    }

    /// The kind that `number` was drawn for.
    pub fn of(number: u64) -> Option<Kind> {
        let tag = number >> RANDOM_BITS;
        Kind::ALL.into_iter().find(|kind| kind.tag() == tag)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_knows_its_kind(random: u64) {
            for kind in Kind::ALL {
                let number = kind.number(random);
                prop_assert_eq!(Kind::of(number), Some(kind));
                prop_assert!(i64::try_from(number).is_ok());
            }
        }
    }

    #[test]
    fn numbers_of_no_kind_are_known_as_such() {
        for number in [0, 1, u64::MAX, 7 << 60] {
            assert_eq!(Kind::of(number), None, "{number:x}");
        }
    }

    #[test]
    fn no_file_number_reads_as_a_size_and_a_name_of_two_bytes() {
        let number = Kind::File.number(0x0123_4567_0002_6162);
        assert_eq!(number, 0x3123_4567_0003_6162);
    }
}
