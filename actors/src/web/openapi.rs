//! The description of everything that answers over HTTP, made of what stands beside the handlers.

use std::sync::OnceLock;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use serde_json::Value;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

use super::api::{files, house, live, messages, offer, people, recording, session, tus, videos};
use super::metrics;

/// Adds its address.
pub fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/openapi.json").get(document).head(document));
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "playhouse",
        description = "People, videos, live channels and files of the house. Where there is a password, \
            programs give it by HTTP Basic, with any user name; the admin password allows what changes the \
            house. Numbers of people, files and uploads stand as decimal strings.",
    ),
    paths(
        videos::list, videos::one, videos::frame, videos::pictures, videos::file,
        live::list, live::latest, live::pictures, recording::record,
        people::list, people::show_out, messages::list,
        files::list, files::one, files::content, files::remove,
        offer::offered, offer::offer,
        tus::options, tus::create, tus::head, tus::patch, tus::delete, tus::overridden,
        session::session, session::sign_in, session::sign_out,
        house::house, house::healthz, house::readyz, metrics::metrics, document,
    ),
    tags(
        (name = "videos", description = "Recorded videos"),
        (name = "live", description = "Live channels"),
        (name = "people", description = "Who is here, and what was said"),
        (name = "files", description = "Files of the house"),
        (name = "uploads", description = "Resumable uploads, tus 1.0"),
        (name = "session", description = "Signing in and out, for browsers"),
        (name = "house", description = "The house itself"),
    ),
    security((), ("password" = [])),
)]
struct Description;

/// The document, as it is served.
fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let mut description = Description::openapi();
        let password = SecurityScheme::Http(Http::new(HttpAuthScheme::Basic));
        let components = description.components.get_or_insert_default();
        components.add_security_scheme("password", password);
        let mut document = serde_json::to_value(description).unwrap_or_default();
        name_answers(&mut document);
        document.to_string()
    })
}

/// Every answer needs a description: where there is none, the usual name of its status.
fn name_answers(document: &mut Value) {
    let Some(addresses) = document["paths"].as_object_mut() else {
        return;
    };
    let methods = addresses.values_mut().filter_map(Value::as_object_mut);
    for operation in methods.flat_map(|methods| methods.values_mut()) {
        let Some(answers) = operation["responses"].as_object_mut() else {
            continue;
        };
        for (status, answer) in answers {
            if answer["description"].as_str().is_none_or(str::is_empty) {
                let status = status.parse::<StatusCode>().ok();
                let name = status.and_then(|status| status.canonical_reason());
                answer["description"] = name.unwrap_or("An answer").into();
            }
        }
    }
}

/// This description.
#[utoipa::path(
    operation_id = "openapi",
    get, path = "/openapi.json", tag = "house",
    responses((status = 200, content_type = "application/json", body = Object, description = "OpenAPI 3.1")),
)]
pub async fn document() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(text())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// The addresses that the sources of this module route, as far as they are for programs.
    fn routed(folder: &Path, addresses: &mut BTreeSet<String>) {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                routed(&path, addresses);
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            for routing in ["resource(", "route("] {
                for (at, _) in source.match_indices(routing) {
                    let rest = source[at + routing.len()..].trim_start();
                    let quoted = rest.strip_prefix('"').and_then(|rest| rest.split_once('"'));
                    addresses.extend(quoted.map(|(address, _)| address.to_owned()));
                }
            }
        }
    }

    #[test]
    fn every_address_is_described() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web");
        let mut addresses = BTreeSet::new();
        routed(&folder, &mut addresses);
        // The pages.
        addresses.retain(|address| {
            let is_page = matches!(&**address, "/" | "/api" | "/ws");
            // What this very test looks for stands in the sources, too.
            address.starts_with('/') && !is_page && !address.starts_with("/assets")
        });
        let document: Value = serde_json::from_str(text()).unwrap();
        let described = document["paths"].as_object().unwrap().keys().cloned();
        assert_eq!(addresses, described.collect());
    }

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let document: Value = serde_json::from_str(text()).unwrap();
        let mut names = BTreeSet::new();
        for (address, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let name = operation["operationId"].as_str().unwrap();
                assert!(names.insert(name.to_owned()), "{method} {address}: {name}");
            }
        }
    }
}
