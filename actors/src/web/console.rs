//! What the pages and those who ask over HTTP can reach of the house, beside its rooms.

use std::time::Instant;

use actix::prelude::*;
use playhouse_storage::Offer;

use super::error::ApiError;
use super::still::Stills;
use super::uploads::Uploads;
use crate::file_store::{FileStore, Shelves};
use crate::house::Rooms;
use crate::settings::Web;
use crate::supervisor::Supervisor;
use crate::watch::Post;
use crate::web::auth::Keeper;
use crate::web::vitals::Pulse;

/// The house as the web service knows it; one for all its connections.
pub struct Console {
    pub settings: Web,
    /// Whether there is sound to hear.
    pub plays: bool,
    pub since: Instant,
    /// The same, in seconds since 1970.
    pub opened: i64,
    pub supervisor: Addr<Supervisor>,
    pub files: Post<FileStore>,
    /// What lan_file offers by the configuration, if it is on.
    pub lan_file: Option<Offer>,
    pub shelves: Shelves,
    pub pulse: Pulse,
    pub keeper: Keeper,
    pub stills: Stills,
    /// What comes of files over HTTP.
    pub uploads: Post<Uploads>,
}

impl Console {
    /// The one of these rooms.
    ///
    /// # Errors
    /// There is none, which nobody who asks over HTTP sees.
    pub fn of(rooms: &Rooms) -> Result<&Console, ApiError> {
        rooms.console.as_deref().ok_or_else(ApiError::internal)
    }
}
