//! Who may do what: hosts, origins, passwords. Every request passes here.

use std::future::{Ready, ready};
use std::net::SocketAddr;

use actix_http::body::{BodySize, BoxBody, MessageBody};
use actix_http::{ConnectionType, Payload, Request, RequestHead, Response, ResponseHead, Version};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderValue, WWW_AUTHENTICATE};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError};

use super::error::ApiError;
use super::headers::harden;
use super::hosts::{check_host, check_origin, is_harmless};
use super::site::Visit;
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
        if request.extensions().get::<Access>() == Some(&Access::Admin) {
            return ready(Ok(Admin));
        }
        let rooms = request.app_data::<Data<Rooms>>();
        let console = rooms.and_then(|rooms| rooms.console.as_ref());
        let error = match console.is_some_and(|console| console.keeper.has_admin()) {
            true => "only admins may do that: sign in with the admin password",
            false => {
                "nobody may do that from here: this house has no admin password; \
                 `playhouse password` makes one for its operator"
            }
        };
        ready(Err(ApiError::forbidden(error).by("web.admin_password")))
    }
}

/// Lets a request in or refuses it; what is answered is hardened in any case, and as whoever asked can read it.
///
/// # Errors
/// What actix-web answers itself.
pub async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let visit = request.conn_data::<Visit>().cloned();
    let admitted = match &visit {
        Some(visit) => admit(request.head(), &visit.rooms, visit.peer).await,
        None => Err(ApiError::internal()),
    };
    let version = request.head().version;
    let mut answer = match admitted {
        Ok(access) => {
            if let Some(access) = access {
                request.extensions_mut().insert(access);
            }
            next.call(request).await?.map_into_boxed_body()
        }
        Err(error) => {
            let refusal = refusal(&error, request.head());
            request.into_response(refusal)
        }
    };
    harden(answer.response_mut().headers_mut());
    if version < Version::HTTP_11 && answer.response().body().size() == BodySize::Stream {
        end_with_connection(answer.response_mut().head_mut());
    }
    Ok(answer)
}

/// What has no length comes in chunks, which HTTP/1.0 does not know (RFC 9112, section 6.1): there it ends with
/// the connection. Proxies speak it to those behind them, nginx if nobody tells it otherwise.
fn end_with_connection(head: &mut ResponseHead) {
    head.no_chunking(true);
    head.set_connection_type(ConnectionType::Close);
}

/// What whoever sends this may do; `None` for somebody unknown who asks for what is open to all.
async fn admit(
    head: &RequestHead,
    rooms: &Rooms,
    peer: SocketAddr,
) -> Result<Option<Access>, ApiError> {
    let console = rooms.console.as_ref().ok_or_else(ApiError::internal)?;
    check_host(head, &console.settings.hosts)?;
    if !is_harmless(&head.method) {
        check_origin(head)?;
    }
    let (keeper, headers) = (&console.keeper, head.headers());
    let path = head.uri.path();
    if is_open(&head.method, path) {
        return Ok(keeper.without_password(headers));
    }
    let access = keeper.access(headers, peer.ip()).await;
    match access.map_err(|denied| denied.told(StatusCode::UNAUTHORIZED))? {
        None if path != "/api/session" => {
            let error = "this house has a password: sign in first";
            Err(ApiError::new(StatusCode::UNAUTHORIZED, error).by("web.password"))
        }
        access => Ok(access),
    }
}

/// What is there without signing in: the page that asks for the password, and whether the house is well.
fn is_open(method: &Method, path: &str) -> bool {
    is_harmless(method)
        && (matches!(path, "/" | "/api" | "/healthz" | "/readyz") || path.starts_with("/assets/"))
}

fn refusal(error: &ApiError, head: &RequestHead) -> HttpResponse {
    let mut refusal = error.error_response();
    // A program is told how; a browser's page asks by itself, without the browser's own window.
    if error.status == StatusCode::UNAUTHORIZED && !head.headers().contains_key("sec-fetch-mode") {
        let how = HeaderValue::from_static("Basic realm=\"playhouse\", charset=\"UTF-8\"");
        refusal.headers_mut().insert(WWW_AUTHENTICATE, how);
    }
    refusal
}

/// Whether this request may become a WebSocket.
///
/// # Errors
/// What to answer.
pub async fn admit_socket(
    request: &Request,
    rooms: &Rooms,
    peer: SocketAddr,
) -> Result<Access, Response<BoxBody>> {
    let head = request.head();
    let admitted = match (head.uri.path(), &head.method) {
        ("/ws", &Method::GET) => match check_origin(head) {
            Ok(()) => admit(head, rooms, peer).await,
            Err(error) => Err(error),
        },
        _ => Err(ApiError::not_found("the WebSocket is at /ws")),
    };
    let refused = match admitted {
        Ok(Some(access)) => return Ok(access),
        Ok(None) => ApiError::internal(),
        Err(error) => error,
    };
    let mut refusal: Response<BoxBody> = refusal(&refused, head).into();
    harden(refusal.headers_mut());
    Err(refusal)
}
