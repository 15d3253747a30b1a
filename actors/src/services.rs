//! Which services over TCP there are: name, port, language, and who answers there.

use std::sync::Arc;

use actix::prelude::*;
use bytes::Bytes;

use crate::chatroom::{self, ChatroomConnection};
use crate::house::Rooms;
use crate::lan_audio::LanAudioConnection;
use crate::lan_chat::{self, LanChatConnection};
use crate::lan_file::LanFileConnection;
use crate::lan_video::LanVideoConnection;
use crate::language::{Language, ListChange, Spoken};
use crate::link::Link;
use crate::listener::Welcome;
use crate::messages::{Dismiss, Service};
use crate::settings::Settings;
use crate::tumip::{self, TumipConnection};
use crate::videochat::{self, VideochatConnection};
use crate::web::{self, HttpConnection};

/// A service over TCP: its name, its port, its language, and who answers there.
#[derive(Debug, Clone)]
pub struct TcpService {
    pub service: Service,
    /// 0 lets the system choose.
    pub port: u16,
    pub welcome: Welcome,
    /// How its people are told what happens; `None` where nobody takes a place in the lobby.
    pub language: Option<Language>,
    /// What the table of services says that it is.
    pub about: &'static str,
}

impl TcpService {
    /// A service of somebody else's, of `name` (small letters, digits and underscores) and on `port`, where 0
    /// lets the system choose. `make` makes the actor of each connection, on the core that it lives on.
    pub fn new<A>(
        name: &'static str,
        port: u16,
        make: impl Fn(Link, Arc<Rooms>) -> A + Send + Sync + 'static,
    ) -> TcpService
    where
        A: Actor<Context = Context<A>> + Handler<Dismiss>,
    {
        let service = Service::Other(name);
        TcpService {
            service,
            port,
            welcome: Welcome::new(make),
            // Whether its people join is up to them: there is a room for them.
            language: Some(Language::plain(service)),
            about: "",
        }
    }

    /// What the table of services says that it is.
    pub fn about(mut self, about: &'static str) -> TcpService {
        self.about = about;
        self
    }

    /// Its people hear what is said in the house as `encode` puts it, once for all of them, as
    /// [`Heard::Said`](crate::Heard::Said). Without this each text comes as [`Heard::Words`](crate::Heard::Words).
    pub fn words(mut self, encode: fn(&Spoken<'_>) -> Bytes) -> TcpService {
        self.spoken().words = Some(encode);
        self
    }

    /// Its people are told who comes and goes as `encode` puts it, as
    /// [`Heard::Presence`](crate::Heard::Presence).
    pub fn people(mut self, encode: fn(&ListChange<'_>) -> Vec<Bytes>) -> TcpService {
        self.spoken().people = Some(encode);
        self
    }

    /// Its people hear their own words, too.
    pub fn echo(mut self) -> TcpService {
        self.spoken().echo = true;
        self
    }

    fn spoken(&mut self) -> &mut Language {
        let service = self.service;
        self.language.get_or_insert(Language::plain(service))
    }
}

/// How the people of each service that is on are told what happens, and those of the house itself.
pub fn languages(settings: &Settings) -> Arc<[Language]> {
    // Those of packetchat ask who is here.
    let packetchat = settings.packetchat.as_ref();
    let packetchat = packetchat.map(|_| Language::plain(Service::Packetchat));
    let tcp = tcp_services(settings).into_iter();
    tcp.filter_map(|service| service.language)
        .chain(packetchat)
        .collect()
}

/// All that are on.
pub fn tcp_services(settings: &Settings) -> Vec<TcpService> {
    let mut on = Vec::new();
    let mut add = |service, port: Option<u16>, welcome, language| {
        on.extend(port.map(|port| TcpService {
            service,
            port,
            welcome,
            language,
            about: "",
        }));
    };
    add(
        Service::Web,
        settings.web.as_ref().map(|web| web.port),
        Welcome::new(HttpConnection::new),
        Some(web::LANGUAGE),
    );
    add(
        Service::Videochat,
        settings.videochat,
        Welcome::new(VideochatConnection::new),
        Some(videochat::LANGUAGE),
    );
    add(
        Service::Chatroom,
        settings.chatroom,
        Welcome::new(ChatroomConnection::new),
        Some(chatroom::LANGUAGE),
    );
    add(
        Service::Tumip,
        settings.tumip.as_ref().map(|tumip| tumip.port),
        Welcome::new(TumipConnection::new),
        Some(tumip::LANGUAGE),
    );
    add(
        Service::LanFile,
        settings.lan_file.as_ref().map(|file| file.port),
        Welcome::new(LanFileConnection::new),
        None,
    );
    add(
        Service::LanChat,
        settings.lan_chat,
        Welcome::new(LanChatConnection::new),
        Some(lan_chat::LANGUAGE),
    );
    add(
        Service::LanAudio,
        settings.lan_audio.as_ref().map(|audio| audio.port),
        Welcome::new(LanAudioConnection::new),
        None,
    );
    add(
        Service::LanVideo,
        settings.lan_video.as_ref().map(|video| video.port),
        Welcome::new(LanVideoConnection::new),
        None,
    );
    on.extend_from_slice(&settings.services);
    on
}
