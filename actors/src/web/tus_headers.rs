//! The headers of tus: which version is spoken, how much comes, what the file is called.

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use playhouse_protocols::packetchat::MAX_FILE_NAME;

use super::error::ApiError;

pub const VERSION: &str = "1.0.0";
/// What bytes of a file come as.
pub const CONTENT: &str = "application/offset+octet-stream";
/// Of the client's facts about its file.
const MAX_METADATA: usize = 8 * 1024;
/// For a file that has none.
const NO_NAME: &[u8] = b"upload";

/// A header's value, if it is there and is text.
pub fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// A number of bytes.
///
/// # Errors
/// There is none.
pub fn number(headers: &HeaderMap, name: &str) -> Result<u64, ApiError> {
    let value = text(headers, name).and_then(|value| value.parse().ok());
    value.ok_or_else(|| ApiError::bad(format!("{name}: a number of bytes is needed")))
}

/// Whether the client speaks this protocol.
///
/// # Errors
/// It doesn't.
pub fn check_version(headers: &HeaderMap) -> Result<(), ApiError> {
    match text(headers, "tus-resumable") {
        Some(VERSION) => Ok(()),
        _ => {
            let rule = format!("Tus-Resumable: {VERSION} is what is spoken here");
            Err(ApiError::new(StatusCode::PRECONDITION_FAILED, rule))
        }
    }
}

/// Whether bytes of the file come along.
pub fn brings_content(headers: &HeaderMap) -> bool {
    text(headers, "content-type").is_some_and(|kind| kind.eq_ignore_ascii_case(CONTENT))
}

/// The file's name among the facts that the client has for it.
///
/// # Errors
/// They are too long, or not as they should be.
pub fn file_name(headers: &HeaderMap) -> Result<Bytes, ApiError> {
    let rule = |rule: &str| ApiError::bad(format!("Upload-Metadata: {rule}"));
    let metadata = match headers.get("upload-metadata") {
        Some(metadata) => metadata.to_str().map_err(|_| rule("it is not ASCII"))?,
        None => return Ok(NO_NAME.into()),
    };
    if metadata.len() > MAX_METADATA {
        return Err(rule("it is longer than 8 KiB"));
    }
    let pairs = metadata.split(',').map(|pair| pair.trim().split_once(' '));
    let pairs: Vec<(&str, &str)> = pairs.flatten().collect();
    let value = |key: &str| pairs.iter().find(|(k, _)| *k == key).map(|(_, v)| v.trim());
    let Some(name) = value("filename").or_else(|| value("name")) else {
        return Ok(NO_NAME.into());
    };
    let name = STANDARD.decode(name);
    let name = name.map_err(|_| rule("the filename is not in base64"))?;
    match name.len() {
        0 => Ok(NO_NAME.into()),
        1..=MAX_FILE_NAME => Ok(name.into()),
        _ => Err(rule(&format!(
            "a filename has {MAX_FILE_NAME} bytes at most"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn name(metadata: &str) -> Result<Bytes, ApiError> {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_str(metadata).unwrap();
        headers.insert(HeaderName::from_static("upload-metadata"), value);
        file_name(&headers)
    }

    #[test]
    fn a_name_is_found_among_the_facts() {
        for (metadata, expected) in [
            ("filename YS50eHQ=", &b"a.txt"[..]),
            ("is_confidential,filename YS50eHQ=, filetype dA==", b"a.txt"),
            ("name Yg==,type dA==", b"b"),
            ("name Yg==,filename YS50eHQ=", b"a.txt"),
            ("filename", NO_NAME),
            ("filename ", NO_NAME),
            ("", NO_NAME),
        ] {
            assert_eq!(name(metadata).unwrap(), expected, "{metadata}");
        }
        assert_eq!(file_name(&HeaderMap::new()).unwrap(), NO_NAME);
        let long = STANDARD.encode([b'x'; MAX_FILE_NAME + 1]);
        for wrong in [
            "filename *".to_owned(),
            format!("filename {long}"),
            format!("filename YQ==,x {}", "A".repeat(MAX_METADATA)),
        ] {
            assert!(name(&wrong).is_err(), "{wrong}");
        }
    }
}
