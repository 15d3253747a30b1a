//! From a pickle's bytes to what each opcode asks for. Arguments are borrowed; only what is there is taken,
//! whatever lengths are claimed.

use memchr::memchr;

use super::error::{PickleError, PickleRule};
use super::opcode::Opcode;
use super::value::{Text, Value};

/// An opcode with its argument, and where it is.
pub struct Step<'a> {
    pub position: usize,
    pub opcode: Opcode,
    pub action: Action<'a>,
}

/// What an opcode asks for. Several differ in how they write their argument, and ask for the same.
#[derive(Debug, Clone, Copy)]
pub enum Action<'a> {
    Push(Value<'a>),
    Mark,
    TupleFromMark,
    /// Of this many items.
    Tuple(usize),
    Name {
        module: &'a [u8],
        attribute: &'a [u8],
    },
    NameFromStack,
    /// Remember as this number.
    Put(u32),
    /// Remember as the next number.
    Memoize,
    Get(u32),
    Reduce,
    Build,
    Stop,
    Nothing,
}

pub struct Lexer<'a> {
    pickle: &'a [u8],
    position: usize,
}

impl Step<'_> {
    pub fn broken(&self, rule: PickleRule) -> PickleError {
        broken(self.position, self.opcode, rule)
    }
}

fn broken(position: usize, opcode: Opcode, rule: PickleRule) -> PickleError {
    PickleError {
        position,
        opcode: Some(opcode.name()),
        rule,
    }
}

impl<'a> Lexer<'a> {
    /// Begins after the protocol's number.
    pub fn new(pickle: &'a [u8]) -> Result<Self, PickleError> {
        match pickle {
            [0x80, 2..=5, ..] => Ok(Lexer {
                pickle,
                position: 2,
            }),
            _ => Err(PickleError {
                position: 0,
                opcode: None,
                rule: PickleRule::Start,
            }),
        }
    }

    pub fn step(&mut self) -> Result<Step<'a>, PickleError> {
        let position = self.position;
        let byte_error = |rule| PickleError {
            position,
            opcode: None,
            rule,
        };
        let [byte] = self.array().map_err(|_| byte_error(PickleRule::End))?;
        let opcode =
            Opcode::from_byte(byte).ok_or_else(|| byte_error(PickleRule::Unknown(byte)))?;
        let action = self.action(opcode);
        let action = action.map_err(|rule| broken(position, opcode, rule))?;
        Ok(Step {
            position,
            opcode,
            action,
        })
    }

    /// Whether the last step was the end.
    pub fn finish(&self) -> Result<(), PickleError> {
        if self.rest().is_empty() {
            return Ok(());
        }
        Err(PickleError {
            position: self.position,
            opcode: None,
            rule: PickleRule::AfterEnd,
        })
    }

    fn action(&mut self, opcode: Opcode) -> Result<Action<'a>, PickleRule> {
        let value = match opcode {
            Opcode::Mark => return Ok(Action::Mark),
            Opcode::Tuple => return Ok(Action::TupleFromMark),
            Opcode::EmptyTuple => return Ok(Action::Tuple(0)),
            Opcode::Tuple1 => return Ok(Action::Tuple(1)),
            Opcode::Tuple2 => return Ok(Action::Tuple(2)),
            Opcode::Tuple3 => return Ok(Action::Tuple(3)),
            Opcode::Global => {
                let (module, attribute) = (self.line()?, self.line()?);
                return Ok(Action::Name { module, attribute });
            }
            Opcode::StackGlobal => return Ok(Action::NameFromStack),
            Opcode::BinPut => return Ok(Action::Put(self.byte()?.into())),
            Opcode::LongBinPut => return Ok(Action::Put(u32::from_le_bytes(self.array()?))),
            Opcode::Memoize => return Ok(Action::Memoize),
            Opcode::BinGet => return Ok(Action::Get(self.byte()?.into())),
            Opcode::LongBinGet => return Ok(Action::Get(u32::from_le_bytes(self.array()?))),
            Opcode::Reduce => return Ok(Action::Reduce),
            Opcode::Build => return Ok(Action::Build),
            Opcode::Stop => return Ok(Action::Stop),
            Opcode::Frame => {
                self.check_frame()?;
                return Ok(Action::Nothing);
            }
            Opcode::None => Value::None,
            Opcode::NewTrue => Value::Bool(true),
            Opcode::NewFalse => Value::Bool(false),
            Opcode::BinInt => Value::Int(i32::from_le_bytes(self.array()?).into()),
            Opcode::BinInt1 => Value::Int(self.byte()?.into()),
            Opcode::BinInt2 => Value::Int(u16::from_le_bytes(self.array()?).into()),
            Opcode::Long1 => Value::Int(self.long()?),
            Opcode::ShortBinBytes => Value::Bytes(self.short()?),
            Opcode::BinBytes => Value::Bytes(self.medium()?),
            Opcode::BinBytes8 | Opcode::ByteArray8 => Value::Bytes(self.long_bytes()?),
            Opcode::ShortBinString => Value::String(self.short()?),
            // Its length has a sign, but a negative one is too large for what is there as well.
            Opcode::BinString => Value::String(self.medium()?),
            Opcode::ShortBinUnicode => self.text(Self::short)?,
            Opcode::BinUnicode => self.text(Self::medium)?,
            Opcode::BinUnicode8 => self.text(Self::long_bytes)?,
            _ => return Err(PickleRule::Opcode),
        };
        Ok(Action::Push(value))
    }

    fn rest(&self) -> &'a [u8] {
        self.pickle.get(self.position..).unwrap_or_default()
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], PickleRule> {
        let taken = self.rest().get(..length).ok_or(PickleRule::CutOff)?;
        self.position += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleRule> {
        let array = *self.rest().first_chunk().ok_or(PickleRule::CutOff)?;
        self.position += N;
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8, PickleRule> {
        self.array().map(|[byte]| byte)
    }

    fn short(&mut self) -> Result<&'a [u8], PickleRule> {
        let length = self.byte()?;
        self.take(length.into())
    }

    fn medium(&mut self) -> Result<&'a [u8], PickleRule> {
        let length = u32::from_le_bytes(self.array()?);
        self.take(usize::try_from(length).map_err(|_| PickleRule::CutOff)?)
    }

    fn long_bytes(&mut self) -> Result<&'a [u8], PickleRule> {
        let length = u64::from_le_bytes(self.array()?);
        self.take(usize::try_from(length).map_err(|_| PickleRule::CutOff)?)
    }

    fn text(
        &mut self,
        bytes: fn(&mut Self) -> Result<&'a [u8], PickleRule>,
    ) -> Result<Value<'a>, PickleRule> {
        let bytes = bytes(self)?;
        let position = self.position - bytes.len();
        Ok(Value::Text(Text { position, bytes }))
    }

    /// A number in two's complement, of as many bytes as it takes.
    fn long(&mut self) -> Result<i64, PickleRule> {
        let bytes = self.short()?;
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut whole = if negative { [0xFF; 8] } else { [0; 8] };
        let low = whole.get_mut(..bytes.len()).ok_or(PickleRule::Number)?;
        low.copy_from_slice(bytes);
        Ok(i64::from_le_bytes(whole))
    }

    fn line(&mut self) -> Result<&'a [u8], PickleRule> {
        let end = memchr(b'\n', self.rest()).ok_or(PickleRule::CutOff)?;
        let line = self.take(end)?;
        self.position += 1;
        Ok(line)
    }

    /// A frame has to be there as a whole; where it ends makes no difference.
    fn check_frame(&mut self) -> Result<(), PickleRule> {
        let length = u64::from_le_bytes(self.array()?);
        let fits = usize::try_from(length).is_ok_and(|length| length <= self.rest().len());
        fits.then_some(()).ok_or(PickleRule::CutOff)
    }
}
