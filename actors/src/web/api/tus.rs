//! Resumable uploads, tus 1.0 (tus.io): creation, creation-with-upload, termination, expiration.
//!
//! What an answer says to be there is on the disk as a restart would find it, in whole chunks of 256
//! bytes: a request that brings less than one, and not the end of the file, brings nothing.

use std::time::{Duration, SystemTime};

use actix_web::http::header::{self, HttpDate, TryIntoHeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::DefaultHeaders;
use actix_web::web::{self, Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::house::Rooms;
use crate::refusals::Refusal;
use crate::web::console::Console;
use crate::web::error::ApiError;
use crate::web::incoming::Incoming;
use crate::web::lease::Lease;
use crate::web::site::Visit;
use crate::web::tus_headers::{
    CONTENT, VERSION, brings_content, check_version, file_name, number, text,
};
use crate::web::uploads::{Enter, Start};

const EXTENSIONS: &str = "creation,creation-with-upload,termination,expiration";

/// Adds its addresses.
pub fn routes(config: &mut ServiceConfig) {
    let version = || DefaultHeaders::new().add(("Tus-Resumable", VERSION));
    config
        .service(
            web::resource("/api/uploads")
                .route(web::method(Method::OPTIONS).to(options))
                .post(create)
                .wrap(version()),
        )
        .service(
            web::resource("/api/uploads/{upload}")
                .route(web::method(Method::OPTIONS).to(options))
                .head(head)
                .patch(patch)
                .delete(delete)
                .post(overridden)
                .wrap(version()),
        );
}

fn refused(refusal: Refusal) -> ApiError {
    let (status, key) = match &refusal {
        Refusal::FileTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "files.max_file_mb"),
        Refusal::Quota => (StatusCode::INSUFFICIENT_STORAGE, "files.quota_mb"),
        Refusal::DiskFull => (StatusCode::INSUFFICIENT_STORAGE, "files.min_free_mb"),
        Refusal::TooManyTransfers => (StatusCode::TOO_MANY_REQUESTS, "files.transfers_per_address"),
        Refusal::TooManyTransfersInAll => (StatusCode::SERVICE_UNAVAILABLE, "files.max_transfers"),
        Refusal::UnknownSession => {
            return ApiError::not_found("there is no such upload, or it was given up")
                .by("files.upload_expiry_s");
        }
        Refusal::Busy => {
            let rule = "another request is at this upload, or too many are at others; try again";
            return ApiError::new(StatusCode::LOCKED, rule).by("files.max_moving");
        }
        _ => {
            tracing::error!(rule = %refusal.rule(), "an upload");
            return ApiError::internal();
        }
    };
    ApiError::new(status, refusal.rule()).by(key)
}

/// The upload, which nobody else has meanwhile, with what is there of it.
async fn enter(rooms: &Rooms, path: &str) -> Result<Lease, ApiError> {
    let console = Console::of(rooms)?;
    let unknown = |_| refused(Refusal::UnknownSession);
    let enter = Enter(path.parse().map_err(unknown)?);
    let uploads = console.uploads.addr().ok_or_else(ApiError::internal)?;
    let lease = uploads.send(enter).await;
    let lease = lease.map_err(|_| ApiError::internal())?.map_err(refused)?;
    let looked = lease.look(&console.shelves, &console.files).await;
    looked.map_err(refused)
}

/// Takes what comes, as far as it does; what came stays whatever ends it. The lease is in `place` unless
/// the disk refused.
async fn receive(
    rooms: &Rooms,
    place: &mut Option<Lease>,
    incoming: &mut Incoming,
) -> Result<(), ApiError> {
    let console = Console::of(rooms)?;
    loop {
        let Some(lease) = place.take() else {
            return Err(ApiError::internal());
        };
        let rest = lease.row().size - lease.offset();
        let came = incoming.block(rest, lease.wanted()).await;
        let (block, end) = match came {
            Ok(came) => came,
            Err(error) => {
                *place = Some(lease);
                return Err(error);
            }
        };
        let lease = match block.is_empty() {
            true => lease,
            false => lease
                .write(&console.shelves, &console.files, block)
                .await
                .map_err(refused)?,
        };
        *place = Some(lease);
        if let Some(end) = end {
            return end;
        }
    }
}

/// What is there, and until when it is kept.
fn state(response: &mut HttpResponseBuilder, lease: &Lease, expiry: Duration) {
    response.insert_header(("Upload-Offset", lease.offset().to_string()));
    if lease.row().finished {
        response.insert_header(("Playhouse-File", lease.row().file.to_string()));
        return;
    }
    let expires = SystemTime::now().checked_add(expiry).map(HttpDate::from);
    if let Some(Ok(expires)) = expires.map(TryIntoHeaderValue::try_into_value) {
        response.insert_header(("Upload-Expires", expires));
    }
}

/// What this server can do.
#[utoipa::path(
    operation_id = "upload_options",
    options, path = "/api/uploads", tag = "uploads",
    responses((status = 204, headers(
        ("Tus-Version" = String, description = "`1.0.0`"),
        ("Tus-Max-Size" = String, description = "Bytes of a file, at most"),
        ("Tus-Extension" = String),
    ))),
)]
pub async fn options(rooms: Data<Rooms>) -> Result<HttpResponse, ApiError> {
    let most = Console::of(&rooms)?.shelves.limits.max_file;
    Ok(HttpResponse::NoContent()
        .insert_header(("Tus-Version", VERSION))
        .insert_header(("Tus-Extension", EXTENSIONS))
        .insert_header(("Tus-Max-Size", most.to_string()))
        .finish())
}

/// Begins an upload, perhaps with its first bytes.
#[utoipa::path(
    operation_id = "begin_upload",
    post, path = "/api/uploads", tag = "uploads",
    params(
        ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
        ("Upload-Length" = u64, Header, description = "Bytes of the file"),
        ("Upload-Metadata" = Option<String>, Header, description = "`filename` and the name in base64"),
    ),
    request_body(content = Option<Vec<u8>>, content_type = "application/offset+octet-stream"),
    responses(
        (status = 201, headers(
            ("Location" = String, description = "Where it goes on"),
            ("Upload-Offset" = String, description = "Bytes that are there"),
            ("Upload-Expires" = String, description = "Until then it can be gone on with"),
            ("Playhouse-File" = String, description = "The file's number, once all is there"),
        )),
        (status = 400, body = ApiError), (status = 412, body = ApiError),
        (status = 413, body = ApiError), (status = 429, body = ApiError),
        (status = 507, body = ApiError, description = "The house, or its disk, is full"),
    ),
)]
pub async fn create(
    request: HttpRequest,
    rooms: Data<Rooms>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let headers = request.headers();
    check_version(headers)?;
    let size = number(headers, "upload-length")?;
    let console = Console::of(&rooms)?;
    if size > console.shelves.limits.max_file {
        return Err(refused(Refusal::FileTooLarge));
    }
    let name = file_name(headers)?;
    let visit = request.conn_data::<Visit>();
    let address = visit.ok_or_else(ApiError::internal)?.peer.ip();
    let start = Start {
        address: address.to_canonical(),
        size,
        name,
    };
    let uploads = console.uploads.addr().ok_or_else(ApiError::internal)?;
    let lease = uploads.send(start).await;
    let mut lease = lease.map_err(|_| ApiError::internal())?.map_err(refused)?;
    lease.is_known(false);
    let mut place = Some(lease);
    if brings_content(headers) {
        let mut incoming = Incoming::new(headers, payload, rooms.limits.stall);
        receive(&rooms, &mut place, &mut incoming).await?;
    }
    let mut lease = place.ok_or_else(ApiError::internal)?;
    lease.is_known(true);
    let mut response = HttpResponse::Created();
    let location = format!("/api/uploads/{}", lease.row().transaction);
    response.insert_header((header::LOCATION, location));
    state(&mut response, &lease, console.shelves.limits.upload_expiry);
    Ok(response.finish())
}

/// How far an upload is.
#[utoipa::path(
    operation_id = "upload_state",
    head, path = "/api/uploads/{upload}", tag = "uploads",
    params(
        ("upload" = String, Path),
        ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
    ),
    responses(
        (status = 200, headers(
            ("Upload-Offset" = String, description = "Bytes that are there"),
            ("Upload-Length" = String, description = "Bytes of the file"),
            ("Upload-Metadata" = String, description = "`filename` and the name in base64"),
            ("Upload-Expires" = String, description = "Until then it can be gone on with"),
            ("Playhouse-File" = String, description = "The file's number, once all is there"),
        )),
        (status = 404, description = "There is none, or no longer"),
        (status = 423, description = "Another request is at it"),
    ),
)]
pub async fn head(
    request: HttpRequest,
    rooms: Data<Rooms>,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    check_version(request.headers())?;
    let lease = enter(&rooms, &path).await?;
    let row = lease.row();
    let metadata = format!("filename {}", STANDARD.encode(&row.name));
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("Upload-Length", row.size.to_string()))
        .insert_header(("Upload-Metadata", metadata));
    let expiry = Console::of(&rooms)?.shelves.limits.upload_expiry;
    state(&mut response, &lease, expiry);
    Ok(response.finish())
}

/// More of a file. A request that is cut off brings what came of it.
#[utoipa::path(
    operation_id = "continue_upload",
    patch, path = "/api/uploads/{upload}", tag = "uploads",
    params(
        ("upload" = String, Path),
        ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
        ("Upload-Offset" = u64, Header, description = "Bytes that are there"),
    ),
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"),
    responses(
        (status = 204, headers(
            ("Upload-Offset" = String, description = "Bytes that are there now: all, or a multiple of 256"),
            ("Upload-Expires" = String, description = "Until then it can be gone on with"),
            ("Playhouse-File" = String, description = "The file's number, once all is there"),
        )),
        (status = 404, body = ApiError), (status = 408, body = ApiError),
        (status = 409, body = ApiError, description = "Something else is there"),
        (status = 413, body = ApiError), (status = 415, body = ApiError),
        (status = 423, body = ApiError, description = "Another request is at it"),
        (status = 507, body = ApiError, description = "The house, or its disk, is full"),
    ),
)]
pub async fn patch(
    request: HttpRequest,
    rooms: Data<Rooms>,
    path: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let headers = request.headers();
    check_version(headers)?;
    if !brings_content(headers) {
        let rule = format!("Content-Type: {CONTENT} is needed");
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, rule));
    }
    let offset = number(headers, "upload-offset")?;
    let lease = enter(&rooms, &path).await?;
    if offset != lease.offset() {
        let rule = format!("Upload-Offset: {} bytes are there", lease.offset());
        return Err(ApiError::new(StatusCode::CONFLICT, rule));
    }
    let mut incoming = Incoming::new(headers, payload, rooms.limits.stall);
    let mut place = Some(lease);
    receive(&rooms, &mut place, &mut incoming).await?;
    let lease = place.ok_or_else(ApiError::internal)?;
    if lease.offset() == offset && !incoming.is_empty() {
        // It would send the same again for ever.
        let rule = "what is no end of a file has to be 256 bytes at least";
        return Err(ApiError::bad(rule));
    }
    let mut response = HttpResponse::NoContent();
    let expiry = Console::of(&rooms)?.shelves.limits.upload_expiry;
    state(&mut response, &lease, expiry);
    Ok(response.finish())
}

/// Gives an upload up. A file that is complete stays.
#[utoipa::path(
    operation_id = "give_up_upload",
    delete, path = "/api/uploads/{upload}", tag = "uploads",
    params(
        ("upload" = String, Path),
        ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, body = ApiError),
        (status = 423, body = ApiError, description = "Another request is at it"),
    ),
)]
pub async fn delete(
    request: HttpRequest,
    rooms: Data<Rooms>,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    check_version(request.headers())?;
    enter(&rooms, &path).await?.end();
    Ok(HttpResponse::NoContent().finish())
}

/// For clients that can't do better: the method stands in `X-HTTP-Method-Override`.
#[utoipa::path(
    operation_id = "continue_upload_by_post",
    post, path = "/api/uploads/{upload}", tag = "uploads",
    params(
        ("upload" = String, Path),
        ("X-HTTP-Method-Override" = String, Header, description = "`PATCH`, `HEAD` or `DELETE`"),
    ),
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"),
    responses(
        (status = 204, description = "As that method answers"),
        (status = 405, body = ApiError),
    ),
)]
pub async fn overridden(
    request: HttpRequest,
    rooms: Data<Rooms>,
    path: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    match text(request.headers(), "x-http-method-override") {
        Some("PATCH") => patch(request, rooms, path, payload).await,
        Some("HEAD") => head(request, rooms, path).await,
        Some("DELETE") => delete(request, rooms, path).await,
        _ => {
            let rule = "X-HTTP-Method-Override: PATCH, HEAD or DELETE is needed";
            Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, rule))
        }
    }
}
