//! What the house's bot may tell about the house.

use std::pin::Pin;
use std::sync::Arc;

use playhouse_bots::{Facts, Listing, Topic};

use crate::file_store::{FileStore, FindFile, ListFiles};
use crate::library::{Library, VideoNames};
use crate::lobby::{Lobby, Names};
use crate::studio::Studio;
use crate::watch::Post;

/// People who are named.
const PEOPLE: usize = 50;
/// Files that are named, the newest ones.
const FILES: usize = 20;

/// The actors who know.
#[derive(Clone)]
pub struct HouseFacts {
    pub lobby: Post<Lobby>,
    pub library: Post<Library>,
    pub files: Post<FileStore>,
    pub studio: Arc<Studio>,
}

impl HouseFacts {
    /// Recorded videos; the live channels are another topic.
    async fn videos(&self) -> Option<Listing> {
        let mut names = self.library.addr()?.send(VideoNames).await.ok()?;
        let live = self.studio.names();
        names.retain(|name| live.binary_search(name).is_err());
        Some(all(names))
    }

    async fn people(&self) -> Option<Listing> {
        let lobby = self.lobby.addr()?;
        let (names, total) = lobby.send(Names(PEOPLE)).await.ok()?;
        Some(Listing { names, total })
    }

    async fn files(&self) -> Option<Listing> {
        let store = self.files.addr()?;
        let numbers = store.send(ListFiles).await.ok()?;
        let mut names = Vec::new();
        for &number in numbers.iter().rev().take(FILES) {
            // One may have been removed since.
            if let Ok(Ok(file)) = store.send(FindFile(number)).await {
                names.push(String::from_utf8_lossy(&file.name).into_owned());
            }
        }
        let total = numbers.len();
        Some(Listing { names, total })
    }
}

fn all(names: Vec<String>) -> Listing {
    let total = names.len();
    Listing { names, total }
}

impl Facts for HouseFacts {
    fn look<'a>(&'a self, topic: Topic) -> Pin<Box<dyn Future<Output = Listing> + 'a>> {
        Box::pin(async move {
            let found = match topic {
                Topic::Videos => self.videos().await,
                Topic::Live => Some(all(self.studio.names())),
                Topic::People => self.people().await,
                Topic::Files => self.files().await,
            };
            // Somebody who is just being rebuilt knows nothing.
            found.unwrap_or_else(|| all(Vec::new()))
        })
    }
}
