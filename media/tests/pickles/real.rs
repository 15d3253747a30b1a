//! What real numpys write is read, pixel for pixel.

use std::borrow::Cow;
use std::collections::BTreeSet;

use playhouse_media::{Channels, read_pickled_frame};

use crate::allocations::peak_of;
use crate::{check_invariants, fixtures, picture};

#[test]
fn all_writers_protocols_and_layouts_are_read() {
    let mut kinds = BTreeSet::new();
    for (name, pickle) in fixtures("good") {
        let parts: Vec<_> = name.split('_').collect();
        let &[writer, protocol, kind, size, layout] = &parts[..] else {
            panic!("{name}");
        };
        let (height, width) = size.split_once('x').unwrap();
        let (height, width) = (height.parse().unwrap(), width.parse().unwrap());
        let (channels, count) = match kind {
            "bgr" => (Channels::Bgr, 3),
            "grey" => (Channels::Grey, 1),
            _ => panic!("{name}"),
        };
        let (peak, frame) = peak_of(|| read_pickled_frame(&pickle));
        let frame = frame.unwrap_or_else(|error| panic!("{name}: {error}"));
        check_invariants(&frame);
        assert_eq!(frame.channels, channels, "{name}");
        assert_eq!(
            (frame.height as usize, frame.width as usize),
            (height, width),
            "{name}"
        );
        assert!(*frame.pixels == picture(height, width, count), "{name}");
        assert!(peak <= pickle.len() + 64 * 1024, "{name}: {peak}");
        // Python 3 has text in protocol 2.
        let turned = matches!(layout, "fortran" | "turned" | "planes");
        let text = protocol == "2" && !writer.ends_with("python2");
        let borrowed = matches!(frame.pixels, Cow::Borrowed(_));
        assert!(
            borrowed != (turned || text) || width * height == 1,
            "{name}"
        );
        kinds.insert(format!("{writer} {protocol} {kind}"));
    }
    // numpy 1.16 has no protocol 5, Python 2 nothing but 2, in two picklers.
    let writers = 2 + 3 + 4 + 4;
    assert_eq!(kinds.len(), 2 * writers, "{kinds:?}");
}
