//! A TCP service of your own.

pub use playhouse_actors::{
    Audience, Conversation, Dismiss, Guest, Heard, Language, Link, ListChange, Observation,
    Observe, Parting, Person, Pump, Receipt, Rooms, Rule, Segment, Service, Speak, Spoken,
    TcpService, To, Welcome, conversation,
};
pub use playhouse_protocols::wire::{Step, WireError, user_name};
