//! How the house is, for programs.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Json, ServiceConfig};
use tokio::time::timeout;

use crate::file_store::ListFiles;
use crate::house::Rooms;
use crate::messages::Observe;
use crate::watch::Post;
use crate::web::console::Console;
use crate::web::error::ApiError;
use crate::web::vitals::{Vitals, vitals};

/// Who does not answer in so long is away.
const PATIENCE: Duration = Duration::from_secs(2);

pub fn routes(config: &mut ServiceConfig) {
    config
        .service(web::resource("/api/house").get(house).head(house))
        .service(web::resource("/healthz").get(healthz).head(healthz))
        .service(web::resource("/readyz").get(readyz).head(readyz));
}

/// How the house is, as of a second ago at most.
#[utoipa::path(
    get, path = "/api/house", tag = "house",
    responses((status = 200, body = Vitals)),
)]
pub async fn house(rooms: Data<Rooms>) -> Json<Arc<Vitals>> {
    Json(vitals(&rooms).await)
}

/// Whether the program runs.
#[utoipa::path(
    get, path = "/healthz", tag = "house",
    responses((status = 200, content_type = "text/plain", body = String)),
)]
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

/// Whether the house can be used: its lobby, its library and its files answer.
#[utoipa::path(
    get, path = "/readyz", tag = "house",
    responses(
        (status = 200, content_type = "text/plain", body = String),
        (status = 503, body = ApiError, description = "Who does not answer"),
    ),
)]
pub async fn readyz(rooms: Data<Rooms>) -> Result<HttpResponse, ApiError> {
    let console = Console::of(&rooms)?;
    let lobby = answers(&rooms.lobby, |lobby| lobby.send(Observe));
    let library = answers(&rooms.library, |library| library.send(Observe));
    let files = answers(&console.files, |files| files.send(ListFiles));
    let (lobby, library, files) = tokio::join!(lobby, library, files);
    let away: Vec<&str> = [("lobby", lobby), ("library", library), ("files", files)]
        .into_iter()
        .filter_map(|(name, answers)| (!answers).then_some(name))
        .collect();
    if !away.is_empty() {
        let error = format!("no answer from: {}", away.join(", "));
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error));
    }
    Ok(HttpResponse::Ok()
        .content_type("text/plain")
        .body("ready\n"))
}

async fn answers<A: actix::Actor, F: Future<Output = Result<T, actix::MailboxError>>, T>(
    post: &Post<A>,
    ask: impl FnOnce(actix::Addr<A>) -> F,
) -> bool {
    match post.addr() {
        Some(addr) => matches!(timeout(PATIENCE, ask(addr)).await, Ok(Ok(_))),
        None => false,
    }
}
