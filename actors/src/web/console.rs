//! What the pages and those who ask over HTTP can reach of the house, beside its rooms.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use actix::prelude::*;

use crate::file_offer::FileOffer;
use crate::file_store::{FileStore, Shelves};
use crate::library::Library;
use crate::lobby::Lobby;
use crate::settings::Web;
use crate::studio::Studio;
use crate::supervisor::Supervisor;
use crate::watch::Post;
use crate::web::auth::Keeper;
use crate::web::vitals::Pulse;

/// The house as the web service knows it; one for all its connections.
pub struct Console {
    pub settings: Web,
    pub data_dir: PathBuf,
    /// Whether there is sound to hear.
    pub plays: bool,
    pub since: Instant,
    pub supervisor: Addr<Supervisor>,
    pub lobby: Post<Lobby>,
    pub library: Post<Library>,
    pub files: Post<FileStore>,
    pub offer: Post<FileOffer>,
    pub shelves: Shelves,
    pub studio: Arc<Studio>,
    pub pulse: Pulse,
    pub keeper: Keeper,
}
