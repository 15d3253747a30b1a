//! What all sessions of an endpoint share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use playhouse_protocols::packetchat::{Numbering, Response};

use crate::endpoint::Endpoint;
use crate::file_store::FileStore;
use crate::house::Rooms;
use crate::inbox::Budget;
use crate::ledger::Ledger;
use crate::locks::locked;
use crate::watch::Post;

/// What every session can reach.
pub struct Desk {
    pub rooms: Arc<Rooms>,
    pub endpoint: Post<Endpoint>,
    pub files: Post<FileStore>,
    pub ledger: Ledger,
    pub lists: Lists,
    /// What the messages to all users together may take.
    pub budget: Budget,
}

/// The packets of the lists that were asked for last: long ones, and the same for everyone.
#[derive(Default)]
pub struct Lists(Mutex<HashMap<(Listed, Numbering), Made>>);

/// A list, and its packet.
struct Made {
    of: Arc<[u64]>,
    packet: Bytes,
}

/// What a list is of.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listed {
    Users,
    Files,
}

impl Lists {
    /// The packet of a list, made anew if the list is another one than the last time.
    pub fn packet(&self, listed: Listed, numbering: Numbering, list: Arc<[u64]>) -> Bytes {
        let mut packets = locked(&self.0);
        if let Some(made) = packets.get(&(listed, numbering))
            && Arc::ptr_eq(&made.of, &list)
        {
            return made.packet.clone();
        }
        let response = match listed {
            Listed::Users => Response::Users(list.to_vec()),
            Listed::Files => Response::Files(list.to_vec()),
        };
        let packet = Bytes::from(response.packet(numbering));
        let made = Made {
            of: list,
            packet: packet.clone(),
        };
        packets.insert((listed, numbering), made);
        packet
    }
}
