//! What answers HTTP requests, one for each core: actix-web's application behind actix-http, and what
//! turns a connection into a WebSocket.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_codec::{Encoder, Framed};
use actix_http::body::{BodySize, MessageBody};
use actix_http::error::DispatchError;
use actix_http::h1;
use actix_http::ws::handshake;
use actix_http::{HttpService, Request};
use actix_rt::Arbiter;
use actix_service::{
    IntoServiceFactory, Service as _, ServiceFactory as _, fn_service, map_config,
};
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::{App, web};
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;

use super::body;
use super::connection::WebConnection;
use super::guard;
use super::http::{HttpConnection, Upgraded};
use super::pages;
use super::tcp::Tcp;
use crate::house::Rooms;
use crate::link::Link;
use crate::messages::Service;
use crate::watch;

/// A request's head must be here in so long.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// A connection without a request is kept for so long.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Who is served: kept with the connection for all its requests.
#[derive(Clone)]
pub struct Visit {
    pub rooms: Arc<Rooms>,
    pub peer: SocketAddr,
    pub me: Addr<HttpConnection>,
}

/// Why a connection can't be served, or broke off.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error("the pages can't be opened")]
    Closed,
    #[error("{0}")]
    Dispatch(#[from] DispatchError),
}

type Serving = Pin<Box<dyn Future<Output = Result<(), DispatchError>>>>;

/// The application of one core.
pub struct Site {
    rooms: Arc<Rooms>,
    serve: Box<dyn Fn(Tcp) -> Serving>,
}

thread_local! {
    /// Held by a task of the core's event loop, so that it goes with that, and not with the thread: parts
    /// of it use others of the thread's variables when they are dropped.
    static SITE: RefCell<Weak<Site>> = const { RefCell::new(Weak::new()) };
}

impl Site {
    /// The one of the core that this is called on, made for the first connection.
    ///
    /// # Errors
    /// The application can't be made.
    pub async fn of_this_core(rooms: &Arc<Rooms>) -> Result<Rc<Site>, SiteError> {
        let known = SITE.with_borrow(Weak::upgrade);
        if let Some(site) = known.filter(|site| Arc::ptr_eq(&site.rooms, rooms)) {
            return Ok(site);
        }
        let site = Rc::new(Site::open(rooms.clone()).await?);
        SITE.set(Rc::downgrade(&site));
        let held = site.clone();
        actix_rt::spawn(async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        Ok(site)
    }

    async fn open(rooms: Arc<Rooms>) -> Result<Site, SiteError> {
        let app = App::new()
            .app_data(web::Data::from(rooms.clone()))
            .app_data(body::config())
            .wrap(from_fn(guard::guard))
            .configure(pages::routes)
            .into_factory();
        let app = map_config(app, |()| AppConfig::default());
        let service = HttpService::build()
            .client_request_timeout(HEAD_TIME)
            .keep_alive(KEEP_ALIVE)
            .on_connect_ext(|tcp: &Tcp, extensions| {
                extensions.insert(tcp.visit().clone());
            })
            .upgrade(fn_service(upgrade))
            .h1(app);
        let service = service
            .new_service(())
            .await
            .map_err(|()| SiteError::Closed)?;
        let serve = move |tcp: Tcp| -> Serving {
            let peer = Some(tcp.visit().peer);
            Box::pin(service.call((tcp, peer)))
        };
        Ok(Site {
            rooms,
            serve: Box::new(serve),
        })
    }

    /// Answers all requests of a connection.
    ///
    /// # Errors
    /// The peer's or the network's.
    pub async fn serve(&self, tcp: Tcp) -> Result<(), SiteError> {
        Ok((self.serve)(tcp).await?)
    }
}

/// A request to go on as a WebSocket. Done when that is over.
async fn upgrade(
    (request, framed): (Request, Framed<Tcp, h1::Codec>),
) -> Result<(), actix_web::Error> {
    let mut parts = framed.into_parts();
    let (rooms, peer) = (parts.io.visit().rooms.clone(), parts.io.visit().peer);
    let admitted = guard::admit_socket(&request, &rooms, peer).await;
    let (response, is_admitted) = match admitted {
        Ok(_) => match handshake(request.head()) {
            Ok(mut response) => (response.finish().map_into_boxed_body(), true),
            Err(error) => (error.into(), false),
        },
        Err(refusal) => (refusal, false),
    };
    let (head, body) = response.into_parts();
    let body = body.try_into_bytes().unwrap_or_default();
    let size = match is_admitted {
        true => BodySize::None,
        false => BodySize::Sized(body.len() as u64),
    };
    // Answers to what was asked before may still be in there.
    parts
        .codec
        .encode(h1::Message::Item((head, size)), &mut parts.write_buf)?;
    parts.write_buf.extend_from_slice(&body);
    let first = parts.write_buf.freeze();
    let unread = parts.read_buf.to_vec();
    if !is_admitted {
        let mut tcp = parts.io;
        tcp.write_all(&first).await?;
        tcp.shutdown().await?;
        return Ok(());
    }
    let (stream, visit) = parts.io.into_parts();
    let link = Link::over(stream, peer, Service::Web, rooms.legacy_gap, &rooms.limits)?;
    let (over, ended) = oneshot::channel();
    let connection = watch::start(
        &Arbiter::current(),
        move |_| Some(WebConnection::new(link, rooms, first, unread)),
        move |panic| {
            if let Some(panic) = panic {
                tracing::error!(service = "web", %peer, panic, "a connection panicked");
            }
            // Who waits may be gone.
            let _ = over.send(());
        },
    );
    visit.me.do_send(Upgraded(connection));
    let _ = ended.await;
    Ok(())
}
