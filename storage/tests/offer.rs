//! What lan_file offers.

mod support;

use std::fs;
use std::path::PathBuf;

use playhouse_storage::{Folder, Offer, Offered, add};
use support::{Place, mode};

fn stored(place: &Place, number: u64, name: &str) {
    let source = place.dir.path().join("source");
    fs::write(&source, name).unwrap();
    let numbers = &mut || number;
    add(
        &place.index,
        &source,
        name.as_bytes(),
        numbers,
        &mut |_, _| {},
    )
    .unwrap();
}

fn number(place: &Place, offer: &Offer) -> Option<u64> {
    match place.index.offered(offer).unwrap()? {
        Offered::Stored(file) => Some(file.number),
        Offered::Path(path) => panic!("{path:?}"),
    }
}

#[test]
fn latest_is_the_newest_file_and_a_name_the_newest_one_of_that_name() {
    let place = Place::new();
    assert_eq!(number(&place, &Offer::latest()), None);
    for (file, name) in [(9, "film"), (3, "film"), (7, "song")] {
        stored(&place, file, name);
    }
    assert_eq!(number(&place, &Offer::latest()), Some(7));
    assert_eq!(number(&place, &Offer::new("film".into())), Some(3));
    playhouse_storage::remove(&place.index, 3).unwrap();
    assert_eq!(number(&place, &Offer::new("film".into())), Some(9));
}

#[test]
fn what_has_a_slash_or_is_no_name_is_a_path() {
    let place = Place::new();
    stored(&place, 1, "film");
    for path in ["./film", "/films/film", "other"] {
        let offered = place.index.offered(&Offer::new(path.into())).unwrap();
        assert_eq!(offered, Some(Offered::Path(PathBuf::from(path))));
    }
}

#[test]
fn what_a_command_says_stays_until_it_is_taken_back() {
    let place = Place::new();
    assert_eq!(place.folder.offer().unwrap(), None);
    for text in ["/films/film", "latest"] {
        let offer = Offer::new(text.into());
        place.folder.set_offer(Some(&offer)).unwrap();
        let again = Folder::open(&place.dir.path().join("data")).unwrap();
        assert_eq!(again.offer().unwrap(), Some(offer));
    }
    assert_eq!(mode(&place.path("offer")), 0o600);
    place.folder.set_offer(None).unwrap();
    place.folder.set_offer(None).unwrap();
    assert_eq!(place.folder.offer().unwrap(), None);
}
