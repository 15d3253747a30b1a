//! The wire formats of the house: bytes in, typed messages out, and back.
//!
//! Pure code: no sockets, no clocks, no logs. One folder a protocol, each with the same two files,
//! `message.rs` (what is said) and `codec.rs` (how it looks on the wire). What is common to them
//! stands in [`wire`]: the result of a decoding step, the error, names and PEM blocks.
//!
//! A decoder is fed everything that is unread so far and takes one message at a time. It never
//! copies what it does not have to: client messages borrow from the input.

pub mod chatroom;
pub mod lan;
pub mod packetchat;
pub mod tumip;
pub mod videochat;
pub mod web;
pub mod wire;
