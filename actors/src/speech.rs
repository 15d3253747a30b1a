//! What the lobby does with words: whom they concern, in which form.

use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;
use playhouse_protocols::packetchat::Kind;
use playhouse_storage::now_ms;

use crate::file_store::draw;
use crate::floor::{Hand, Tell};
use crate::house_bot::Asked;
use crate::inbox::{Fate, Sender};
use crate::interpreter::{Job, Reader};
use crate::language::Spoken;
use crate::lobby::{Lobby, Say, Speak, To};
use crate::messages::{Heard, Person, Receipt, Service, Words};
use crate::words::{for_bot, readable};

/// Public words.
struct Public<'a> {
    from: &'a Arc<Person>,
    /// As they were said, for people of the same service, …
    said: &'a Arc<[Bytes]>,
    /// … and so that everyone can show them.
    texts: Arc<[Bytes]>,
    at_ms: i64,
    number: Option<u64>,
    receipt: Option<Receipt>,
}

impl Lobby {
    /// Public words reach everyone who can be told them, but for a service that has them already.
    fn spread(
        &mut self,
        from: &Arc<Person>,
        said: &Arc<[Bytes]>,
        has_them: Option<Service>,
        receipt: Option<Receipt>,
        ctx: &mut Context<Self>,
    ) {
        let texts = readable(said);
        let at_ms = now_ms();
        // What only people of one service hear is no part of the house's history, but for the one that shows
        // it.
        let is_history = self.across.is_some() || from.service == Service::Web;
        let annals = self.annals.as_ref().filter(|_| is_history);
        let public = Public {
            number: annals.and_then(|annals| annals.note(from, &texts, at_ms, receipt.as_ref())),
            from,
            said,
            texts,
            at_ms,
            receipt,
        };
        let hears = |service: Service| match has_them {
            Some(has_them) if has_them == service => false,
            _ => self.across.is_some() || service == from.service,
        };
        let rooms = self.rooms.iter();
        let here = rooms.filter(|(service, room)| hears(**service) && !room.people.is_empty());
        let services: Vec<Service> = here.map(|(service, _)| *service).collect();
        for service in services {
            self.spread_to(service, &public, ctx);
        }
        self.ask_bot(&public);
    }

    fn spread_to(&mut self, service: Service, public: &Public<'_>, ctx: &mut Context<Self>) {
        let Some(room) = self.rooms.get_mut(&service) else {
            return;
        };
        let (language, from) = (room.language, public.from);
        if language.secrecy.is_some() {
            if public.texts.is_empty() {
                return;
            }
            let readers = room.readers();
            self.encipher(
                service,
                from,
                &public.texts,
                readers,
                public.receipt.clone(),
                ctx,
            );
        } else if let Some(encode) = language.words {
            if public.texts.is_empty() {
                return;
            }
            let spoken = Spoken {
                from,
                texts: &public.texts,
                at_ms: public.at_ms,
                number: public.number,
                to: None,
            };
            let but = (!language.echo).then_some(from.id);
            let heard = Heard::Said(encode(&spoken));
            self.announce(service, but, heard, public.receipt.clone());
        } else if language.reads {
            let texts = match service == from.service {
                true => public.said,
                false => &public.texts,
            };
            self.announce_words(service, from.id, texts, public.receipt.clone());
        }
    }

    fn announce_words(
        &self,
        service: Service,
        from: u64,
        texts: &Arc<[Bytes]>,
        receipt: Option<Receipt>,
    ) {
        for text in texts.iter() {
            let words = Words {
                from,
                text: text.clone(),
                to: None,
            };
            self.announce(service, None, Heard::Words(words), receipt.clone());
        }
    }

    /// Public words for people who have keys.
    fn encipher(
        &mut self,
        service: Service,
        from: &Arc<Person>,
        texts: &Arc<[Bytes]>,
        to: Arc<[Reader]>,
        receipt: Option<Receipt>,
        ctx: &mut Context<Self>,
    ) {
        self.introduce(service, from, ctx);
        let job = Job {
            from: from.clone(),
            texts: texts.clone(),
            to,
            sender: None,
            receipt,
        };
        self.hand_over(service, job);
    }

    /// People of `service` see who speaks to them, if there is room in their list.
    fn introduce(&mut self, service: Service, from: &Arc<Person>, ctx: &mut Context<Self>) {
        let bot = self.across.as_ref().map(|across| across.bot.id);
        let room = self.rooms.get_mut(&service);
        if room.is_some_and(|room| room.hears_of(from, bot == Some(from.id))) {
            self.changed(service, None, ctx);
        }
    }

    fn hand_over(&self, service: Service, job: Job) {
        let bridge = self.across.as_ref().map(|across| &across.bridge);
        let Some((office, modulus)) = bridge.and_then(|bridge| bridge.office(service)) else {
            return tell(job.sender.as_ref(), Fate::Nobody);
        };
        // About: what one block holds differs from key to key.
        let blocks = |text: &Bytes| 1 + text.len() / (modulus.block() - 66);
        let blocks = job.texts.iter().map(blocks).sum::<usize>() * job.to.len();
        if let Err(job) = office.encipher(job, blocks) {
            tell(job.sender.as_ref(), Fate::GivenUp);
        }
    }

    /// Words for one person alone.
    fn direct(
        &mut self,
        from: u64,
        texts: Arc<[Bytes]>,
        to: To,
        receipt: Option<Receipt>,
        ctx: &mut Context<Self>,
    ) {
        if let Some(across) = &self.across
            && across.bot.id == to.person
        {
            return self.ask_bot_alone(from, &texts, to.sender);
        }
        let Some(present) = self.present(to.person) else {
            return tell(to.sender.as_ref(), Fate::Nobody);
        };
        let (service, floor) = (present.person.service, present.floor);
        let reader = present.reader();
        let language = self.rooms.get(&service).map(|room| room.language);
        let is_plain = |language: &crate::language::Language| {
            language.reads && language.words.is_none() && language.secrecy.is_none()
        };
        let speaker = self.person(from).cloned();
        match (language, speaker) {
            // Who has just left is known by number there.
            (Some(language), speaker)
                if is_plain(&language)
                    && (self.across.is_some()
                        || speaker.as_ref().is_none_or(|one| one.service == service)) =>
            {
                let is_own = speaker.is_none_or(|speaker| speaker.service == service);
                let texts = if is_own { texts } else { readable(&texts) };
                self.tell_words(service, floor, from, &texts, to);
            }
            (Some(language), Some(speaker))
                if language.reads && (self.across.is_some() || speaker.service == service) =>
            {
                let texts = readable(&texts);
                if texts.is_empty() {
                    // Nothing that could be shown there.
                    return tell(to.sender.as_ref(), Fate::Arrived);
                }
                if language.secrecy.is_some() {
                    self.introduce(service, &speaker, ctx);
                    let job = Job {
                        from: speaker,
                        texts,
                        to: Arc::new([reader]),
                        sender: to.sender,
                        receipt,
                    };
                    return self.hand_over(service, job);
                }
                let spoken = Spoken {
                    from: &speaker,
                    texts: &texts,
                    at_ms: now_ms(),
                    number: None,
                    to: Some(to.person),
                };
                let wire = language.words.map(|encode| encode(&spoken));
                if let Some(floor) = self.floors.get(floor) {
                    floor.do_send(Hand {
                        service,
                        person: to.person,
                        heard: wire.map(Heard::Said).into_iter().collect(),
                        sender: to.sender,
                        receipt,
                    });
                }
            }
            _ => tell(to.sender.as_ref(), Fate::Nobody),
        }
    }

    /// Words for a person whose connection finds the form. The last of several texts is the one that its
    /// sender hears of.
    fn tell_words(&self, service: Service, floor: usize, from: u64, texts: &[Bytes], to: To) {
        let Some(floor) = self.floors.get(floor) else {
            return tell(to.sender.as_ref(), Fate::Nobody);
        };
        let Some((last, others)) = texts.split_last() else {
            return tell(to.sender.as_ref(), Fate::Arrived);
        };
        let others = others.iter().map(|text| (text, draw(Kind::Message), None));
        for (text, number, sender) in others.chain([(last, to.number, to.sender)]) {
            floor.do_send(Tell {
                service,
                person: to.person,
                heard: Heard::Words(Words {
                    from,
                    text: text.clone(),
                    to: Some((number, sender)),
                }),
            });
        }
    }

    /// Public words may be for the bot.
    fn ask_bot(&self, public: &Public<'_>) {
        let Some(across) = &self.across else {
            return;
        };
        if across.bot.id == public.from.id {
            return;
        }
        for text in public
            .texts
            .iter()
            .filter_map(|text| std::str::from_utf8(text).ok())
        {
            if let Some(question) = for_bot(text) {
                across.answers.do_send(Asked {
                    by: public.from.clone(),
                    question: question.to_owned(),
                    is_public: true,
                    sender: None,
                });
            }
        }
    }

    fn ask_bot_alone(&self, from: u64, texts: &[Bytes], sender: Option<Sender>) {
        let (Some(across), Some(by)) = (&self.across, self.person(from)) else {
            return tell(sender.as_ref(), Fate::Nobody);
        };
        if across.bot.id == from {
            return tell(sender.as_ref(), Fate::Nobody);
        }
        let question = String::from_utf8_lossy(&texts.join(&b'\n')).into_owned();
        let asked = Asked {
            by: by.clone(),
            question: for_bot(&question).unwrap_or(&question).to_owned(),
            is_public: false,
            sender,
        };
        match across.answers.addr() {
            Some(answers) => answers.do_send(asked),
            None => tell(asked.sender.as_ref(), Fate::GivenUp),
        }
    }
}

fn tell(sender: Option<&Sender>, fate: Fate) {
    if let Some(sender) = sender {
        sender.tell(fate);
    }
}

impl Handler<Say> for Lobby {
    type Result = ();

    fn handle(&mut self, say: Say, ctx: &mut Context<Self>) {
        self.messages += say.messages;
        let (service, receipt) = (say.service, say.receipt);
        self.announce(
            service,
            say.but,
            Heard::Said(say.wire),
            Some(receipt.clone()),
        );
        if let Some(plain) = say.plain
            && let Some(from) = self.person(plain.from).cloned()
        {
            self.spread(&from, &plain.texts, Some(service), Some(receipt), ctx);
        }
    }
}

impl Handler<Speak> for Lobby {
    type Result = ();

    fn handle(&mut self, speak: Speak, ctx: &mut Context<Self>) {
        let Speak {
            from,
            texts,
            to,
            receipt,
        } = speak;
        self.messages += texts.len() as u64;
        if let Some(to) = to {
            return self.direct(from, texts, to, receipt, ctx);
        }
        match self.person(from).cloned() {
            Some(from) => self.spread(&from, &texts, None, receipt, ctx),
            // Who has just left, or is not known to a rebuilt lobby yet, is known by number there.
            None => self.announce_words(Service::Packetchat, from, &texts, receipt),
        }
    }
}
