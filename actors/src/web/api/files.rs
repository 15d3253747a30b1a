//! The files of the house: which there are, what is in them, and removing them.

use std::fmt::Write;

use actix_web::http::header::{
    self, Charset, ContentDisposition, DispositionParam, DispositionType, ExtendedValue,
};
use actix_web::web::{self, Data, Json, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use playhouse_storage::StoredFile;
use serde::Serialize;
use utoipa::ToSchema;

use crate::file_store::{FindFile, Remove};
use crate::house::Rooms;
use crate::refusals::Refusal;
use crate::web::console::Console;
use crate::web::content;
use crate::web::error::ApiError;
use crate::web::guard::Admin;

/// Files that the list has at most.
const MOST_LISTED: u32 = 10_000;

/// Adds their addresses.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(web::resource("/api/files").get(list).head(list))
        .service(
            web::resource("/api/files/{number}")
                .get(one)
                .head(one)
                .delete(remove),
        )
        .service(
            web::resource("/api/files/{number}/content")
                .get(content)
                .head(content),
        );
}

/// A file of the house.
#[derive(Debug, Serialize, ToSchema)]
pub struct File {
    /// What it is called by, in decimal digits.
    #[schema(example = "3459182374918273645")]
    number: String,
    /// As whoever brought it named it, with what is not to be shown made visible.
    name: String,
    bytes: u64,
    /// In hexadecimal digits.
    sha256: String,
    /// Milliseconds since 1970.
    added: i64,
}

impl From<&StoredFile> for File {
    fn from(file: &StoredFile) -> File {
        let mut sha256 = String::with_capacity(64);
        for byte in file.sha256 {
            // A string takes all that is written to it.
            let _ = write!(sha256, "{byte:02x}");
        }
        File {
            number: file.number.to_string(),
            name: file.label(),
            bytes: file.size,
            sha256,
            added: file.added_ms,
        }
    }
}

fn unknown() -> ApiError {
    ApiError::not_found("there is no file of this number")
}

fn number(path: &str) -> Result<u64, ApiError> {
    path.parse().map_err(|_| unknown())
}

async fn find(rooms: &Rooms, path: &str) -> Result<StoredFile, ApiError> {
    let files = Console::of(rooms)?.files.addr();
    let files = files.ok_or_else(ApiError::internal)?;
    let found = files.send(FindFile(number(path)?)).await;
    match found.map_err(|_| ApiError::internal())? {
        Ok(file) => Ok(file),
        Err(Refusal::UnknownFile) => Err(unknown()),
        Err(refusal) => {
            tracing::error!(rule = %refusal.rule(), "a file can't be looked up");
            Err(ApiError::internal())
        }
    }
}

/// All files, newest first: the newest 10,000.
#[utoipa::path(
    get, path = "/api/files", tag = "files",
    responses((status = 200, body = Vec<File>)),
)]
pub async fn list(rooms: Data<Rooms>) -> Result<Json<Vec<File>>, ApiError> {
    let ledger = &Console::of(&rooms)?.shelves.ledger;
    let files = ledger.read(|index| index.newest_files(MOST_LISTED)).await;
    let files = files.map_err(|error| {
        tracing::error!(%error, "the list of files");
        ApiError::internal()
    })?;
    Ok(Json(files.iter().map(File::from).collect()))
}

/// One file's facts.
#[utoipa::path(
    get, path = "/api/files/{number}", tag = "files",
    params(("number" = String, Path, description = "Of the file")),
    responses((status = 200, body = File), (status = 404, body = ApiError)),
)]
pub async fn one(rooms: Data<Rooms>, path: Path<String>) -> Result<Json<File>, ApiError> {
    Ok(Json((&find(&rooms, &path).await?).into()))
}

/// What is in a file.
#[utoipa::path(
    get, path = "/api/files/{number}/content", tag = "files",
    params(("number" = String, Path, description = "Of the file")),
    responses(
        (status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, content_type = "application/octet-stream", body = Vec<u8>,
            description = "What `Range` asks for"),
        (status = 304, description = "It is what `If-None-Match` says"),
        (status = 404, body = ApiError),
        (status = 416, description = "It has no such range"),
    ),
)]
pub async fn content(
    request: HttpRequest,
    rooms: Data<Rooms>,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let file = find(&rooms, &path).await?;
    let content = Console::of(&rooms)?.shelves.folder.content(file.number);
    let content = content::open(content, "the file").await?;
    let content = content.set_content_disposition(attachment(&file.file_name()));
    let mut response = content.into_response(&request);
    // Whatever it is, a browser is not to show it.
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "private, no-cache"),
    ] {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
    Ok(response)
}

/// To be saved under this name, which is told twice where not all readers would know its letters
/// (RFC 6266).
fn attachment(name: &str) -> ContentDisposition {
    let is_plain = |c: char| c.is_ascii() && !matches!(c, '"' | '\\' | '%');
    let plain = name.chars().map(|c| if is_plain(c) { c } else { '_' });
    let mut parameters = vec![DispositionParam::Filename(plain.collect())];
    if !name.chars().all(is_plain) {
        parameters.push(DispositionParam::FilenameExt(ExtendedValue {
            charset: Charset::Ext("UTF-8".to_owned()),
            language_tag: None,
            value: name.as_bytes().to_vec(),
        }));
    }
    ContentDisposition {
        disposition: DispositionType::Attachment,
        parameters,
    }
}

/// Removes a file. Whoever just gets it gets it whole.
#[utoipa::path(
    delete, path = "/api/files/{number}", tag = "files",
    params(("number" = String, Path, description = "Of the file")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 403, body = ApiError, description = "Only an admin may"),
        (status = 404, body = ApiError),
    ),
)]
pub async fn remove(
    _: Admin,
    rooms: Data<Rooms>,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let number = number(&path)?;
    let files = Console::of(&rooms)?.files.addr();
    let files = files.ok_or_else(ApiError::internal)?;
    let removed = files.send(Remove(number)).await;
    match removed.map_err(|_| ApiError::internal())? {
        Ok(true) => {
            tracing::info!(file = number, "removed");
            Ok(HttpResponse::NoContent().finish())
        }
        Ok(false) => Err(unknown()),
        Err(error) => {
            tracing::error!(%error, "a file can't be removed");
            Err(ApiError::internal())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_a_header() {
        for (name, header) in [
            ("a b.txt", "attachment; filename=\"a b.txt\""),
            (
                "é \"x\".txt",
                "attachment; filename=\"_ _x_.txt\"; filename*=UTF-8''%C3%A9%20%22x%22.txt",
            ),
            (
                "100%.txt",
                "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt",
            ),
        ] {
            assert_eq!(attachment(name).to_string(), header);
        }
    }
}
