//! Every address that answers.

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Responder};

use super::api;

/// Adds all of them.
pub fn routes(config: &mut ServiceConfig) {
    config
        .configure(api::videos::routes)
        .configure(api::live::routes)
        .configure(api::people::routes)
        .configure(api::files::routes)
        .configure(api::tus::routes)
        .configure(api::messages::routes)
        .configure(api::house::routes)
        .route("/healthz", web::get().to(healthz));
}

async fn healthz() -> impl Responder {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}
