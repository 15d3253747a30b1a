//! Every address that answers.

use actix_web::HttpResponse;
use actix_web::web::{self, QueryConfig, ServiceConfig};

use super::error::ApiError;
use super::{api, assets, metrics, openapi};

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
        .configure(api::recording::routes)
        .configure(api::people::routes)
        .configure(api::files::routes)
        .configure(api::offer::routes)
        .configure(api::tus::routes)
        .configure(api::messages::routes)
        .configure(api::house::routes)
        .configure(metrics::routes)
        .configure(openapi::routes)
        .default_service(web::to(nothing));
}

async fn nothing() -> Result<HttpResponse, ApiError> {
    let error = "there is nothing at this address; /api says what there is";
    Err(ApiError::not_found(error))
}
