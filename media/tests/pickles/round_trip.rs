//! Random pictures in pickles of all kinds.

use playhouse_media::{Channels, read_pickled_frame};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::check_invariants;
use crate::writer::{self, Data};

/// `order[i]` is the axis of the picture that is the pickled bytes' i-th.
fn shuffled(pixels: &[u8], sides: [usize; 3], order: [usize; 3]) -> Vec<u8> {
    let steps = [sides[1] * sides[2], sides[2], 1];
    let mut bytes = Vec::new();
    for i in 0..sides[order[0]] {
        for j in 0..sides[order[1]] {
            for k in 0..sides[order[2]] {
                let at = i * steps[order[0]] + j * steps[order[1]] + k * steps[order[2]];
                bytes.push(pixels[at]);
            }
        }
    }
    bytes
}

fn any_picture() -> impl Strategy<Value = (usize, usize, bool, Vec<u8>)> {
    (1_usize..40, 1_usize..40, any::<bool>()).prop_flat_map(|(height, width, colour)| {
        let size = height * width * if colour { 3 } else { 1 };
        (
            Just(height),
            Just(width),
            Just(colour),
            vec(any::<u8>(), size),
        )
    })
}

fn check(pickle: &[u8], (height, width, colour, pixels): &(usize, usize, bool, Vec<u8>)) {
    let frame = read_pickled_frame(pickle).unwrap();
    check_invariants(&frame);
    assert_eq!(
        (frame.height as usize, frame.width as usize),
        (*height, *width)
    );
    assert_eq!(frame.channels == Channels::Bgr, *colour);
    assert!(*frame.pixels == *pixels);
}

proptest! {
    #[test]
    fn states_are_read(
        picture in any_picture(),
        fortran in any::<bool>(),
        protocol in 2_u8..=5,
        kind in prop::sample::select(vec![Data::Latin1, Data::String, Data::Bytes, Data::Bytes8]),
    ) {
        let (height, width, colour, pixels) = &picture;
        let shape = [*height, *width, 3];
        let sides = [*height, *width, if *colour { 3 } else { 1 }];
        let bytes = if fortran { shuffled(pixels, sides, [2, 1, 0]) } else { pixels.clone() };
        let shape = &shape[..if *colour { 3 } else { 2 }];
        check(&writer::array(protocol, shape, fortran, &writer::data(&bytes, kind)), &picture);
    }

    #[test]
    fn buffers_are_read(
        picture in any_picture(),
        order in Just([0_usize, 1, 2]).prop_shuffle(),
        fortran in any::<bool>(),
    ) {
        let (height, width, colour, pixels) = &picture;
        let sides = [*height, *width, if *colour { 3 } else { 1 }];
        // A grey picture has two axes, which may change places.
        let axes = if *colour { 3 } else { 2 };
        let order = match order {
            order if *colour => order,
            [0, ..] => [0, 1, 2],
            _ => [1, 0, 2],
        };
        let (bytes, shape, written) = if fortran {
            let bytes = shuffled(pixels, sides, [2, 1, 0]);
            (bytes, sides, b"X\x01\0\0\0F".to_vec())
        } else {
            let back = [0, 1, 2].map(|axis| order.iter().position(|&o| o == axis).unwrap());
            let k = [&b"X\x01\0\0\0K"[..], &writer::tuple(&back[..axes])].concat();
            (shuffled(pixels, sides, order), order.map(|axis| sides[axis]), k)
        };
        check(&writer::from_buffer(&shape[..axes], &written, &bytes), &picture);
    }
}
