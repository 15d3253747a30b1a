//! What an endpoint works with, and what it may take up again after a restart.

use std::net::UdpSocket;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};

use actix::prelude::*;
use actix_rt::ArbiterHandle;
use ipnet::IpNet;
use playhouse_storage::SessionRow;
use tokio::time::Instant;

use crate::desk::Desk;
use crate::endpoint::SessionEnded;
use crate::file_store::Shelves;
use crate::locks::locked;
use crate::roster::{Roster, Seat};
use crate::session::Session;
use crate::settings::Packetchat;
use crate::slots::Slots;
use crate::storeroom::Left;
use crate::supervisor::Supervisor;
use crate::watch;

/// Kept by the endpoint's factory, so that a rebuilt one goes on with it.
#[derive(Clone)]
pub struct Gate {
    pub socket: Arc<UdpSocket>,
    pub allow: Arc<[IpNet]>,
    pub settings: Packetchat,
    pub shelves: Shelves,
    pub desk: Arc<Desk>,
    pub roster: Arc<Mutex<Roster>>,
    /// Places for transfers that have files open.
    pub moving: Slots,
    pub arbiter: ArbiterHandle,
    pub supervisor: Addr<Supervisor>,
    pub closing: Arc<AtomicBool>,
}

impl Gate {
    pub(crate) fn roster(&self) -> MutexGuard<'_, Roster> {
        // Each change leaves it whole.
        locked(&self.roster)
    }

    /// Goes on with what was here before a restart.
    pub fn restore(&self, sessions: Vec<SessionRow>, transfers: Vec<Left>) {
        let mut roster = self.roster();
        for row in sessions {
            self.admit(&mut roster, row, true);
        }
        for left in transfers {
            roster.adopt(left.transfer, None, left.idle, left.fresh);
        }
    }

    /// Starts the session that `row` says; `restored` if it was here before a restart.
    pub fn admit(&self, roster: &mut Roster, row: SessionRow, restored: bool) {
        let (number, address, wanted) = (row.session, row.address, row.wanted.clone());
        let (desk, endpoint) = (self.desk.clone(), self.desk.endpoint.clone());
        let actor = watch::start(
            &self.arbiter,
            move |_| Some(Session::new(row, restored, desk)),
            move |panic| {
                if let Some(panic) = panic {
                    tracing::error!(service = "packetchat", peer = %address, panic, "a session panicked");
                }
                endpoint.do_send(SessionEnded(number));
            },
        );
        let seat = Seat {
            actor,
            ip: address.ip().to_canonical(),
            heard: Instant::now(),
            request: (address, wanted.into()),
        };
        roster.admit(number, seat);
    }
}
