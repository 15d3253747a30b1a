//! The console's own pages, which are part of the program.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::sync::{LazyLock, OnceLock};

use actix_web::guard::{self, Guard};
use actix_web::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderName,
    IF_NONE_MATCH, VARY,
};
use actix_web::web::{self, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;

use super::error::ApiError;

#[derive(RustEmbed)]
#[folder = "../web"]
struct Web;

/// Kinds of files, by what their names end with, and whether they become smaller when they are compressed.
const KINDS: [(&str, &str, bool); 14] = [
    ("html", "text/html; charset=utf-8", true),
    ("css", "text/css; charset=utf-8", true),
    ("js", "text/javascript; charset=utf-8", true),
    ("json", "application/json", true),
    ("webmanifest", "application/manifest+json", true),
    ("svg", "image/svg+xml", true),
    ("txt", "text/plain; charset=utf-8", true),
    ("ico", "image/x-icon", false),
    ("png", "image/png", false),
    ("jpg", "image/jpeg", false),
    ("webp", "image/webp", false),
    ("woff2", "font/woff2", false),
    ("mp3", "audio/mpeg", false),
    ("wasm", "application/wasm", true),
];

struct Asset {
    body: Bytes,
    /// The hash of the body.
    tag: String,
    kind: &'static str,
    is_text: bool,
    /// Made when it is asked for first.
    gzip: OnceLock<Option<Bytes>>,
}

static ASSETS: LazyLock<HashMap<Cow<'static, str>, Asset>> = LazyLock::new(|| {
    let asset = |name: &str| {
        let file = Web::get(name)?;
        let hash = file.metadata.sha256_hash();
        let extension = name.rsplit('.').next().unwrap_or_default();
        let known = KINDS.iter().find(|(end, ..)| *end == extension);
        let (_, kind, is_text) = known.unwrap_or(&("", "application/octet-stream", false));
        Some(Asset {
            body: match file.data {
                Cow::Borrowed(data) => Bytes::from_static(data),
                Cow::Owned(data) => data.into(),
            },
            tag: hash[..16]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            kind,
            is_text: *is_text,
            gzip: OnceLock::new(),
        })
    };
    Web::iter()
        .filter_map(|name| asset(&name).map(|asset| (name, asset)))
        .collect()
});

impl Asset {
    fn gzip(&self) -> Option<&Bytes> {
        let packed = self.gzip.get_or_init(|| {
            let mut packed = GzEncoder::new(Vec::new(), Compression::default());
            packed.write_all(&self.body).ok()?;
            let packed: Bytes = packed.finish().ok()?.into();
            (packed.len() < self.body.len()).then_some(packed)
        });
        packed.as_ref().filter(|_| self.is_text)
    }
}

pub fn routes(config: &mut ServiceConfig) {
    let route = || web::route().guard(reads());
    config
        .service(web::resource("/").route(route().to(index)))
        .service(web::resource("/api").route(route().to(api)))
        .service(web::resource("/assets/{path:.+}").route(route().to(asset)));
}

/// GET or HEAD.
fn reads() -> impl Guard {
    guard::Any(guard::Get()).or(guard::Head())
}

async fn index(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    serve("index.html", &request)
}

async fn api(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    serve("api.html", &request)
}

async fn asset(path: Path<String>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    if path.ends_with(".html") {
        // Pages have addresses of their own.
        return Err(missing());
    }
    serve(&path, &request)
}

fn missing() -> ApiError {
    ApiError::not_found("there is nothing of that name")
}

fn serve(name: &str, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let asset = ASSETS.get(name).ok_or_else(missing)?;
    let packed = asset.gzip().filter(|_| takes_gzip(request.headers()));
    let tag = match packed {
        Some(_) => format!("\"{}-gzip\"", asset.tag),
        None => format!("\"{}\"", asset.tag),
    };
    let known = is_listed(request.headers(), &IF_NONE_MATCH, &tag);
    let mut answer = match known {
        true => HttpResponse::NotModified(),
        false => HttpResponse::Ok(),
    };
    answer
        .insert_header((ETAG, tag))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((VARY, "Accept-Encoding"));
    if known {
        return Ok(answer.finish());
    }
    answer.insert_header((CONTENT_TYPE, asset.kind));
    Ok(match packed {
        Some(packed) => answer
            .insert_header((CONTENT_ENCODING, "gzip"))
            .body(packed.clone()),
        None => answer.body(asset.body.clone()),
    })
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT_ENCODING);
    let lines = lines.filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight.trim().strip_prefix("q=").map(str::trim);
        let refused = refused.is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0));
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

/// Whether a header lists this tag.
fn is_listed(headers: &HeaderMap, name: &HeaderName, tag: &str) -> bool {
    let lines = headers.get_all(name);
    let lines = lines.filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|listed| {
        let listed = listed.trim();
        listed == "*" || listed.strip_prefix("W/").unwrap_or(listed) == tag
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_page_and_everything_has_a_kind() {
        assert!(ASSETS.contains_key("index.html"));
        for (name, asset) in ASSETS.iter() {
            assert_ne!(asset.kind, "application/octet-stream", "{name}");
        }
    }
}
