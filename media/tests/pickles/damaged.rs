//! Good pickles with damage: never a panic, never a frame that isn't whole.

use playhouse_media::read_pickled_frame;

use crate::allocations::peak_of;
use crate::{check_invariants, fixtures};

fn small() -> Vec<(String, Vec<u8>)> {
    let mut fixtures = fixtures("good");
    fixtures.retain(|(name, _)| name.contains("_5x7_"));
    assert!(fixtures.len() > 50);
    fixtures
}

#[test]
fn nothing_that_is_cut_off_is_read() {
    for (name, pickle) in small() {
        for length in 0..pickle.len() {
            let frame = read_pickled_frame(&pickle[..length]);
            assert!(frame.is_err(), "{name}, {length} bytes");
        }
    }
}

#[test]
fn what_is_cut_off_is_said_to_be() {
    let (_, pickle) = &fixtures("good")[0];
    let end = pickle.len() - 1;
    let error = read_pickled_frame(&pickle[..end]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("byte {end}: cut off; must end with STOP")
    );
}

#[test]
fn any_byte_may_be_any_other() {
    for (_, mut pickle) in small() {
        let limit = pickle.len() + 64 * 1024;
        for position in 0..pickle.len() {
            let good = pickle[position];
            for bad in (0..8)
                .map(|bit| good ^ (1 << bit))
                .chain([0, 0xFF, b'.', b'(', b't', b'R', b'b'])
            {
                pickle[position] = bad;
                let (peak, frame) =
                    peak_of(|| read_pickled_frame(&pickle).map(|frame| check_invariants(&frame)));
                // The reason may be anything, but it can be said.
                let said = frame.err().map(|error| error.to_string());
                assert!(said.is_none_or(|said| said.starts_with("byte ") && said.len() < 400));
                assert!(peak <= limit, "{peak}");
            }
            pickle[position] = good;
        }
    }
}

#[test]
fn any_byte_may_be_missing_or_twice() {
    for (_, pickle) in small() {
        for position in 0..pickle.len() {
            let (before, after) = pickle.split_at(position);
            for changed in [
                [before, &after[1..]].concat(),
                [before, &after[..1], after].concat(),
            ] {
                if let Ok(frame) = read_pickled_frame(&changed) {
                    check_invariants(&frame);
                }
            }
        }
    }
}
