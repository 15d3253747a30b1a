//! Every address that answers.

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Responder};

use super::error::ApiError;
use super::{api, assets};

/// Adds all of them.
pub fn routes(config: &mut ServiceConfig) {
    config
        .configure(assets::routes)
        .configure(api::session::routes)
        .configure(api::videos::routes)
        .configure(api::live::routes)
        .configure(api::people::routes)
        .configure(api::files::routes)
        .configure(api::tus::routes)
        .configure(api::messages::routes)
        .configure(api::house::routes)
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
