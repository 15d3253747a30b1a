//! Starts those who live as long as the house: each is made anew from its factory when it panics.

use std::sync::Arc;

use actix::prelude::*;
use actix_rt::{Arbiter, ArbiterHandle};
use playhouse_media::Catalogue;

use crate::audio_source::{AudioSource, Hearers};
use crate::chat_bot::Bots;
use crate::file_offer::FileOffer;
use crate::file_store::Shelves;
use crate::floor::Floor;
use crate::frame_pool::{FramePool, give_way};
use crate::history::{Annals, Chronicle, History};
use crate::house_bot::HouseBot;
use crate::interpreter::Interpreter;
use crate::library::{self, Library};
use crate::live_source::LiveSource;
use crate::lobby::{Across, Lobby, Merging};
use crate::services::languages;
use crate::settings::{SAMPLE, Settings};
use crate::slots::Slots;
use crate::storeroom::Left;
use crate::studio::Studio;
use crate::supervisor::{Household, Rebuilt, Supervisor};
use crate::watch::{Post, keep};
use crate::web::{UploadBook, Uploads};

/// Tells the supervisor that an actor was rebuilt.
pub fn told(
    supervisor: &Addr<Supervisor>,
    rebuilt: Rebuilt,
) -> impl Fn(&'static str) + Send + 'static {
    let supervisor = supervisor.clone();
    move |_| supervisor.do_send(rebuilt)
}

pub fn keep_floors(household: &Household, cores: &[ArbiterHandle], supervisor: &Addr<Supervisor>) {
    for (n, (core, floor)) in cores.iter().zip(&household.floors).enumerate() {
        let lobby = household.lobby.clone();
        let make = move || Floor::new(n, lobby.clone());
        keep(
            core,
            "floor",
            floor.clone(),
            make,
            told(supervisor, Rebuilt::Floor(n)),
        );
    }
}

pub fn keep_lobby(
    household: &Household,
    cores: &[ArbiterHandle],
    supervisor: &Addr<Supervisor>,
    settings: &Settings,
    across: Option<Across>,
    annals: Option<Annals>,
) {
    let languages = languages(settings);
    let merging = Merging {
        window: settings.lobby_merge,
        budget: settings.presence_bytes,
    };
    let floors = household.floors.clone();
    let make = move || {
        let (across, annals) = (across.clone(), annals.clone());
        Lobby::new(floors.clone(), &languages, merging, across, annals)
    };
    let core = cores.first().cloned().unwrap_or_else(Arbiter::current);
    keep(
        &core,
        "lobby",
        household.lobby.clone(),
        make,
        told(supervisor, Rebuilt::Lobby),
    );
}

/// Those who make one room of all services: interpreters, each on one of the threads given, and the bot.
pub fn keep_bridge(
    household: &Household,
    cores: &[ArbiterHandle],
    threads: &[Arbiter],
    supervisor: &Addr<Supervisor>,
    across: &Across,
    bots: &Bots,
) {
    for ((office, modulus), thread) in across.bridge.offices().zip(threads) {
        thread.spawn_fn(give_way);
        let (service, bridge) = (modulus.service, across.bridge.clone());
        let (lobby, floors) = (household.lobby.clone(), household.floors.clone());
        let make = move || Interpreter::new(service, bridge.clone(), lobby.clone(), floors.clone());
        keep(
            &thread.handle(),
            "interpreter",
            office.interpreter.clone(),
            make,
            told(supervisor, Rebuilt::Other),
        );
    }
    let (bots, lobby, bot) = (bots.clone(), household.lobby.clone(), across.bot.id);
    let make = move || HouseBot::new(bots.clone(), lobby.clone(), bot);
    let told = told(supervisor, Rebuilt::Other);
    keep(
        &last(cores),
        "house bot",
        across.answers.clone(),
        make,
        told,
    );
}

pub fn keep_history(
    household: &Household,
    cores: &[ArbiterHandle],
    supervisor: &Addr<Supervisor>,
    chronicle: &Chronicle,
) {
    let chronicle = chronicle.clone();
    keep(
        &last(cores),
        "history",
        household.history.clone(),
        move || History::new(chronicle.clone()),
        told(supervisor, Rebuilt::Other),
    );
}

/// The last core; the lobby has the first one.
pub fn last(cores: &[ArbiterHandle]) -> ArbiterHandle {
    cores.last().cloned().unwrap_or_else(Arbiter::current)
}

pub fn keep_library(
    household: &Household,
    cores: &[ArbiterHandle],
    supervisor: &Addr<Supervisor>,
    settings: &Settings,
    studio: &Arc<Studio>,
    catalogue: Catalogue,
    pool: FramePool,
) {
    library::log_changes(&Catalogue::default(), &catalogue);
    let (catalogue, folder) = (Arc::new(catalogue), settings.videos_dir.clone());
    let (arbiters, studio) = (cores.to_vec(), studio.clone());
    let make = move || {
        Library::new(
            folder.clone(),
            catalogue.clone(),
            pool.clone(),
            studio.clone(),
            arbiters.clone(),
        )
    };
    keep(
        &last(cores),
        "library",
        household.library.clone(),
        make,
        told(supervisor, Rebuilt::Other),
    );
}

/// The sound of the house and what lan_file offers, as far as these services are on.
pub fn keep_lan(
    household: &mut Household,
    cores: &[ArbiterHandle],
    supervisor: &Addr<Supervisor>,
    settings: &Settings,
    shelves: &Shelves,
    hearers: &Hearers,
) {
    let sample = settings.videos_dir.join(SAMPLE);
    if let Some(audio) = &settings.lan_audio {
        let post = Post::default();
        household.audio = Some(post.clone());
        let (source, sample, hearers) = (audio.source.clone(), sample.clone(), hearers.clone());
        let make = move || AudioSource::new(source.clone(), sample.clone(), hearers.clone());
        let told = told(supervisor, Rebuilt::Other);
        keep(&last(cores), "audio source", post, make, told);
    }
    if let Some(file) = &settings.lan_file {
        let (shelves, offer) = (shelves.clone(), file.offer.clone());
        let make = move || FileOffer::new(shelves.clone(), offer.clone(), sample.clone());
        let told = told(supervisor, Rebuilt::Other);
        keep(
            &last(cores),
            "file offer",
            household.offer.clone(),
            make,
            told,
        );
    }
}

/// Each live source of the configuration, on the next core.
pub fn keep_sources(
    household: &mut Household,
    cores: &[ArbiterHandle],
    supervisor: &Addr<Supervisor>,
    settings: &Settings,
    studio: &Arc<Studio>,
    catalogue: &Catalogue,
) {
    for source in &settings.live.sources {
        if catalogue.videos.contains_key(&*source.name) {
            let source = &source.name;
            tracing::warn!(%source, "a live source has the name of a video, which hides the one or the other");
        }
    }
    for (source, core) in settings.live.sources.iter().zip(cores.iter().cycle()) {
        let post = Post::default();
        household.sources.push(post.clone());
        let (source, quality, studio) = (source.clone(), settings.jpeg_quality, studio.clone());
        let make = move || LiveSource::new(source.clone(), quality, studio.clone());
        let told = told(supervisor, Rebuilt::Other);
        keep(core, "live source", post, make, told);
    }
}

/// Kept also without the web service: what it left is given up in time.
pub fn keep_uploads(
    household: &Household,
    cores: &[ArbiterHandle],
    supervisor: &Addr<Supervisor>,
    shelves: &Shelves,
    moving: &Slots,
    left: Vec<Left>,
) {
    let (shelves, files, moving) = (shelves.clone(), household.files.clone(), moving.clone());
    let (book, post) = (UploadBook::new(left), household.uploads.clone());
    let make = move || {
        Uploads::new(
            book.clone(),
            shelves.clone(),
            files.clone(),
            moving.clone(),
            post.clone(),
        )
    };
    keep(
        &last(cores),
        "uploads",
        household.uploads.clone(),
        make,
        told(supervisor, Rebuilt::Other),
    );
}
