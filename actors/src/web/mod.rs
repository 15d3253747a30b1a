//! The web service: HTTP, answered by actix-web, and WebSockets, whose connections are conversations like
//! those of all other services (docs/protocols.md, "web").

mod api;
mod camera;
mod connection;
mod console;
mod error;
mod guard;
mod http;
mod pages;
mod process;
mod screen;
mod site;
mod stage;
mod tcp;
mod vitals;
mod watching;
mod words;

pub use connection::WebConnection;
pub use console::Console;
pub use http::HttpConnection;
pub use vitals::Pulse;
pub use words::LANGUAGE;
