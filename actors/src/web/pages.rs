//! Every address that answers.

use actix_web::web::{self, QueryConfig, ServiceConfig};
use actix_web::{HttpResponse, Responder};

use super::error::ApiError;
use super::{api, assets, openapi};

/// Adds all of them.
pub fn routes(config: &mut ServiceConfig) {
    let query =
        QueryConfig::default().error_handler(|error, _| ApiError::bad(error.to_string()).into());
    config
        .app_data(query)
        .configure(assets::routes)
        .configure(api::session::routes)
        .configure(api::videos::routes)
        .configure(api::live::routes)
        .configure(api::people::routes)
        .configure(api::files::routes)
        .configure(api::tus::routes)
        .configure(api::messages::routes)
        .configure(api::house::routes)
        .configure(openapi::routes)
        .route("/healthz", web::get().to(healthz))
        .default_service(web::to(nothing));
}

async fn nothing() -> Result<HttpResponse, ApiError> {
    let error = "there is nothing at this address; /api says what there is";
    Err(ApiError::not_found(error))
}

async fn healthz() -> impl Responder {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}
