//! Signing in and out.

use actix_web::http::StatusCode;
use actix_web::http::header::{ORIGIN, SET_COOKIE};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::house::Rooms;
use crate::web::auth::Keeper;
use crate::web::body::Body;
use crate::web::console::Console;
use crate::web::error::ApiError;
use crate::web::guard::Access;
use crate::web::site::Visit;

pub fn routes(config: &mut ServiceConfig) {
    config.service(
        web::resource("/api/session")
            .get(session)
            .head(session)
            .post(sign_in)
            .delete(sign_out),
    );
}

/// Who one is, and how one enters.
#[derive(Debug, Serialize, ToSchema)]
pub struct Session {
    version: &'static str,
    password_needed: bool,
    signed_in: bool,
    admin: bool,
    admin_possible: bool,
}

/// The password of the house, or the admin's.
#[derive(Deserialize, ToSchema)]
pub struct SignIn {
    password: String,
}

fn told(keeper: &Keeper, access: Option<Access>) -> Session {
    Session {
        version: env!("CARGO_PKG_VERSION"),
        password_needed: keeper.needs_password(),
        signed_in: access.is_some(),
        admin: access == Some(Access::Admin),
        admin_possible: keeper.has_admin(),
    }
}

/// Whether one is signed in, and how one may be. Open to all.
#[utoipa::path(
    get, path = "/api/session", tag = "session",
    responses((status = 200, body = Session)),
)]
pub async fn session(request: HttpRequest, rooms: Data<Rooms>) -> Result<HttpResponse, ApiError> {
    let access = request.extensions().get::<Access>().copied();
    Ok(HttpResponse::Ok().json(told(&Console::of(&rooms)?.keeper, access)))
}

/// Signs in: the answer has a cookie.
#[utoipa::path(
    post, path = "/api/session", tag = "session",
    request_body = SignIn,
    responses(
        (status = 200, body = Session),
        (status = 403, body = ApiError, description = "That is not the password"),
        (status = 429, body = ApiError, description = "Too many were tried; `Retry-After` says when to go on"),
    ),
)]
pub async fn sign_in(
    request: HttpRequest,
    rooms: Data<Rooms>,
    Body(asked): Body<SignIn>,
) -> Result<HttpResponse, ApiError> {
    let keeper = &Console::of(&rooms)?.keeper;
    if !keeper.needs_password() && !keeper.has_admin() {
        return Err(ApiError::forbidden("this house has no passwords").by("web.admin_password"));
    }
    let visit = request.conn_data::<Visit>();
    let from = visit.ok_or_else(ApiError::internal)?.peer.ip();
    let access = keeper.check(&asked.password, from).await;
    let access = access.map_err(|denied| denied.told(StatusCode::FORBIDDEN))?;
    // A proxy in front of us speaks TLS, and the browser says so.
    let origin = request.headers().get(ORIGIN);
    let secure = origin.is_some_and(|origin| origin.as_bytes().starts_with(b"https:"));
    Ok(HttpResponse::Ok()
        .insert_header((SET_COOKIE, keeper.sign_in(access, secure)))
        .json(told(keeper, Some(access))))
}

/// Signs out.
#[utoipa::path(
    delete, path = "/api/session", tag = "session",
    responses((status = 204)),
)]
pub async fn sign_out(rooms: Data<Rooms>) -> Result<HttpResponse, ApiError> {
    let cookie = Console::of(&rooms)?.keeper.sign_out();
    Ok(HttpResponse::NoContent()
        .insert_header((SET_COOKIE, cookie))
        .finish())
}
