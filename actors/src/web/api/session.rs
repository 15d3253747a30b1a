//! Signing in and out.

use actix_web::http::StatusCode;
use actix_web::http::header::{ORIGIN, SET_COOKIE};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use crate::house::Rooms;
use crate::web::auth::Keeper;
use crate::web::body::Body;
use crate::web::error::ApiError;
use crate::web::guard::Access;
use crate::web::site::Visit;

pub fn routes(config: &mut ServiceConfig) {
    config.service(
        web::resource("/api/session")
            .get(session)
            .post(sign_in)
            .delete(sign_out),
    );
}

/// Who one is, and how one enters.
#[derive(Debug, Serialize)]
struct Session {
    version: &'static str,
    password_needed: bool,
    signed_in: bool,
    admin: bool,
    admin_possible: bool,
}

#[derive(Deserialize)]
struct SignIn {
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

fn keeper(rooms: &Rooms) -> Result<&Keeper, ApiError> {
    let console = rooms.console.as_ref().ok_or_else(ApiError::internal)?;
    Ok(&console.keeper)
}

/// Who one is, and how one enters
async fn session(request: HttpRequest, rooms: Data<Rooms>) -> Result<HttpResponse, ApiError> {
    let access = request.extensions().get::<Access>().copied();
    Ok(HttpResponse::Ok().json(told(keeper(&rooms)?, access)))
}

/// Signs in
async fn sign_in(
    request: HttpRequest,
    rooms: Data<Rooms>,
    Body(asked): Body<SignIn>,
) -> Result<HttpResponse, ApiError> {
    let keeper = keeper(&rooms)?;
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

/// Signs out
async fn sign_out(rooms: Data<Rooms>) -> Result<HttpResponse, ApiError> {
    let cookie = keeper(&rooms)?.sign_out();
    Ok(HttpResponse::NoContent()
        .insert_header((SET_COOKIE, cookie))
        .finish())
}
