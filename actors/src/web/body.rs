//! JSON that comes with a request: of bounded size, in bounded time, and never from a form of another site.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_http::Payload;
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, PayloadConfig};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::error::ApiError;

/// Bytes of a body that is not streamed.
const MOST: usize = 16 * 1024;
/// It is here in so long.
const TIME: Duration = Duration::from_secs(10);

/// What a request's JSON says.
pub struct Body<T>(pub T);

/// How much of a body is taken by whatever takes it whole.
pub fn config() -> PayloadConfig {
    PayloadConfig::new(MOST)
}

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Body<T>, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let kind = request.content_type().to_ascii_lowercase();
        let bytes = Bytes::from_request(request, payload);
        Box::pin(async move {
            if kind != "application/json" {
                let (status, error) = (
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    "the body is JSON: Content-Type: application/json",
                );
                return Err(ApiError::new(status, error));
            }
            let late = |_| ApiError::new(StatusCode::REQUEST_TIMEOUT, "the body did not come");
            let bytes = timeout(TIME, bytes).await.map_err(late)?;
            let bytes = bytes.map_err(|error| {
                let status = error.as_response_error().status_code();
                ApiError::new(status, format!("the body: {error}"))
            })?;
            serde_json::from_slice(&bytes)
                .map(Body)
                .map_err(|error| ApiError::bad(format!("the body: {error}")))
        })
    }
}
