//! HTTP for programs, and for the pages: one file for each kind of thing.

// What describes the handlers' parameters writes such.
#![allow(unused_qualifications)]

pub mod files;
pub mod house;
pub mod live;
pub mod messages;
pub mod offer;
pub mod people;
pub mod recording;
pub mod session;
pub mod tus;
pub mod videos;
