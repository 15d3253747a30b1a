//! One for the house: knows everyone who is there as long as the house stands, counts what had to be
//! rebuilt, and closes the house in order.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;

use crate::audio_source::AudioSource;
use crate::bridge::Bridge;
use crate::endpoint::Endpoint;
use crate::file_offer::FileOffer;
use crate::file_store::FileStore;
use crate::floor::{Floor, Muster};
use crate::history::History;
use crate::house_bot::HouseBot;
use crate::library::Library;
use crate::listener::{CloseDoor, Listener};
use crate::live_source::LiveSource;
use crate::lobby::{Lobby, Reseat};
use crate::messages::{Observation, Observe, Service};
use crate::picture_port::PicturePorts;
use crate::studio::Studio;
use crate::watch::Post;
use crate::web::Uploads;

/// Close the house: no new clients, what is queued goes out, everyone is let go.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct CloseHouse;

/// The states of all actors that live as long as the house.
#[derive(Clone, Copy, Message)]
#[rtype(result = "Vec<Observation>")]
pub struct Census;

/// The last connection of a service is gone.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub(crate) struct DoorClosed(pub Service);

/// An actor was rebuilt after a panic.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub(crate) enum Rebuilt {
    Lobby,
    Floor(usize),
    Other,
}

/// Who is there as long as the house stands.
#[derive(Clone, Default)]
pub struct Household {
    pub lobby: Post<Lobby>,
    pub floors: Vec<Post<Floor>>,
    pub library: Post<Library>,
    pub files: Post<FileStore>,
    /// What lan_file offers, if it is on.
    pub offer: Post<FileOffer>,
    pub history: Post<History>,
    /// Who answers for the bot, if it is in the room.
    pub bot: Post<HouseBot>,
    /// What makes one room of all services, if they are one.
    pub bridge: Option<Arc<Bridge>>,
    /// Uploads over HTTP.
    pub uploads: Post<Uploads>,
    /// What lan_audio plays, if it is on.
    pub audio: Option<Post<AudioSource>>,
    /// That of packetchat, if it is on.
    pub endpoint: Option<Post<Endpoint>>,
    pub listeners: Vec<(Service, Post<Listener>)>,
    /// Those of the configuration.
    pub sources: Vec<Post<LiveSource>>,
    pub studio: Option<Arc<Studio>>,
    pub picture_ports: Option<Arc<PicturePorts>>,
}

/// The one supervisor.
pub struct Supervisor {
    household: Household,
    goodbye: Duration,
    restarts: u64,
    open: HashSet<Service>,
    closing: bool,
}

impl Supervisor {
    /// Lets everyone go within `goodbye` when the house closes.
    pub fn new(goodbye: Duration) -> Supervisor {
        Supervisor {
            household: Household::default(),
            goodbye,
            restarts: 0,
            open: HashSet::new(),
            closing: false,
        }
    }
}

/// The house is complete.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Opened(pub Household);

impl Actor for Supervisor {
    type Context = Context<Self>;
}

impl Handler<Opened> for Supervisor {
    type Result = ();

    fn handle(&mut self, Opened(household): Opened, _: &mut Context<Self>) {
        self.open = household
            .listeners
            .iter()
            .map(|(service, _)| *service)
            .chain(household.endpoint.iter().map(|_| Service::Packetchat))
            .collect();
        self.household = household;
    }
}

impl Handler<Rebuilt> for Supervisor {
    type Result = ();

    fn handle(&mut self, rebuilt: Rebuilt, _: &mut Context<Self>) {
        self.restarts += 1;
        match rebuilt {
            Rebuilt::Lobby => {
                for floor in &self.household.floors {
                    floor.do_send(Muster);
                }
            }
            Rebuilt::Floor(floor) => self.household.lobby.do_send(Reseat { floor }),
            Rebuilt::Other => {}
        }
    }
}

impl Handler<CloseHouse> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: CloseHouse, ctx: &mut Context<Self>) {
        if self.closing {
            return;
        }
        self.closing = true;
        tracing::info!("the house closes");
        for (_, listener) in &self.household.listeners {
            listener.do_send(CloseDoor);
        }
        if let Some(endpoint) = &self.household.endpoint {
            endpoint.do_send(CloseDoor);
        }
        if self.open.is_empty() {
            System::current().stop();
        }
        ctx.run_later(self.goodbye, |this, _| {
            tracing::warn!(services = ?this.open, "not everyone left in time");
            System::current().stop();
        });
    }
}

impl Handler<DoorClosed> for Supervisor {
    type Result = ();

    fn handle(&mut self, DoorClosed(service): DoorClosed, _: &mut Context<Self>) {
        if self.open.remove(&service) && self.open.is_empty() {
            tracing::info!("everyone has left");
            System::current().stop();
        }
    }
}

impl Handler<Census> for Supervisor {
    type Result = ResponseFuture<Vec<Observation>>;

    fn handle(&mut self, _: Census, _: &mut Context<Self>) -> Self::Result {
        let Household {
            lobby,
            floors,
            library,
            files,
            offer,
            history,
            bot,
            bridge,
            uploads,
            audio,
            endpoint,
            listeners,
            sources,
            studio,
            picture_ports,
        } = self.household.clone();
        let restarts = self.restarts;
        Box::pin(async move {
            let mut states = vec![Observation::Supervisor { restarts }];
            if let Some(lobby) = lobby.addr() {
                states.extend(lobby.send(Observe).await);
            }
            for floor in floors.iter().filter_map(Post::addr) {
                states.extend(floor.send(Observe).await);
            }
            if let Some(library) = library.addr() {
                states.extend(library.send(Observe).await);
            }
            if let Some(files) = files.addr() {
                states.extend(files.send(Observe).await);
            }
            if let Some(uploads) = uploads.addr() {
                states.extend(uploads.send(Observe).await);
            }
            if let Some(offer) = offer.addr() {
                states.extend(offer.send(Observe).await);
            }
            if let Some(history) = history.addr() {
                states.extend(history.send(Observe).await);
            }
            if let Some(bot) = bot.addr() {
                states.extend(bot.send(Observe).await);
            }
            states.extend(bridge.iter().flat_map(|bridge| bridge.observe()));
            if let Some(audio) = audio.and_then(|post| post.addr()) {
                states.extend(audio.send(Observe).await);
            }
            if let Some(endpoint) = endpoint.and_then(|post| post.addr()) {
                states.extend(endpoint.send(Observe).await);
            }
            for listener in listeners.iter().filter_map(|(_, post)| post.addr()) {
                states.extend(listener.send(Observe).await);
            }
            for source in sources.iter().filter_map(Post::addr) {
                states.extend(source.send(Observe).await);
            }
            for channel in studio.iter().flat_map(|studio| studio.channels()) {
                states.extend(channel.send(Observe).await);
            }
            states.extend(picture_ports.map(|ports| ports.observe()));
            states
        })
    }
}

impl Handler<Observe> for Supervisor {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Observation {
        Observation::Supervisor {
            restarts: self.restarts,
        }
    }
}
