//! The videos: which there are, single frames, their files, and the whole as a stream of pictures.

use std::sync::Arc;

use actix_web::http::header::{self, EntityTag, IfNoneMatch};
use actix_web::web::{self, Data, Json, Path, Query, ServiceConfig};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use playhouse_media::Clip;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::house::Rooms;
use crate::library::{self, VideoNamed};
use crate::viewing::{INTERLEAVED, Showing, plan};
use crate::web::console::Console;
use crate::web::content;
use crate::web::error::ApiError;
use crate::web::mjpeg;

/// Frames may be kept for so long without asking again: a video's file is seldom replaced.
const FRAME_CACHE: &str = "private, max-age=60";

/// Adds their addresses.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(web::resource("/api/videos").get(list).head(list))
        .service(web::resource("/api/videos/{name}").get(one).head(one))
        .service(
            web::resource("/api/videos/{name}/frames/{n}.jpg")
                .get(frame)
                .head(frame),
        )
        .service(web::resource("/api/videos/{name}/mjpeg").get(pictures))
        .service(
            web::resource("/api/videos/{name}/{quality}.mp4")
                .get(file)
                .head(file),
        );
}

/// A video.
#[derive(Debug, Serialize, ToSchema)]
pub struct Video {
    #[schema(example = "cells")]
    name: String,
    /// How many frames it is shown in, those of the lowest quality.
    frames: u32,
    duration_ms: u64,
    /// Frames a second, on average.
    fps: f64,
    /// Lowest first.
    qualities: Vec<Quality>,
}

/// One file of a video.
#[derive(Debug, Serialize, ToSchema)]
pub struct Quality {
    #[schema(example = "240p")]
    quality: String,
    #[schema(example = "cells_240p.mp4")]
    file: String,
    width: u32,
    height: u32,
    /// How many the file has.
    frames: u32,
    bytes: u64,
}

impl From<&playhouse_media::Video> for Video {
    fn from(video: &playhouse_media::Video) -> Video {
        let lowest = video.clips.first();
        let duration = lowest.map_or(0, |clip| clip.duration.as_millis());
        Video {
            name: video.name.clone(),
            frames: video.frame_count(),
            duration_ms: u64::try_from(duration).unwrap_or(u64::MAX),
            fps: lowest.map_or(0.0, |clip| clip.frame_rate),
            qualities: video.clips.iter().map(|clip| (&**clip).into()).collect(),
        }
    }
}

impl From<&Clip> for Quality {
    fn from(clip: &Clip) -> Quality {
        Quality {
            quality: clip.quality.clone(),
            file: clip.file_name.clone(),
            width: clip.width,
            height: clip.height,
            frames: clip.frame_count(),
            bytes: clip.bytes,
        }
    }
}

/// Which quality, for a single frame.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OfQuality {
    /// One of the video's; without it the lowest.
    #[param(example = "240p")]
    quality: Option<String>,
}

/// How a video is to be shown.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HowShown {
    /// One of the video's, or `interleaved`: all of them after each other, which is what happens without it.
    #[param(example = "720p")]
    quality: Option<String>,
    /// The frame to begin with.
    #[serde(default)]
    #[param(default = 0)]
    from: u32,
}

async fn named(rooms: &Rooms, name: &str) -> Result<Arc<playhouse_media::Video>, ApiError> {
    let library = rooms.library.addr().ok_or_else(ApiError::internal)?;
    let found = library.send(VideoNamed(name.to_owned())).await;
    let found = found.map_err(|_| ApiError::internal())?;
    found.ok_or_else(|| ApiError::not_found("there is no video of this name"))
}

fn quality(video: &playhouse_media::Video, name: &str) -> Result<usize, ApiError> {
    video.quality(name).ok_or_else(|| no_quality(video))
}

fn no_quality(video: &playhouse_media::Video) -> ApiError {
    let known: Vec<&str> = video.clips.iter().map(|clip| &*clip.quality).collect();
    let known = known.join(", ");
    ApiError::not_found(format!("the video is there in these qualities: {known}"))
}

fn within(video: &playhouse_media::Video, n: u32) -> Result<u32, ApiError> {
    let frames = video.frame_count();
    if n < frames {
        return Ok(n);
    }
    let rule = format!("the video has {frames} frames, counted from 0");
    Err(ApiError::not_found(rule))
}

/// All videos, by name.
#[utoipa::path(
    operation_id = "videos",
    get, path = "/api/videos", tag = "videos",
    responses((status = 200, body = Vec<Video>)),
)]
pub async fn list(rooms: Data<Rooms>) -> Result<Json<Vec<Video>>, ApiError> {
    let library = rooms.library.addr().ok_or_else(ApiError::internal)?;
    let videos = library.send(library::Videos).await;
    let videos = videos.map_err(|_| ApiError::internal())?;
    Ok(Json(videos.iter().map(|video| (&**video).into()).collect()))
}

/// One video.
#[utoipa::path(
    operation_id = "video",
    get, path = "/api/videos/{name}", tag = "videos",
    params(("name" = String, Path, description = "Of the video")),
    responses((status = 200, body = Video), (status = 404, body = ApiError)),
)]
pub async fn one(rooms: Data<Rooms>, name: Path<String>) -> Result<Json<Video>, ApiError> {
    let video = named(&rooms, &name).await?;
    Ok(Json((&*video).into()))
}

/// One frame of a video.
#[utoipa::path(
    operation_id = "frame",
    get, path = "/api/videos/{name}/frames/{n}.jpg", tag = "videos",
    params(
        ("name" = String, Path, description = "Of the video"),
        ("n" = u32, Path, description = "Which one, from 0"),
        OfQuality,
    ),
    responses(
        (status = 200, content_type = "image/jpeg", body = Vec<u8>),
        (status = 304, description = "It is what `If-None-Match` says"),
        (status = 404, body = ApiError),
        (status = 503, body = ApiError, description = "Not soon enough: try again"),
    ),
)]
pub async fn frame(
    request: HttpRequest,
    rooms: Data<Rooms>,
    path: Path<(String, String)>,
    query: Query<OfQuality>,
) -> Result<HttpResponse, ApiError> {
    let (name, n) = path.into_inner();
    let n = n.parse();
    let n = n.map_err(|_| ApiError::not_found("frames are called by their numbers, from 0"))?;
    let video = named(&rooms, &name).await?;
    let quality = match &query.quality {
        Some(name) => quality(&video, name)?,
        None => 0,
    };
    let n = within(&video, n)?;
    let stills = Console::of(&rooms)?.stills.clone();
    let tag = stills.tag(&video, quality, n);
    let is_known = tag.as_ref().is_some_and(|tag| knows(&request, tag));
    let mut response = if is_known {
        HttpResponse::NotModified().finish()
    } else {
        let jpeg = stills.make(&rooms.library, video, quality, n).await?;
        HttpResponse::Ok().content_type("image/jpeg").body(jpeg)
    };
    let headers = response.headers_mut();
    let cache = header::HeaderValue::from_static(FRAME_CACHE);
    headers.insert(header::CACHE_CONTROL, cache);
    if let Some(tag) = tag.and_then(|tag| tag.to_string().try_into().ok()) {
        headers.insert(header::ETAG, tag);
    }
    Ok(response)
}

/// Whether whoever asks has what `tag` stands for.
fn knows(request: &HttpRequest, tag: &EntityTag) -> bool {
    match request.get_header::<IfNoneMatch>() {
        Some(IfNoneMatch::Any) => true,
        Some(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(tag)),
        None => false,
    }
}

/// A video as pictures one after the other, at its own pace.
#[utoipa::path(
    operation_id = "video_pictures",
    get, path = "/api/videos/{name}/mjpeg", tag = "videos",
    params(("name" = String, Path, description = "Of the video"), HowShown),
    responses(
        (status = 200, content_type = "multipart/x-mixed-replace", body = Vec<u8>,
            description = "JPEGs, each in place of the one before"),
        (status = 404, body = ApiError),
        (status = 503, body = ApiError, description = "`streaming.max_streams` watch already"),
    ),
)]
pub async fn pictures(
    rooms: Data<Rooms>,
    name: Path<String>,
    query: Query<HowShown>,
) -> Result<HttpResponse, ApiError> {
    let video = named(&rooms, &name).await?;
    let from = within(&video, query.from)?;
    let wanted = query.quality.as_deref().unwrap_or(INTERLEAVED);
    let plan = plan(&video, wanted).ok_or_else(|| no_quality(&video))?;
    mjpeg::show(Showing::Video(video, plan, from), &rooms)
}

/// A quality of a video, as the file that it is.
#[utoipa::path(
    operation_id = "video_file",
    get, path = "/api/videos/{name}/{quality}.mp4", tag = "videos",
    params(
        ("name" = String, Path, description = "Of the video"),
        ("quality" = String, Path, description = "One of the video's"),
    ),
    responses(
        (status = 200, content_type = "video/mp4", body = Vec<u8>),
        (status = 206, content_type = "video/mp4", body = Vec<u8>,
            description = "What `Range` asks for"),
        (status = 304, description = "It is what `If-None-Match` says"),
        (status = 404, body = ApiError),
        (status = 416, description = "It has no such range"),
    ),
)]
pub async fn file(
    request: HttpRequest,
    rooms: Data<Rooms>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (name, of) = path.into_inner();
    let video = named(&rooms, &name).await?;
    let clip = video.clips.get(quality(&video, &of)?).cloned();
    let clip = clip.ok_or_else(ApiError::internal)?;
    let file = content::open(clip.path.clone(), "the video's file").await?;
    let mut response = file.into_response(&request);
    // It may be replaced at any time.
    let cache = header::HeaderValue::from_static("private, no-cache");
    response.headers_mut().insert(header::CACHE_CONTROL, cache);
    Ok(response)
}
