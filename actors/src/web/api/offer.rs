//! What lan_file gives: what `playhouse offer` says and changes.

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Json, ServiceConfig};
use playhouse_storage::{Offer, Offered, number};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::file_offer::TakeOffer;
use crate::house::Rooms;
use crate::web::body::Body;
use crate::web::console::Console;
use crate::web::error::ApiError;
use crate::web::guard::Admin;

pub fn routes(config: &mut ServiceConfig) {
    config.service(
        web::resource("/api/offer")
            .get(offered)
            .head(offered)
            .put(offer),
    );
}

/// What lan_file gives.
#[derive(Debug, Serialize, ToSchema)]
pub struct OnOffer {
    /// `latest`, the number of a file in decimal digits, or what else its operator has said.
    #[schema(example = "latest")]
    file: String,
    /// Of the file that this means now.
    name: String,
    /// Of the file that this means now.
    bytes: u64,
}

/// What lan_file is to give.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ToOffer {
    /// `latest`, or the number of a file in decimal digits.
    #[schema(example = "latest")]
    file: String,
}

fn broken<E: std::fmt::Display>(error: E) -> ApiError {
    tracing::error!(%error, "what lan_file offers");
    ApiError::internal()
}

/// What lan_file gives.
#[utoipa::path(
    operation_id = "offered",
    get, path = "/api/offer", tag = "files",
    responses(
        (status = 200, body = OnOffer),
        (status = 404, body = ApiError, description = "Nothing, or `lan_file` is off"),
    ),
)]
pub async fn offered(rooms: Data<Rooms>) -> Result<Json<OnOffer>, ApiError> {
    let console = Console::of(&rooms)?;
    let (Some(configured), Some(giver)) = (&console.lan_file, rooms.offer.addr()) else {
        let off = ApiError::not_found("lan_file is off in this house");
        return Err(off.by("lan_file.enabled"));
    };
    let shelves = console.shelves.clone();
    let said = shelves.disk.run(move || shelves.folder.offer()).await;
    let said = said.ok_or_else(ApiError::internal)?.map_err(broken)?;
    let said = said.unwrap_or_else(|| configured.clone());
    let given = giver.send(TakeOffer).await.map_err(broken)?;
    let given = given.map_err(|error| match error.is_ours() {
        true => broken(error),
        // The operator's log has the path.
        false => ApiError::not_found("what is on offer can't be read, or there is nothing"),
    })?;
    let meaning = said.clone();
    let ledger = &console.shelves.ledger;
    let meaning = ledger.read(move |index| index.offered(&meaning)).await;
    let (file, name) = match meaning.map_err(broken)? {
        Some(Offered::Stored(stored)) if number(said.text()) == Some(stored.number) => {
            (stored.number.to_string(), stored.label())
        }
        Some(Offered::Stored(stored)) => (shown(&said), stored.label()),
        Some(Offered::Path(_)) | None => (shown(&said), last_part(&given.name)),
    };
    let bytes = given.size;
    Ok(Json(OnOffer { file, name, bytes }))
}

fn shown(offer: &Offer) -> String {
    offer.text().to_string_lossy().escape_debug().to_string()
}

/// Where the operator keeps files is nobody's business.
fn last_part(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// Changes what lan_file gives: a file of the house, or always the newest one.
#[utoipa::path(
    operation_id = "offer",
    put, path = "/api/offer", tag = "files",
    request_body = ToOffer,
    responses(
        (status = 200, body = OnOffer),
        (status = 403, body = ApiError, description = "Only admins may"),
        (status = 404, body = ApiError, description = "No such file"),
    ),
)]
pub async fn offer(
    _: Admin,
    rooms: Data<Rooms>,
    Body(ToOffer { file }): Body<ToOffer>,
) -> Result<Json<OnOffer>, ApiError> {
    let console = Console::of(&rooms)?;
    let offer = match file.as_str() {
        "latest" => Offer::latest(),
        number => {
            let unknown = || ApiError::not_found("no file of the house has this number");
            let number = number.parse().map_err(|_| {
                let error = "file: `latest`, or the number of a file of the house";
                ApiError::new(StatusCode::BAD_REQUEST, error)
            })?;
            let stored = console.shelves.ledger.read(move |index| index.file(number));
            Offer::stored(&stored.await.map_err(broken)?.ok_or_else(unknown)?)
        }
    };
    let shelves = console.shelves.clone();
    let text = offer.text().to_os_string();
    let set = move || shelves.folder.set_offer(Some(&offer));
    let set = console.shelves.disk.run(set).await;
    set.ok_or_else(ApiError::internal)?.map_err(broken)?;
    tracing::info!(offer = ?text, "an admin has changed what lan_file offers");
    offered(rooms).await
}
