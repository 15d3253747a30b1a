//! The web service: HTTP, answered by actix-web, and WebSockets, whose connections are conversations like
//! those of all other services (docs/protocols.md, "web").

mod api;
mod assets;
mod auth;
mod body;
mod camera;
mod connection;
mod console;
mod content;
mod error;
mod guard;
mod headers;
mod hosts;
mod http;
mod incoming;
mod lease;
mod metrics;
mod mjpeg;
mod openapi;
mod pages;
mod password;
mod process;
mod screen;
mod secret;
mod site;
mod stage;
mod still;
mod tcp;
mod tries;
mod tus_headers;
mod uploads;
mod vitals;
mod watching;
mod words;

pub use auth::{AuthError, Keeper};
pub use connection::WebConnection;
pub use console::Console;
pub use http::HttpConnection;
pub use password::{MAX_PASSWORD, PasswordError, check_password_hash, hash_password};
pub use still::Stills;
pub use uploads::{Book as UploadBook, SESSION as WEB_SESSION, Uploads};
pub use vitals::Pulse;
pub use words::LANGUAGE;
