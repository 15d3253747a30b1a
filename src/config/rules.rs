//! The rules that values follow beside their kind.

use playhouse_actors::{Sound, check_password_hash};
use playhouse_media::check_live_address;

use super::keys::{Config, SourceKeys};

/// Bytes of a live source's name.
const MAX_NAME: usize = 64;
/// Words of chatroom begin so.
const WORDS: [&str; 2] = ["[", "QUIT"];
/// Names that begin so are those of people's own channels.
const TAKEN: [&str; 3] = ["tumip-", "cam-", "web-"];

impl Config {
    /// The keys that break a rule, and the rule.
    pub(super) fn broken_rules(&self) -> Vec<(String, String)> {
        let mut broken = Vec::new();
        let mut rule = |key: &str, holds: bool, text: &str| {
            if !holds {
                broken.push((key.to_owned(), text.to_owned()));
            }
        };
        let day = 86_400;
        rule(
            "server.allow",
            !self.server.allow.is_empty(),
            "with no network nobody can connect",
        );
        rule(
            "server.max_connections",
            self.server.max_connections > 0,
            "at least 1",
        );
        rule("server.threads", self.server.threads <= 1024, "0 to 1024");
        rule(
            "lobby.merge_ms",
            self.lobby.merge_ms <= 1000,
            "0 to 1000 milliseconds",
        );
        rule(
            "lobby.presence_mb_s",
            (1..=100_000).contains(&self.lobby.presence_mb_s),
            "1 to 100000 megabytes a second",
        );
        rule(
            "lobby.history",
            self.lobby.history <= 100_000,
            "0 to 100000 messages",
        );
        rule(
            "streaming.head_start_ms",
            self.streaming.head_start_ms <= 60_000,
            "0 to 60000 milliseconds",
        );
        rule(
            "streaming.jpeg_quality",
            (1..=100).contains(&self.streaming.jpeg_quality),
            "1 to 100",
        );
        rule(
            "streaming.cache_mb",
            self.streaming.cache_mb <= 1 << 20,
            "0 to 1048576 megabytes",
        );
        rule(
            "streaming.max_streams",
            self.streaming.max_streams > 0,
            "at least 1",
        );
        rule(
            "limits.handshake_s",
            (1..=day).contains(&self.limits.handshake_s),
            "1 to 86400 seconds",
        );
        rule(
            "limits.backlog_kb",
            (64..=1 << 20).contains(&self.limits.backlog_kb),
            "64 to 1048576 kilobytes",
        );
        rule(
            "limits.stall_s",
            (1..=day).contains(&self.limits.stall_s),
            "1 to 86400 seconds",
        );
        rule(
            "limits.goodbye_s",
            (1..=60).contains(&self.limits.goodbye_s),
            "1 to 60 seconds",
        );
        rule(
            "chatroom.legacy_gap_ms",
            self.chatroom.legacy_gap_ms <= 1000,
            "0 to 1000 milliseconds",
        );
        rule(
            "packetchat.session_timeout_s",
            (1..=day).contains(&self.packetchat.session_timeout_s),
            "1 to 86400 seconds",
        );
        rule(
            "packetchat.max_sessions",
            self.packetchat.max_sessions > 0,
            "at least 1",
        );
        rule(
            "packetchat.sessions_per_address",
            self.packetchat.sessions_per_address > 0,
            "at least 1",
        );
        rule(
            "packetchat.packets_per_s",
            self.packetchat.packets_per_s > 0,
            "at least 1 a second",
        );
        rule(
            "packetchat.backlog_mb",
            (1..=1 << 20).contains(&self.packetchat.backlog_mb),
            "1 to 1048576 megabytes",
        );
        rule(
            "files.max_transfers",
            self.files.max_transfers > 0,
            "at least 1",
        );
        rule(
            "files.max_file_mb",
            (1..=4096).contains(&self.files.max_file_mb),
            "1 to 4096 megabytes",
        );
        let most = 1 << 40;
        rule(
            "files.quota_mb",
            self.files.quota_mb <= most,
            "0 to 1099511627776 megabytes",
        );
        rule(
            "files.min_free_mb",
            self.files.min_free_mb <= most,
            "0 to 1099511627776 megabytes",
        );
        rule(
            "files.upload_expiry_s",
            (1..=365 * day).contains(&self.files.upload_expiry_s),
            "1 to 31536000 seconds",
        );
        rule(
            "files.transfers_per_address",
            self.files.transfers_per_address > 0,
            "at least 1",
        );
        let tumip = &self.tumip;
        let (first, last) = (tumip.udp_first, tumip.udp_last);
        rule(
            "tumip.udp_last",
            if first == 0 { last == 0 } else { first <= last },
            "not below tumip.udp_first; both 0 if the system chooses the ports",
        );
        rule(
            "tumip.quiet_ms",
            (1..=5000).contains(&tumip.quiet_ms),
            "1 to 5000 milliseconds",
        );
        rule("tumip.max_users", tumip.max_users > 0, "at least 1");
        let live = &self.live;
        rule(
            "live.linger_s",
            (1..=3600).contains(&live.linger_s),
            "1 to 3600 seconds",
        );
        rule(
            "live.chatroom_frames",
            (1..=10_000_000).contains(&live.chatroom_frames),
            "1 to 10000000 frames",
        );
        rule(
            "live.record_minutes",
            (1..=1440).contains(&live.record_minutes),
            "1 to 1440 minutes",
        );
        rule(
            "live.record_quota_mb",
            live.record_quota_mb <= most,
            "0 to 1099511627776 megabytes",
        );
        rule(
            "live.record_min_free_mb",
            live.record_min_free_mb <= most,
            "0 to 1099511627776 megabytes",
        );
        rule(
            "live.max_recordings",
            (1..=64).contains(&live.max_recordings),
            "1 to 64",
        );
        rule(
            "bot.time_limit_s",
            (1..=600).contains(&self.bot.time_limit_s),
            "1 to 600 seconds",
        );
        rule(
            "bot.openai.history",
            self.bot.openai.history <= 1000,
            "0 to 1000 messages",
        );
        rule(
            "lan_file.offer",
            !self.lan_file.offer.is_empty(),
            "a path, the name of a file of the house, or latest",
        );
        let (audio, video) = (&self.lan_audio, &self.lan_video);
        rule(
            "lan_audio.backlog_ms",
            (100..=60_000).contains(&audio.backlog_ms),
            "100 to 60000 milliseconds",
        );
        rule(
            "lan_video.max_frame_mb",
            (1..=1024).contains(&video.max_frame_mb),
            "1 to 1024 megabytes",
        );
        rule(
            "lan_video.max_cameras",
            (1..=10_000).contains(&video.max_cameras),
            "1 to 10000",
        );
        if let Sound::Address(address) = audio.sound() {
            rule(
                "lan_audio.source",
                !address.is_empty(),
                "sample, tone, a file, scheme://… or device:FORMAT:NAME",
            );
            if let Err(e) = check_live_address(&address) {
                rule("lan_audio.source", false, &e.to_string());
            }
        }
        let (videochat, chatroom) = (&self.videochat, &self.chatroom);
        let web = &self.web;
        rule(
            "web.session_hours",
            (1..=24 * 365).contains(&web.session_hours),
            "1 to 8760 hours",
        );
        for (key, hash) in [
            ("web.password", &web.password),
            ("web.admin_password", &web.admin_password),
        ] {
            if !hash.is_empty()
                && let Err(text) = check_password_hash(hash)
            {
                rule(key, false, &text);
            }
        }
        let is_name = |host: &String| {
            let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            !host.is_empty() && host.bytes().all(word)
        };
        rule(
            "web.hosts",
            web.hosts.iter().all(is_name),
            "names alone, without http:// and without ports",
        );
        let tcp = [
            ("web.port", web.enabled, web.port),
            ("videochat.port", videochat.enabled, videochat.port),
            ("chatroom.port", chatroom.enabled, chatroom.port),
            ("tumip.port", tumip.enabled, tumip.port),
            ("lan_file.port", self.lan_file.enabled, self.lan_file.port),
            ("lan_chat.port", self.lan_chat.enabled, self.lan_chat.port),
            ("lan_audio.port", audio.enabled, audio.port),
            ("lan_video.port", video.enabled, video.port),
        ];
        let own = self.services.iter();
        let own = own.map(|own| (format!("{}.port", own.service), true, own.port));
        let tcp = tcp.map(|(key, enabled, port)| (key.to_owned(), enabled, port));
        let tcp: Vec<_> = tcp.into_iter().chain(own).collect();
        let packetchat = &self.packetchat;
        let on = packetchat.enabled || tcp.iter().any(|(_, enabled, _)| *enabled);
        rule("videochat.enabled", on, "at least one service is enabled");
        let bound = tcp
            .iter()
            .filter(|(_, enabled, port)| *enabled && *port > 0);
        for (n, (key, _, port)) in bound.clone().enumerate() {
            let other = bound.clone().take(n).find(|(_, _, other)| other == port);
            if let Some((other, ..)) = other {
                let text = format!("{other} has the same; two services can't share a port");
                rule(key, false, &text);
            }
        }
        rule(
            "packetchat.port",
            !(packetchat.enabled && tumip.enabled)
                || first == 0
                || !(first..=last).contains(&packetchat.port),
            "tumip.udp_first to tumip.udp_last are for tumip's users",
        );
        let names: Vec<&str> = live.source.iter().map(|source| &*source.name).collect();
        for (n, source) in live.source.iter().enumerate() {
            if let Err(text) = source.check(&names[..n]) {
                rule("live.source", false, &format!("{:?}: {text}", source.name));
            }
        }
        if let Err(e) = self.log.filter() {
            broken.push(("log.level".to_owned(), e));
        }
        broken
    }
}

impl SourceKeys {
    /// # Errors
    /// The rule that it breaks; `others` are the names of those before it.
    fn check(&self, others: &[&str]) -> Result<(), String> {
        let name = self.name.as_str();
        let rule = if name.trim() != name || name.is_empty() || name.len() > MAX_NAME {
            "name: 1 to 64 bytes, without spaces around it"
        } else if name.contains(|c: char| c.is_control() || "/\\,".contains(c)) {
            "name: without slashes, commas and control characters"
        } else if name.starts_with('.') {
            "name: does not begin with a dot"
        } else if TAKEN.iter().any(|taken| name.starts_with(taken)) {
            "name: tumip-, cam- and web- are for people's own channels"
        } else if WORDS.iter().any(|word| name.starts_with(word)) {
            "name: begins like a word of chatroom, whose people could not choose it"
        } else if others.contains(&name) {
            "name: each source has its own"
        } else if self.url.is_empty() {
            "url: a file, an address or device:FORMAT:NAME"
        } else {
            return check_live_address(&self.url).map_err(|e| format!("url: {e}"));
        };
        Err(rule.to_owned())
    }
}
