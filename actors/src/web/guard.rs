//! Who may do what: hosts, origins, passwords.

use std::net::SocketAddr;

use std::future::{Ready, ready};

use actix_http::body::BoxBody;
use actix_http::{Payload, Request, Response};
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use super::error::ApiError;
use crate::house::Rooms;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Whoever is signed in, or everyone where there is no password.
    Person,
    /// May change the house.
    Admin,
}

/// Taken by handlers of what changes the house: refuses everyone else.
#[derive(Debug, Clone, Copy)]
pub struct Admin;

impl FromRequest for Admin {
    type Error = ApiError;
    type Future = Ready<Result<Admin, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match request.extensions().get::<Access>() {
            Some(Access::Admin) => Ok(Admin),
            _ => Err(ApiError::forbidden(
                "only whoever is signed in with the admin password may do that",
            )
            .by("web.admin_password")),
        })
    }
}

/// Whether this request may become a WebSocket.
///
/// # Errors
/// What to answer.
pub fn admit_socket(
    request: &Request,
    _rooms: &Rooms,
    _peer: SocketAddr,
) -> Result<Access, Response<BoxBody>> {
    match request.path() {
        "/ws" => Ok(Access::Person),
        _ => Err(Response::not_found().map_into_boxed_body()),
    }
}
