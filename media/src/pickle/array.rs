//! The constructors of an array, and what is checked of their arguments: all of it.

use super::Channels;
use super::error::{PickleRule, shown};
use super::pixels::{Pixels, Source};
use super::value::{Name, Tuples, Value};
use crate::clip::MAX_SIDE;

/// What calling `name` gives.
pub fn reduce<'a>(
    name: Name,
    arguments: &[Value<'a>],
    tuples: &Tuples<'a>,
) -> Result<Value<'a>, PickleRule> {
    let ill = PickleRule::Arguments(name.text());
    match (name, arguments) {
        (Name::Reconstruct, &[Value::Name(Name::NdArray), Value::Tuple(shape), kind]) => {
            let empty = matches!(tuples.items(shape), [Value::Int(0)]);
            let bytes = match source(kind) {
                Some(Source::Bytes(bytes)) => bytes,
                Some(Source::Latin1(text)) => text.bytes,
                None => return Err(ill),
            };
            (empty && bytes == b"b")
                .then_some(Value::NewArray)
                .ok_or(ill)
        }
        (Name::Dtype, &[kind, align, copy]) => {
            if (align.flag(), copy.flag()) != (Some(false), Some(true)) {
                return Err(ill);
            }
            match kind.text().ok_or(ill)? {
                b"u1" | b"|u1" => Ok(Value::Dtype),
                other => Err(PickleRule::Dtype(shown(other))),
            }
        }
        (Name::Encode, &[Value::Text(text), encoding]) if encoding.text() == Some(b"latin1") => {
            Ok(Value::Latin1(text))
        }
        (
            Name::FromBuffer,
            &[
                Value::Bytes(bytes),
                Value::Dtype,
                Value::Tuple(shape),
                order,
                ref axes @ ..,
            ],
        ) => {
            let axes = match axes {
                [] => None,
                &[Value::Tuple(axes)] => Some(tuples.items(axes)),
                _ => return Err(ill),
            };
            let order = order.text().ok_or(ill)?;
            array(Source::Bytes(bytes), tuples.items(shape), order, axes)
        }
        _ => Err(ill),
    }
}

/// What `target` is with this state.
pub fn build<'a>(
    target: Value<'a>,
    state: &[Value<'a>],
    tuples: &Tuples<'a>,
) -> Result<Value<'a>, PickleRule> {
    match target {
        Value::Dtype => {
            let whole = matches!(
                *state,
                [
                    Value::Int(3),
                    order,
                    Value::None,
                    Value::None,
                    Value::None,
                    Value::Int(-1),
                    Value::Int(-1),
                    Value::Int(0)
                ] if order.text() == Some(b"|")
            );
            let ill = PickleRule::State(Name::Dtype.text());
            whole.then_some(Value::Dtype).ok_or(ill)
        }
        Value::NewArray => {
            let ill = || PickleRule::State(Name::NdArray.text());
            let &[
                Value::Int(1),
                Value::Tuple(shape),
                Value::Dtype,
                Value::Bool(fortran),
                data,
            ] = state
            else {
                return Err(ill());
            };
            let order: &[u8] = if fortran { b"F" } else { b"C" };
            let source = source(data).ok_or_else(ill)?;
            array(source, tuples.items(shape), order, None)
        }
        _ => Err(PickleRule::Build),
    }
}

fn source(value: Value<'_>) -> Option<Source<'_>> {
    match value {
        Value::Bytes(bytes) | Value::String(bytes) => Some(Source::Bytes(bytes)),
        Value::Latin1(text) => Some(Source::Latin1(text)),
        _ => None,
    }
}

/// An array of `shape` whose elements come from `source` in this order: C, the last axis fastest; F, the first
/// one fastest; K, as in C, and then the axes change places.
fn array<'a>(
    source: Source<'a>,
    shape: &[Value<'_>],
    order: &[u8],
    swapped: Option<&[Value<'_>]>,
) -> Result<Value<'a>, PickleRule> {
    let ill = || PickleRule::Shape(shown_shape(shape));
    // A grey picture gets a last axis of one element.
    let mut sides = [1; 3];
    let dimensions = shape.len();
    if !matches!(dimensions, 2 | 3) {
        return Err(ill());
    }
    for (side, value) in sides.iter_mut().zip(shape) {
        *side = side_length(value).ok_or_else(ill)?;
    }
    let mut axes = [0, 1, 2];
    match (order, swapped) {
        (b"C", None) => {}
        (b"F", None) => {
            sides[..dimensions].reverse();
            axes[..dimensions].reverse();
        }
        (b"K", Some(swapped)) if swapped.len() == dimensions => {
            for (axis, value) in axes.iter_mut().zip(swapped) {
                let Value::Int(swapped) = *value else {
                    return Err(PickleRule::Order);
                };
                *axis = usize::try_from(swapped).map_err(|_| PickleRule::Order)?;
            }
            if !(0..3).all(|axis| axes.contains(&axis)) {
                return Err(PickleRule::Order);
            }
        }
        _ => return Err(PickleRule::Order),
    }
    let channels = match (dimensions, sides[axes[2]]) {
        (2, _) => Channels::Grey,
        (_, 3) => Channels::Bgr,
        _ => return Err(ill()),
    };
    // At most 2 MAX_SIDEs and a 3: no overflow.
    let expected = sides.iter().map(|&side| side as usize).product();
    match source {
        Source::Bytes(bytes) if bytes.len() != expected => Err(PickleRule::Pixels {
            expected,
            actual: bytes.len(),
        }),
        // A character has one byte or two.
        Source::Latin1(text) if !(expected..=2 * expected).contains(&text.bytes.len()) => {
            Err(PickleRule::Characters(expected))
        }
        _ => Ok(Value::Array(Pixels {
            source,
            sides,
            axes,
            channels,
        })),
    }
}

fn side_length(value: &Value<'_>) -> Option<u32> {
    let Value::Int(side) = *value else {
        return None;
    };
    let side = u32::try_from(side).ok()?;
    (1..=MAX_SIDE).contains(&side).then_some(side)
}

/// Numbers of a shape that an error shows.
const MAX_SHOWN: usize = 4;

fn shown_shape(shape: &[Value<'_>]) -> String {
    let shown = shape.iter().take(MAX_SHOWN).map(|value| match value {
        Value::Int(side) => side.to_string(),
        _ => "?".to_owned(),
    });
    let mut sides: Vec<_> = shown.collect();
    if shape.len() > MAX_SHOWN {
        sides.push("…".to_owned());
    }
    format!("({})", sides.join(", "))
}
