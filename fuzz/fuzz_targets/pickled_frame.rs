//! Any bytes as a pickled picture: never a panic, and what is read is whole.

#![no_main]

use libfuzzer_sys::fuzz_target;
use playhouse_media::{MAX_SIDE, read_pickled_frame};

fuzz_target!(|pickle: &[u8]| {
    match read_pickled_frame(pickle) {
        Ok(frame) => {
            let sides = 1..=MAX_SIDE;
            assert!(sides.contains(&frame.width) && sides.contains(&frame.height));
            let pixels = frame.width as usize * frame.height as usize;
            assert_eq!(frame.pixels.len(), pixels * frame.channels.count());
            assert!(frame.pixels.len() < pickle.len());
        }
        Err(error) => {
            assert!(error.position <= pickle.len());
            let said = error.to_string();
            assert!(said.len() < 1000 && !said.contains(['\n', '\r', '\x1B']));
        }
    }
});
