//! The body of a request that brings a file, in blocks as the disk takes them.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::time::Duration;

use actix_http::body::{BodyStream, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap};
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use playhouse_storage::CHUNK;
use tokio::time::timeout;

use super::error::ApiError;

/// Bytes that are written at once.
const BLOCK: usize = 256 * 1024;

/// Why nothing more comes: it was all, or something is wrong.
pub type End = Result<(), ApiError>;

/// What comes of a file with one request.
pub struct Incoming {
    body: Pin<Box<BodyStream<Payload>>>,
    /// Bytes that the client says it sends and that have not come, if it says so.
    announced: Option<u64>,
    stall: Duration,
    /// Came, and not handed on.
    came: BytesMut,
    empty: bool,
}

impl Incoming {
    /// The body of a request with these headers; the client may take this long to go on.
    pub fn new(headers: &HeaderMap, payload: Payload, stall: Duration) -> Incoming {
        let length = headers.get(CONTENT_LENGTH).and_then(|l| l.to_str().ok());
        Incoming {
            body: Box::pin(BodyStream::new(payload)),
            announced: length.and_then(|length| length.parse().ok()),
            stall,
            came: BytesMut::new(),
            empty: true,
        }
    }

    /// Whether nothing has come at all.
    pub fn is_empty(&self) -> bool {
        self.empty
    }

    /// The next block of a file of which `rest` bytes are missing, and the end if this is the last one: whole
    /// chunks, or all that is missing. Ends early when `wanted` is done.
    ///
    /// # Errors
    /// More comes than is missing; what came too much with is not handed on.
    pub async fn block(
        &mut self,
        rest: u64,
        wanted: impl Future<Output = ()>,
    ) -> Result<(Bytes, Option<End>), ApiError> {
        let too_much = || {
            let rule = "more comes than the file has bytes by its Upload-Length";
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, rule)
        };
        let came = self.came.len() as u64;
        if self
            .announced
            .is_some_and(|more| came.saturating_add(more) > rest)
        {
            return Err(too_much());
        }
        let mut wanted = pin!(wanted);
        let end = loop {
            if self.came.len() as u64 > rest {
                return Err(too_much());
            }
            if self.came.len() >= BLOCK {
                break None;
            }
            let next = timeout(self.stall, poll_fn(|cx| self.body.as_mut().poll_next(cx)));
            let next = tokio::select! {
                next = next => next,
                () = &mut wanted => {
                    let rule = "another request goes on with this upload";
                    break Some(Err(ApiError::new(StatusCode::LOCKED, rule)));
                }
            };
            match next {
                Ok(Some(Ok(bytes))) => {
                    self.empty = false;
                    self.announced = self
                        .announced
                        .map(|more| more.saturating_sub(bytes.len() as u64));
                    self.came.extend_from_slice(&bytes);
                }
                Ok(None) => break Some(Ok(())),
                Ok(Some(Err(error))) => {
                    tracing::debug!(%error, "an upload was cut off");
                    break Some(Err(ApiError::bad("the request was cut off")));
                }
                Err(_) => {
                    let rule = "nothing came for too long";
                    let slow = ApiError::new(StatusCode::REQUEST_TIMEOUT, rule);
                    break Some(Err(slow.by("limits.stall_s")));
                }
            }
        };
        let whole = match self.came.len() {
            all if all as u64 == rest => all,
            all => all - all % CHUNK as usize,
        };
        Ok((self.came.split_to(whole).freeze(), end))
    }
}
