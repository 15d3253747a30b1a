//! The live channels: which are on air, their newest pictures, and all pictures as they come.

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{self, Data, Json, Path, ServiceConfig};
use serde::Serialize;
use utoipa::ToSchema;

use crate::house::Rooms;
use crate::live_channel::{Look, Portrait};
use crate::studio::Broadcast;
use crate::viewing::Showing;
use crate::web::error::ApiError;
use crate::web::mjpeg;

/// Adds their addresses.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(web::resource("/api/live").get(list).head(list))
        .service(
            web::resource("/api/live/{name}/latest.jpg")
                .get(latest)
                .head(latest),
        )
        .service(web::resource("/api/live/{name}/mjpeg").get(pictures));
}

/// A live channel.
#[derive(Debug, Serialize, ToSchema)]
pub struct Channel {
    #[schema(example = "tumip-7")]
    name: String,
    width: u32,
    height: u32,
    viewers: usize,
    /// Since it is on air.
    frames: u64,
    recorded: bool,
}

impl From<Portrait> for Channel {
    fn from(portrait: Portrait) -> Channel {
        Channel {
            name: portrait.name.to_string(),
            width: portrait.newest.width,
            height: portrait.newest.height,
            viewers: portrait.viewers,
            frames: portrait.frames,
            recorded: portrait.recorded,
        }
    }
}

fn named(rooms: &Rooms, name: &str) -> Result<Broadcast, ApiError> {
    rooms.studio.find(name).ok_or_else(off_air)
}

fn off_air() -> ApiError {
    ApiError::not_found("no live channel of this name is on air")
}

/// All live channels that are on air, by name.
#[utoipa::path(
    get, path = "/api/live", tag = "live",
    responses((status = 200, body = Vec<Channel>)),
)]
pub async fn list(rooms: Data<Rooms>) -> Json<Vec<Channel>> {
    // All are asked before the first answer is waited for.
    let channels = rooms.studio.channels();
    let asked: Vec<_> = channels.iter().map(|channel| channel.send(Look)).collect();
    let mut on_air = Vec::new();
    for portrait in asked {
        // One that just ends is off air.
        on_air.extend(portrait.await.ok().flatten().map(Channel::from));
    }
    Json(on_air)
}

/// The newest picture of a live channel.
#[utoipa::path(
    get, path = "/api/live/{name}/latest.jpg", tag = "live",
    params(("name" = String, Path, description = "Of the channel")),
    responses(
        (status = 200, content_type = "image/jpeg", body = Vec<u8>),
        (status = 404, body = ApiError),
    ),
)]
pub async fn latest(rooms: Data<Rooms>, name: Path<String>) -> Result<HttpResponse, ApiError> {
    let portrait = named(&rooms, &name)?.channel.send(Look).await;
    let portrait = portrait.ok().flatten().ok_or_else(off_air)?;
    Ok(HttpResponse::Ok()
        .content_type("image/jpeg")
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(portrait.newest.jpeg))
}

/// A live channel as pictures one after the other, as they come. Whoever is too slow misses some.
#[utoipa::path(
    get, path = "/api/live/{name}/mjpeg", tag = "live",
    params(("name" = String, Path, description = "Of the channel")),
    responses(
        (status = 200, content_type = "multipart/x-mixed-replace", body = Vec<u8>,
            description = "JPEGs, each in place of the one before"),
        (status = 404, body = ApiError),
        (status = 503, body = ApiError, description = "`streaming.max_streams` watch already"),
    ),
)]
pub async fn pictures(rooms: Data<Rooms>, name: Path<String>) -> Result<HttpResponse, ApiError> {
    mjpeg::show(Showing::Live(named(&rooms, &name)?, None), &rooms)
}
