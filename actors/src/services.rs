//! Which services over TCP there are: name, port, language, and who answers there.

use std::sync::Arc;

use crate::chatroom::{self, ChatroomConnection};
use crate::lan_audio::LanAudioConnection;
use crate::lan_chat::{self, LanChatConnection};
use crate::lan_file::LanFileConnection;
use crate::lan_video::LanVideoConnection;
use crate::language::Language;
use crate::listener::Welcome;
use crate::messages::Service;
use crate::settings::Settings;
use crate::tumip::{self, TumipConnection};
use crate::videochat::{self, VideochatConnection};
use crate::web::{self, HttpConnection};

/// A service over TCP.
#[derive(Debug, Clone)]
pub struct TcpService {
    pub service: Service,
    /// 0 lets the system choose.
    pub port: u16,
    pub welcome: Welcome,
    /// How its people are told what happens; `None` where nobody takes a place in the lobby.
    pub language: Option<Language>,
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
    on
}
