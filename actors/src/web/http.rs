//! One HTTP connection: actix-http reads its requests and writes the answers of the [`Site`]. One that
//! becomes a WebSocket is handed over to a [`WebConnection`], and its place with it.

use std::sync::Arc;

use actix::prelude::*;

use super::connection::WebConnection;
use super::site::{Site, Visit};
use super::tcp::Tcp;
use crate::house::Rooms;
use crate::link::Link;
use crate::messages::{Dismiss, Observation, Observe};

/// The actor of one HTTP connection.
pub struct HttpConnection {
    /// Until it is given to the site.
    link: Option<Link>,
    rooms: Arc<Rooms>,
    /// Who goes on with it as a WebSocket.
    upgraded: Option<Addr<WebConnection>>,
}

impl HttpConnection {
    pub fn new(link: Link, rooms: Arc<Rooms>) -> HttpConnection {
        HttpConnection {
            link: Some(link),
            rooms,
            upgraded: None,
        }
    }
}

/// The connection has become a WebSocket.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Upgraded(pub Addr<WebConnection>);

impl Actor for HttpConnection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let Some(link) = self.link.take() else {
            return;
        };
        let (peer, span) = (link.peer(), link.span());
        let visit = Visit {
            rooms: self.rooms.clone(),
            peer,
            me: ctx.address(),
        };
        let rooms = self.rooms.clone();
        let tcp = Tcp::new(link.into_stream(), visit);
        let served = async move { Site::of_this_core(&rooms).await?.serve(tcp).await };
        tracing::Instrument::instrument(served, span.clone())
            .into_actor(self)
            .map(move |served, _, ctx| {
                if let Err(error) = served {
                    span.in_scope(|| tracing::debug!(%error, "an HTTP connection ends"));
                }
                ctx.stop();
            })
            .spawn(ctx);
    }
}

impl Handler<Upgraded> for HttpConnection {
    type Result = ();

    fn handle(&mut self, Upgraded(connection): Upgraded, _: &mut Context<Self>) {
        self.upgraded = Some(connection);
    }
}

impl Handler<Dismiss> for HttpConnection {
    type Result = ();

    fn handle(&mut self, _: Dismiss, ctx: &mut Context<Self>) {
        match &self.upgraded {
            Some(connection) => connection.do_send(Dismiss),
            // What is under way is begun again by whoever wants it.
            None => ctx.stop(),
        }
    }
}

impl Handler<Observe> for HttpConnection {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::HttpConnection {
            upgraded: self.upgraded.is_some(),
        }
    }
}
