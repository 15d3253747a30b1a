//! The stack machine that a pickle is a program for, with nothing to call but the constructors of an array.

use super::array::{build, reduce};
use super::error::{PickleError, PickleRule, shown};
use super::lexer::{Action, Lexer};
use super::pixels::Pixels;
use super::value::{Name, Tuples, Value};

/// A pickled array has about 50. Each puts at most one value on the stack and one aside, so this bounds all
/// there can be.
pub const MAX_OPCODES: usize = 256;

/// What a pickle has made so far.
#[derive(Default)]
pub struct Machine<'a> {
    stack: Vec<Value<'a>>,
    /// Where on the stack each tuple begins that has yet to be made.
    marks: Vec<usize>,
    /// Values as they were when they were remembered: numpy's pickles recall nothing that changes after.
    memo: Vec<(u32, Value<'a>)>,
    tuples: Tuples<'a>,
}

impl<'a> Machine<'a> {
    /// What the whole pickle makes.
    pub fn run(pickle: &'a [u8]) -> Result<Pixels<'a>, PickleError> {
        let mut lexer = Lexer::new(pickle)?;
        let mut machine = Machine::default();
        let mut count = 0;
        loop {
            let step = lexer.step()?;
            count += 1;
            if count > MAX_OPCODES {
                return Err(step.broken(PickleRule::Opcodes));
            }
            let done = machine.act(step.action);
            if let Some(pixels) = done.map_err(|rule| step.broken(rule))? {
                lexer.finish()?;
                return Ok(pixels);
            }
        }
    }

    /// The array, if this was the end.
    fn act(&mut self, action: Action<'a>) -> Result<Option<Pixels<'a>>, PickleRule> {
        match action {
            Action::Push(value) => self.stack.push(value),
            Action::Mark => self.marks.push(self.stack.len()),
            Action::TupleFromMark => {
                let start = self.marks.pop().ok_or(PickleRule::Mark)?;
                self.tuple(start);
            }
            Action::Tuple(count) => {
                let start = self.stack.len().checked_sub(count);
                let start = start.filter(|&start| start >= self.floor());
                self.tuple(start.ok_or(PickleRule::Stack)?);
            }
            Action::Name { module, attribute } => self.name(module, attribute)?,
            Action::NameFromStack => {
                let (attribute, module) = (self.pop()?, self.pop()?);
                let module = module.text().ok_or(PickleRule::Name)?;
                let attribute = attribute.text().ok_or(PickleRule::Name)?;
                self.name(module, attribute)?;
            }
            Action::Put(number) => self.put(number)?,
            Action::Memoize => {
                let number = u32::try_from(self.memo.len());
                self.put(number.map_err(|_| PickleRule::Opcodes)?)?;
            }
            Action::Get(number) => {
                let found = self.memo.iter().find(|&&(known, _)| known == number);
                let &(_, value) = found.ok_or(PickleRule::Memo(number))?;
                self.stack.push(value);
            }
            Action::Reduce => {
                let (arguments, callee) = (self.pop()?, self.pop()?);
                let (Value::Tuple(arguments), Value::Name(name)) = (arguments, callee) else {
                    return Err(PickleRule::Call);
                };
                let value = reduce(name, self.tuples.items(arguments), &self.tuples)?;
                self.stack.push(value);
            }
            Action::Build => {
                let (state, target) = (self.pop()?, self.pop()?);
                let Value::Tuple(state) = state else {
                    return Err(PickleRule::Build);
                };
                let value = build(target, self.tuples.items(state), &self.tuples)?;
                self.stack.push(value);
            }
            Action::Stop => {
                return match (&*self.stack, &*self.marks) {
                    (&[Value::Array(pixels)], []) => Ok(Some(pixels)),
                    _ => Err(PickleRule::Result),
                };
            }
            Action::Nothing => {}
        }
        Ok(None)
    }

    /// The stack's length at the last mark, which only the tuple's end goes below.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Value<'a>, PickleRule> {
        if self.stack.len() <= self.floor() {
            return Err(PickleRule::Stack);
        }
        self.stack.pop().ok_or(PickleRule::Stack)
    }

    /// Makes one of what is on the stack from `start` on.
    fn tuple(&mut self, start: usize) {
        let start = start.min(self.stack.len());
        let tuple = self.tuples.add(self.stack.drain(start..));
        self.stack.push(Value::Tuple(tuple));
    }

    fn name(&mut self, module: &[u8], attribute: &[u8]) -> Result<(), PickleRule> {
        let unknown = || PickleRule::Constructor(format!("{}.{}", shown(module), shown(attribute)));
        let name = Name::find(module, attribute).ok_or_else(unknown)?;
        self.stack.push(Value::Name(name));
        Ok(())
    }

    fn put(&mut self, number: u32) -> Result<(), PickleRule> {
        let value = self.pop()?;
        self.stack.push(value);
        match self.memo.iter_mut().find(|(known, _)| *known == number) {
            Some((_, old)) => *old = value,
            None => self.memo.push((number, value)),
        }
        Ok(())
    }
}
