//! The web service: HTTP, answered by actix-web, and WebSockets, whose connections are conversations like
//! those of all other services (docs/protocols.md, "web").

mod api;
mod connection;
mod console;
mod content;
mod error;
mod guard;
mod http;
mod incoming;
mod lease;
mod mjpeg;
mod openapi;
mod pages;
mod process;
mod site;
mod still;
mod tcp;
mod tus_headers;
mod uploads;
mod vitals;

pub use connection::{LANGUAGE, WebConnection};
pub use console::Console;
pub use http::HttpConnection;
pub use still::Stills;
pub use uploads::{Book as UploadBook, SESSION as WEB_SESSION, Uploads};
pub use vitals::Pulse;
