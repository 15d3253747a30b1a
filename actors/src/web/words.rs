//! How the people of the web service are told what happens in the house.

use bytes::{Bytes, BytesMut};
use playhouse_protocols::web::{Id, Person as WebPerson, Said, ServerMessage, Speaker, encode};

use crate::history::Remembered;
use crate::language::{Language, ListChange, Spoken};
use crate::messages::{Person, Service};

/// Its words.
pub const LANGUAGE: Language = Language {
    people: Some(people),
    words: Some(words),
    echo: true,
    ..Language::plain(Service::Web)
};

/// Somebody, as pages know people.
pub fn person(person: &Person) -> WebPerson<'_> {
    WebPerson {
        id: Id(person.id),
        name: &person.name,
        service: person.service.name(),
        reads: person.reads,
        private: person.private,
    }
}

/// Who came and who went; a page keeps the list itself.
fn people(change: &ListChange<'_>) -> Vec<Bytes> {
    vec![encode(&ServerMessage::People {
        came: change.came.iter().map(|came| person(came)).collect(),
        went: change.went.iter().map(|went| Id(went.id)).collect(),
    })]
}

fn words(spoken: &Spoken<'_>) -> Bytes {
    let mut wire = BytesMut::new();
    for (number, text) in (0..).zip(spoken.texts) {
        let message = ServerMessage::Said(Said {
            id: spoken.number.map(|first| Id(first + number)),
            at: spoken.at_ms,
            from: Speaker {
                id: Id(spoken.from.id),
                name: &spoken.from.name,
                service: spoken.from.service.name(),
            },
            text: String::from_utf8_lossy(text),
            to: spoken.to.map(Id),
        });
        wire.extend_from_slice(&encode(&message));
    }
    wire.freeze()
}

/// Words of the past.
pub fn remembered(said: &Remembered) -> Said<'_> {
    Said {
        id: Some(Id(said.number)),
        at: said.at_ms,
        from: Speaker {
            id: Id(said.from),
            name: &said.name,
            service: &said.service,
        },
        text: said.text.as_str().into(),
        to: None,
    }
}
