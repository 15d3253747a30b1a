//! Why a pickle is refused.

use std::fmt;

use thiserror::Error;

use super::machine::MAX_OPCODES;
use crate::clip::MAX_SIDE;

/// Why bytes are no pickled picture.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct PickleError {
    /// Offset of the opcode that breaks the rule; of the byte, if no opcode does.
    pub position: usize,
    /// Its name.
    pub opcode: Option<&'static str>,
    /// The rule.
    pub rule: PickleRule,
}

/// What a pickle must be for [`read_pickled_frame`](crate::read_pickled_frame).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PickleRule {
    /// The first two bytes.
    #[error("must begin with PROTO and a protocol of 2 to 5")]
    Start,
    /// It goes on to its last opcode.
    #[error("cut off; must end with STOP")]
    End,
    /// An opcode's argument is there.
    #[error("its argument is cut off")]
    CutOff,
    /// The byte is an opcode of some protocol.
    #[error("{0:02X} is no opcode")]
    Unknown(u8),
    /// The opcode is one of a pickled array.
    #[error("not an opcode of a pickled numpy array")]
    Opcode,
    /// How many opcodes.
    #[error("must have at most {MAX_OPCODES} opcodes")]
    Opcodes,
    /// How large a number is.
    #[error("must be a number of at most 8 bytes")]
    Number,
    /// What an opcode takes is there.
    #[error("takes more than is on the stack")]
    Stack,
    /// The start of a tuple.
    #[error("must follow a MARK")]
    Mark,
    /// What an opcode recalls was remembered.
    #[error("nothing was remembered as {0}")]
    Memo(u32),
    /// A name that an array is made with.
    #[error("not one of the constructors of a numpy array")]
    Constructor(String),
    /// Module and name are texts.
    #[error("must take two texts")]
    Name,
    /// What is called.
    #[error("must call a constructor, with a tuple")]
    Call,
    /// What is called with.
    #[error("{0} must have the arguments that numpy writes")]
    Arguments(&'static str),
    /// The kind of the elements.
    #[error("dtype {0}: must be u1")]
    Dtype(String),
    /// What a state is given to.
    #[error("must complete a new array or a dtype, with a tuple")]
    Build,
    /// The state of an array or a dtype.
    #[error("{0} must have the state that numpy writes")]
    State(&'static str),
    /// The array's dimensions.
    #[error("shape {0}: must be height × width or height × width × 3, each side 1 to {MAX_SIDE}")]
    Shape(String),
    /// How the elements follow one another.
    #[error("the order must be C, F, or K with each axis once")]
    Order,
    /// How many bytes of pixels.
    #[error("must have {expected} bytes of pixels, not {actual}")]
    Pixels { expected: usize, actual: usize },
    /// How many characters of pixels.
    #[error("must have {0} characters of pixels")]
    Characters(usize),
    /// Text that stands for bytes.
    #[error("must be a character of Latin-1 in UTF-8")]
    Latin1,
    /// What is left at the end.
    #[error("must leave an array on the stack, and nothing else")]
    Result,
    /// What follows the end.
    #[error("nothing may follow STOP")]
    AfterEnd,
}

impl fmt::Display for PickleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: ", self.position)?;
        match (self.opcode, &self.rule) {
            (Some(opcode), PickleRule::Constructor(name)) => write!(f, "{opcode} {name}: ")?,
            (Some(opcode), _) => write!(f, "{opcode}: ")?,
            (None, _) => {}
        }
        write!(f, "{}", self.rule)
    }
}

/// Bytes of a text from outside that an error shows.
const MAX_SHOWN: usize = 80;

/// Text from outside, short and on one line.
pub fn shown(text: &[u8]) -> String {
    match text.get(..MAX_SHOWN) {
        Some(start) => format!("{}…", start.escape_ascii()),
        None => text.escape_ascii().to_string(),
    }
}
