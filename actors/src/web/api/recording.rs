//! Recording a live channel, or not.

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Json, Path, ServiceConfig};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::house::Rooms;
use crate::live_channel::{NotRecorded, Record};
use crate::web::body::Body;
use crate::web::console::Console;
use crate::web::error::ApiError;
use crate::web::guard::Admin;

pub fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/api/live/{name}/recording").put(record));
}

/// What is to be.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Switch {
    on: bool,
}

/// What is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Recorded {
    recorded: bool,
}

/// Begins or ends the recording of a live channel, which holds until it is off air.
#[utoipa::path(
    operation_id = "record",
    put, path = "/api/live/{name}/recording", tag = "live",
    params(("name" = String, Path, description = "Of the channel")),
    request_body = Switch,
    responses(
        (status = 200, body = Recorded),
        (status = 403, body = ApiError, description = "Only admins may"),
        (status = 404, body = ApiError, description = "Not on air"),
        (status = 503, body = ApiError, description = "`live.max_recordings` are being made"),
        (status = 507, body = ApiError, description = "Recordings take all the room they may"),
    ),
)]
pub async fn record(
    _: Admin,
    rooms: Data<Rooms>,
    name: Path<String>,
    Body(Switch { on }): Body<Switch>,
) -> Result<Json<Recorded>, ApiError> {
    let console = Console::of(&rooms)?;
    let off_air = || ApiError::not_found("no live channel of this name is on air");
    let broadcast = rooms.studio.find(&name).ok_or_else(off_air)?;
    if on && let Some(recordings) = rooms.studio.recordings.clone() {
        let room = console.shelves.disk.run(move || recordings.check()).await;
        room.ok_or_else(ApiError::internal)?.map_err(|error| {
            tracing::warn!(channel = %broadcast.name, %error, "not recorded");
            if error.is_limit() {
                let error = "recordings take all the room that they may";
                ApiError::new(StatusCode::INSUFFICIENT_STORAGE, error).by("live.record_quota_mb")
            } else {
                ApiError::internal()
            }
        })?;
    }
    let told = broadcast.channel.send(Record(on)).await;
    let recorded = told.map_err(|_| off_air())?.map_err(|why| match why {
        NotRecorded::OffAir => off_air(),
        NotRecorded::NoPlace => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, why.to_string())
            .by("live.max_recordings"),
    })?;
    tracing::info!(channel = %broadcast.name, on, "an admin has switched the recording");
    Ok(Json(Recorded { recorded }))
}
