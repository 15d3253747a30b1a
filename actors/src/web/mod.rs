//! The web service: HTTP, answered by actix-web, and WebSockets, whose connections are conversations like
//! those of all other services (docs/protocols.md, "web").

mod api;
mod connection;
mod console;
mod error;
mod guard;
mod http;
mod pages;
mod process;
mod site;
mod tcp;
mod vitals;

pub use connection::{LANGUAGE, WebConnection};
pub use console::Console;
pub use http::HttpConnection;
pub use vitals::Pulse;
