//! A TCP service of your own: a codec, an actor for each connection, a name and a port.
//!
//! Its people are in the room like everyone: what they say is heard in all services, the bot included, and
//! what is said there is heard by them, as far as the protocols can say it. Here is all of it, for people
//! who are called by their address, write lines, and read lines:
//!
//! ```
//! use playhouse::Playhouse;
//! use playhouse::actix::{Actor, AsyncContext, Context};
//! use playhouse::bytes::Bytes;
//! use playhouse::service::{Conversation, Guest, Pump, Spoken, TcpService, conversation};
//!
//! struct Liner(Guest);
//!
//! impl Actor for Liner {
//!     type Context = Context<Self>;
//!
//!     fn started(&mut self, ctx: &mut Context<Self>) {
//!         let name = self.0.link.peer().ip().to_string();
//!         self.join_as(&name, ctx);
//!         ctx.spawn(Pump);
//!     }
//! }
//!
//! impl Conversation for Liner {
//!     fn guest(&mut self) -> &mut Guest {
//!         &mut self.0
//!     }
//!
//!     /// Takes whole lines, and says how many bytes they are; the rest comes again with what follows.
//!     fn received(&mut self, input: &[u8], _: &mut Context<Self>) -> usize {
//!         let lines: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
//!         let whole = lines.iter().filter(|line| line.ends_with(b"\n"));
//!         let texts: Vec<Bytes> = whole.map(|line| Bytes::copy_from_slice(line.trim_ascii())).collect();
//!         let rest = lines.last().filter(|line| !line.ends_with(b"\n"));
//!         if !texts.is_empty() {
//!             self.speak(texts);
//!         }
//!         input.len() - rest.map_or(0, |rest| rest.len())
//!     }
//! }
//!
//! // Hears what `words` makes, and leaves when the house closes.
//! conversation!(Liner);
//!
//! fn words(spoken: &Spoken<'_>) -> Bytes {
//!     let name = &spoken.from.name;
//!     let texts = spoken.texts.iter();
//!     let lines = texts.map(|text| format!("{name}: {}\n", String::from_utf8_lossy(text)));
//!     lines.collect::<String>().into()
//! }
//!
//! let service = TcpService::new("liner", 7002, |link, rooms| Liner(Guest::new(link, rooms)));
//! Playhouse::builder().service(service.words(words));
//! ```
//!
//! (A real one gives a line a limit, and lets go of whoever breaks it: `examples/shout.rs`.)
//!
//! | name | what for |
//! |---|---|
//! | [`TcpService`] | the service itself: name, port, language |
//! | [`Conversation`] | what a connection's actor implements; its provided methods are what it does with |
//! | [`conversation!`] | the handlers that most have alike: [`Heard`], [`Dismiss`], [`Observe`] |
//! | [`Guest`], [`Link`], [`Pump`] | its side of the house, its socket, and what moves the bytes |
//! | [`Segment`], [`Rule`] | what is queued with [`push`](Conversation::push), and how it meets its neighbours |
//! | [`Spoken`], [`ListChange`] | what there is to be put into the service's words |
//! | [`Step`], [`WireError`], [`user_name`] | for decoders |
//! | [`Parting`] | why a connection ends: [`part`](Conversation::part) |
//! | [`Rooms`] | whom a connection can reach: `lobby` with [`Everyone`], `history` with [`Recall`] |
//!
//! What a peer sends must not panic, block or grow without bound. The house sees to the rest: limits of
//! connections, networks and backlogs, slow readers, panics of a connection, the order of what is heard.

#[doc(inline)]
pub use playhouse_actors::{
    Conversation, Dismiss, Everyone, Guest, Heard, Language, Link, ListChange, Observation,
    Observe, Parting, Person, Pump, Recall, Receipt, Remembered, Rooms, Rule, Segment, Service,
    Speak, Spoken, TcpService, To, Welcome, conversation,
};
#[doc(inline)]
pub use playhouse_protocols::wire::{Step, WireError, user_name};
