//! Datagrams that get no answer, because the protocol has no word for what is wrong with them: counted
//! by reason, and each reason is logged once in a while with the rule that was broken.

use std::borrow::Cow;
use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
use std::net::SocketAddr;

use playhouse_protocols::wire::WireError;

use crate::seldom::Seldom;

/// Why a datagram gets no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    NotAllowed,
    TooManyPackets,
    Malformed(WireError),
    UnknownSession,
    OtherAddress,
    TooManySessions,
    TooManySessionsHere,
    BadName,
    UnknownUser,
    UnknownFile,
    TooManyTransfers,
    FileTooLarge,
    Quota,
    DiskFull,
    BadChunk,
    Busy,
    Backlog,
    BacklogOfAll,
    TooManyTransfersInAll,
    NoPort,
    /// Ours, with what went wrong.
    Internal(String),
}

impl Refusal {
    /// What the operator reads: the key where there is one, and the rule.
    pub fn rule(&self) -> Cow<'static, str> {
        let rule = match self {
            Refusal::NotAllowed => "server.allow does not list its network",
            Refusal::TooManyPackets => "packetchat.packets_per_s come from this address already",
            Refusal::Malformed(error) => return error.to_string().into(),
            Refusal::UnknownSession => "no such session or transfer, or no longer",
            Refusal::OtherAddress => {
                "packetchat.pin_address: a session belongs to the address that began it"
            }
            Refusal::TooManySessions => "packetchat.max_sessions are here already",
            Refusal::TooManySessionsHere => {
                "packetchat.sessions_per_address of this address are here already"
            }
            Refusal::BadName => "a name has 1 to 64 characters, in UTF-8, none of them for control",
            Refusal::UnknownUser => "no such user, or no longer",
            Refusal::UnknownFile => "no such file, or no longer",
            Refusal::TooManyTransfers => {
                "files.transfers_per_address of this address are under way already"
            }
            Refusal::FileTooLarge => "files.max_file_mb is less than the file",
            Refusal::Quota => "files.quota_mb is less than all files with this one",
            Refusal::DiskFull => "files.min_free_mb would not be left on the disk",
            Refusal::BadChunk => "a chunk has 256 bytes, the last one what is left",
            Refusal::Busy => "more at once than is looked at",
            Refusal::Backlog => "limits.backlog_kb of messages wait for their recipient already",
            Refusal::BacklogOfAll => "packetchat.backlog_mb of messages wait for all already",
            Refusal::TooManyTransfersInAll => "files.max_transfers are under way already",
            Refusal::NoPort => "it comes from port 0, where nothing can be sent",
            Refusal::Internal(what) => return format!("internal error: {what}").into(),
        };
        rule.into()
    }
}

/// How often each reason came up.
#[derive(Default)]
pub struct Refusals {
    total: u64,
    logs: HashMap<Discriminant<Refusal>, Seldom>,
}

impl Refusals {
    /// One more from `peer`.
    pub fn count(&mut self, refusal: Refusal, peer: SocketAddr) {
        self.total += 1;
        let log = self.logs.entry(discriminant(&refusal)).or_default();
        if let Some(count) = log.happens() {
            let rule = refusal.rule();
            tracing::warn!(service = "packetchat", %peer, %rule, count, "no answer");
        }
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_log_of_its_own() {
        let error = WireError::new(0, "type", "wrong");
        let all = [
            Refusal::NotAllowed,
            Refusal::TooManyPackets,
            Refusal::Malformed(error),
            Refusal::UnknownSession,
            Refusal::OtherAddress,
            Refusal::TooManySessions,
            Refusal::TooManySessionsHere,
            Refusal::BadName,
            Refusal::UnknownUser,
            Refusal::UnknownFile,
            Refusal::TooManyTransfers,
            Refusal::FileTooLarge,
            Refusal::Quota,
            Refusal::DiskFull,
            Refusal::BadChunk,
            Refusal::Busy,
            Refusal::Backlog,
            Refusal::BacklogOfAll,
            Refusal::TooManyTransfersInAll,
            Refusal::NoPort,
            Refusal::Internal("broken".to_owned()),
        ];
        let rules: std::collections::HashSet<_> = all.iter().map(Refusal::rule).collect();
        assert_eq!(rules.len(), all.len());
        let mut refusals = Refusals::default();
        let peer = "127.0.0.1:1".parse().unwrap();
        for refusal in all.iter().chain(&all) {
            refusals.count(refusal.clone(), peer);
        }
        assert_eq!(refusals.total(), 2 * all.len() as u64);
        assert_eq!(refusals.logs.len(), all.len());
        for log in refusals.logs.values_mut() {
            assert_eq!(log.happens(), None, "logged once already");
        }
    }
}
