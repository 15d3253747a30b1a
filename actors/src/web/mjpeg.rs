//! Videos and live channels as `multipart/x-mixed-replace`, which browsers, players and OpenCV show from a
//! plain address: JPEGs one after the other, each in place of the one before.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};

use actix::prelude::*;
use actix_http::body::{BodySize, MessageBody};
use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use bytes::Bytes;
use tokio::sync::mpsc;

use super::error::ApiError;
use crate::house::Rooms;
use crate::streamer::Show;
use crate::traffic;
use crate::viewing::{Showing, Viewing};

/// What the parts are in.
const MULTIPART: &str = "multipart/x-mixed-replace; boundary=frame";
/// Ends a part, and is sent with it: a browser shows a picture when it sees that it is over. What begins
/// the next part comes with that.
const BOUNDARY: &[u8] = b"\r\n--frame";
/// After the last one.
const CLOSE: &[u8] = b"--\r\n";

/// The frames can't be had any more.
#[derive(Debug, thiserror::Error)]
#[error("the stream is given up")]
pub struct Broken;

/// Answers with the frames of `showing`.
///
/// # Errors
/// All places for viewers are taken.
pub fn show(showing: Showing, rooms: &Rooms) -> Result<HttpResponse, ApiError> {
    let Some(slot) = rooms.streams.take() else {
        tracing::warn!("refused a video: limit streaming.max_streams");
        let busy = ApiError::busy("everyone who may watch at once watches already; try again");
        return Err(busy.by("streaming.max_streams"));
    };
    tracing::info!(
        video = showing.name(),
        frames = showing.frames(),
        "stream begins"
    );
    // Never long: whoever shows waits for what was taken.
    let (frames, taken) = mpsc::unbounded_channel();
    let screen = Screen(frames).start();
    let body = Body {
        frames: taken,
        viewing: Viewing::start(showing, slot, rooms, screen.recipient()),
        pieces: VecDeque::from([Bytes::from_static(b"--frame")]),
        in_part: false,
        over: false,
    };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, MULTIPART))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(body))
}

/// Hands what it is shown to the body of its answer. It ends with the viewing.
struct Screen(mpsc::UnboundedSender<Show>);

impl Actor for Screen {
    type Context = Context<Self>;
}

impl Handler<Show> for Screen {
    type Result = ();

    fn handle(&mut self, show: Show, ctx: &mut Context<Self>) {
        if self.0.send(show).is_err() {
            // The connection is gone.
            ctx.stop();
        }
    }
}

/// The body of an answer: takes a frame when the one before has gone to the socket.
struct Body {
    frames: mpsc::UnboundedReceiver<Show>,
    viewing: Viewing,
    /// What is to go out before the next frame is taken.
    pieces: VecDeque<Bytes>,
    /// A frame was taken, and the house has not heard that it is written.
    in_part: bool,
    over: bool,
}

impl MessageBody for Body {
    type Error = Broken;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Task<'_>,
    ) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Poll::Ready(Some(Ok(piece)));
            }
            if self.over {
                return Poll::Ready(None);
            }
            if std::mem::take(&mut self.in_part) {
                self.viewing.written(1);
                traffic::frames_went(1);
            }
            match ready!(self.frames.poll_recv(cx)) {
                Some(Show::Frame(jpeg)) => {
                    let head = format!(
                        "\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
                        jpeg.len()
                    );
                    let part = [head.into(), jpeg, Bytes::from_static(BOUNDARY)];
                    self.pieces.extend(part);
                    self.in_part = true;
                }
                Some(Show::Finish) => {
                    self.pieces.push_back(Bytes::from_static(CLOSE));
                    self.over = true;
                }
                Some(Show::Failed) | None => {
                    self.over = true;
                    return Poll::Ready(Some(Err(Broken)));
                }
            }
        }
    }
}
