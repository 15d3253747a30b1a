//! The state of the house as Prometheus reads it.

use std::fmt::{Display, Write};

use actix_web::HttpResponse;
use actix_web::web::{self, Data, ServiceConfig};

use super::vitals::{Vitals, vitals};
use crate::house::Rooms;
use crate::messages::{Observation, Service};

pub fn routes(config: &mut ServiceConfig) {
    config.service(web::resource("/metrics").get(metrics).head(metrics));
}

/// The state of the house, for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "house",
    responses((status = 200, content_type = "text/plain", body = String)),
)]
pub async fn metrics(rooms: Data<Rooms>) -> HttpResponse {
    let text = text(&*vitals(&rooms).await);
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(text)
}

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

/// Prometheus's text, one family after the other.
#[derive(Default)]
struct Text {
    text: String,
    family: &'static str,
}

impl Text {
    fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> &mut Text {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.family = name;
        // Writing to a string never fails.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        self
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Text {
        self.text.push_str(self.family);
        for (n, (label, text)) in labels.iter().enumerate() {
            let before = if n == 0 { '{' } else { ',' };
            let text = text
                .replace('\\', r"\\")
                .replace('"', "\\\"")
                .replace('\n', r"\n");
            let _ = write!(self.text, "{before}{label}=\"{text}\"");
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
        self
    }

    fn one(&mut self, name: &'static str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help).sample(&[], value);
    }

    /// A family of which each of `items` has a sample.
    fn each(
        &mut self,
        (name, kind, help): (&'static str, Kind, &str),
        label: &str,
        items: impl Iterator<Item = (impl AsRef<str>, impl Display)>,
    ) {
        self.family(name, kind, help);
        for (item, value) in items {
            self.sample(&[(label, item.as_ref())], value);
        }
    }
}

fn text(vitals: &Vitals) -> String {
    use Kind::{Counter, Gauge};
    let mut text = Text::default();
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    text.family(
        "playhouse_build_info",
        Gauge,
        "Which playhouse this is; always 1.",
    )
    .sample(&version, 1);
    process(&mut text, vitals);
    text.one(
        "playhouse_people",
        Gauge,
        "People in the house.",
        vitals.people,
    );
    text.one(
        "playhouse_messages_total",
        Counter,
        "Messages that passed the lobby.",
        vitals.messages,
    );
    text.one(
        "playhouse_actor_restarts_total",
        Counter,
        "Actors that were rebuilt after a panic.",
        vitals.restarts,
    );
    let services = vitals.connections.iter();
    let open = (
        "playhouse_connections",
        Gauge,
        "Open connections, and sessions of packetchat.",
    );
    text.each(
        open,
        "service",
        services.clone().map(|(name, c)| (*name, c.open)),
    );
    let accepted = (
        "playhouse_connections_accepted_total",
        Counter,
        "Connections and sessions that were begun.",
    );
    text.each(
        accepted,
        "service",
        services.clone().map(|(name, c)| (*name, c.accepted)),
    );
    let refused = (
        "playhouse_connections_refused_total",
        Counter,
        "Connections that were refused; of packetchat, datagrams.",
    );
    text.each(
        refused,
        "service",
        services.map(|(name, c)| (*name, c.refused)),
    );
    text.one(
        "playhouse_videos",
        Gauge,
        "Videos in the library.",
        vitals.videos,
    );
    text.one(
        "playhouse_video_channels",
        Gauge,
        "Files of videos of which frames are being made.",
        vitals.channels,
    );
    text.one(
        "playhouse_files",
        Gauge,
        "Files of the house.",
        vitals.files.count,
    );
    text.one(
        "playhouse_files_bytes",
        Gauge,
        "Bytes of all files of the house.",
        vitals.files.bytes,
    );
    text.one(
        "playhouse_streams",
        Gauge,
        "Streams that are being watched.",
        vitals.streams.open,
    );
    text.one(
        "playhouse_streams_limit",
        Gauge,
        "Streams that may be watched at once.",
        vitals.streams.most,
    );
    text.one(
        "playhouse_received_bytes_total",
        Counter,
        "Bytes that came through all sockets.",
        vitals.traffic.in_bytes,
    );
    text.one(
        "playhouse_sent_bytes_total",
        Counter,
        "Bytes that went out through all sockets.",
        vitals.traffic.out_bytes,
    );
    text.one(
        "playhouse_frames_sent_total",
        Counter,
        "Pictures of videos and live channels that went out.",
        vitals.traffic.frames,
    );
    live(&mut text, vitals);
    for state in &vitals.actors {
        actor(&mut text, state);
    }
    interpreters(&mut text, vitals);
    text.text
}

/// By the names that Prometheus's own libraries give them.
fn process(text: &mut Text, vitals: &Vitals) {
    use Kind::{Counter, Gauge};
    text.one(
        "process_start_time_seconds",
        Gauge,
        "When the house was opened, in seconds since 1970.",
        vitals.opened,
    );
    text.one(
        "process_cpu_seconds_total",
        Counter,
        "Processor time of all threads.",
        vitals.cpu_seconds,
    );
    if vitals.rss_bytes > 0 {
        text.one(
            "process_resident_memory_bytes",
            Gauge,
            "Memory in use.",
            vitals.rss_bytes,
        );
    }
    if vitals.threads > 0 {
        text.one("process_threads", Gauge, "Threads.", vitals.threads);
    }
}

fn live(text: &mut Text, vitals: &Vitals) {
    use Kind::{Counter, Gauge};
    let channels = vitals.live.iter();
    let viewers = (
        "playhouse_live_viewers",
        Gauge,
        "Who watches a live channel.",
    );
    text.each(
        viewers,
        "channel",
        channels.clone().map(|c| (&c.name, c.viewers)),
    );
    let frames = (
        "playhouse_live_frames_total",
        Counter,
        "Pictures of a live channel since it is on air.",
    );
    text.each(
        frames,
        "channel",
        channels.clone().map(|c| (&c.name, c.frames)),
    );
    let missed = (
        "playhouse_live_missed_frames_total",
        Counter,
        "Pictures that viewers of a live channel were too slow for, all together.",
    );
    text.each(missed, "channel", channels.map(|c| (&c.name, c.missed)));
    let recorded = (
        "playhouse_live_recorded",
        Gauge,
        "Whether a live channel is recorded.",
    );
    let states = vitals.actors.iter().filter_map(|state| match state {
        Observation::LiveChannel {
            name,
            on_air: true,
            recorded,
            ..
        } => Some((name, u8::from(*recorded))),
        _ => None,
    });
    text.each(recorded, "channel", states);
}

/// What an actor of which there is one tells beyond the vitals.
fn actor(text: &mut Text, state: &Observation) {
    use Kind::{Counter, Gauge};
    match state {
        Observation::Lobby { lists, .. } => text.one(
            "playhouse_presence_lists_total",
            Counter,
            "Lists of people that went out.",
            lists,
        ),
        Observation::Library { rejected, .. } => text.one(
            "playhouse_videos_rejected",
            Gauge,
            "Files in the videos folder that are left out.",
            rejected,
        ),
        Observation::Endpoint {
            uploads,
            downloads,
            received,
            sent,
            dropped,
            ..
        } => {
            text.family(
                "playhouse_packetchat_transfers",
                Gauge,
                "Transfers of packetchat.",
            )
            .sample(&[("direction", "upload")], uploads)
            .sample(&[("direction", "download")], downloads);
            text.one(
                "playhouse_packetchat_received_datagrams_total",
                Counter,
                "Datagrams that came.",
                received,
            );
            text.one(
                "playhouse_packetchat_sent_datagrams_total",
                Counter,
                "Datagrams that went out.",
                sent,
            );
            text.one(
                "playhouse_packetchat_dropped_datagrams_total",
                Counter,
                "Datagrams for which the socket had no room.",
                dropped,
            );
        }
        Observation::Uploads { under_way, .. } => text.one(
            "playhouse_http_uploads",
            Gauge,
            "Uploads over HTTP that are not complete.",
            under_way,
        ),
        Observation::PicturePorts {
            open,
            frames,
            missed,
            foreign,
            too_large,
            no_jpeg,
        } => {
            text.one(
                "playhouse_tumip_ports",
                Gauge,
                "Open ports for pictures of tumip.",
                open,
            );
            text.one(
                "playhouse_tumip_frames_total",
                Counter,
                "Pictures that came to them.",
                frames,
            );
            text.family(
                "playhouse_tumip_dropped_datagrams_total",
                Counter,
                "Datagrams that became no picture of a channel.",
            )
            .sample(&[("reason", "channel_busy")], missed)
            .sample(&[("reason", "foreign_address")], foreign)
            .sample(&[("reason", "too_large")], too_large)
            .sample(&[("reason", "no_jpeg")], no_jpeg);
        }
        Observation::HouseBot {
            asked, turned_away, ..
        } => {
            text.one(
                "playhouse_bot_questions_total",
                Counter,
                "Questions to the bot.",
                asked,
            );
            text.one(
                "playhouse_bot_turned_away_total",
                Counter,
                "Questions that it did not take, for too many waited.",
                turned_away,
            );
        }
        Observation::History { messages, .. } => text.one(
            "playhouse_history_messages",
            Gauge,
            "Messages that the house remembers.",
            messages,
        ),
        Observation::AudioSource {
            hearers,
            played,
            silent,
            ..
        } => {
            text.one(
                "playhouse_audio_hearers",
                Gauge,
                "Who hears the sound of the house.",
                hearers,
            );
            text.one(
                "playhouse_audio_buffers_total",
                Counter,
                "Buffers of sound that were played.",
                played,
            );
            text.one(
                "playhouse_audio_silent_buffers_total",
                Counter,
                "Of these, those for which the source had nothing.",
                silent,
            );
        }
        _ => {}
    }
}

/// Those who encrypt and decrypt between services.
fn interpreters(text: &mut Text, vitals: &Vitals) {
    type Count = fn(&Observation) -> Option<(Service, u64)>;
    let counts: [(&'static str, &str, Count); 3] = [
        (
            "playhouse_bridge_encrypted_blocks_total",
            "Blocks that were encrypted for people of a service.",
            |state| match state {
                Observation::Interpreter {
                    service, encrypted, ..
                } => Some((*service, *encrypted)),
                _ => None,
            },
        ),
        (
            "playhouse_bridge_read_blocks_total",
            "Blocks of people of a service that were decrypted for somebody.",
            |state| match state {
                Observation::Interpreter { service, read, .. } => Some((*service, *read)),
                _ => None,
            },
        ),
        (
            "playhouse_bridge_untried_blocks_total",
            "Blocks that were not tried, because too many waited.",
            |state| match state {
                Observation::Interpreter {
                    service, untried, ..
                } => Some((*service, *untried)),
                _ => None,
            },
        ),
    ];
    for (name, help, count) in counts {
        let services = vitals.actors.iter().filter_map(count);
        let named = services.map(|(service, count)| (service.name(), count));
        text.each((name, Kind::Counter, help), "service", named);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_whatever_a_channel_is_called() {
        let mut text = Text::default();
        text.family("a_total", Kind::Counter, "As.")
            .sample(&[("channel", "a \"b\"\\\nc"), ("d", "é")], 7);
        assert_eq!(
            text.text,
            "# HELP a_total As.\n# TYPE a_total counter\na_total{channel=\"a \\\"b\\\"\\\\\\nc\",d=\"é\"} 7\n"
        );
    }
}
