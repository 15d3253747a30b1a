//! Why a request is refused, told as JSON: `{"error":"…","rule":"…"}`.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, utoipa::ToSchema)]
#[error("{error}")]
pub struct ApiError {
    #[serde(skip)]
    pub status: StatusCode,
    /// When it may be tried again.
    #[serde(skip)]
    pub after: Option<Duration>,
    /// A sentence for whoever asked.
    pub error: String,
    /// The key or the rule that it goes by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'static str>,
}

impl ApiError {
    pub fn new(status: StatusCode, error: impl Into<String>) -> ApiError {
        ApiError {
            status,
            after: None,
            error: error.into(),
            rule: None,
        }
    }

    /// To be tried again after so long.
    pub fn after(self, wait: Duration) -> ApiError {
        ApiError {
            after: Some(wait),
            ..self
        }
    }

    /// By this rule.
    pub fn by(self, rule: &'static str) -> ApiError {
        ApiError {
            rule: Some(rule),
            ..self
        }
    }

    pub fn not_found(what: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, what)
    }

    pub fn bad(what: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, what)
    }

    pub fn forbidden(what: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::FORBIDDEN, what)
    }

    /// All places for this are taken.
    pub fn busy(what: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, what)
    }

    /// Something can't be had, and trying again won't help.
    pub fn broken(what: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, what)
    }

    /// Something of ours broke, or is just being rebuilt; the log has what.
    pub fn internal() -> ApiError {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "internal error; try again")
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status);
        if let Some(wait) = self.after {
            // Whole seconds, rounded up.
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            answer.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        answer.json(self)
    }
}
