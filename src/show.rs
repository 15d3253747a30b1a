//! What is printed: tables for people, JSON for programs, progress.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::time::Duration;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{ContentArrangement, Table};
use playhouse_actors::Service;
use playhouse_media::{Catalogue, Clip};
use serde_json::json;

/// Prints a text and a line end. Whoever reads only the beginning of it, as `head` does, is fine.
///
/// # Errors
/// Standard output's.
pub fn print(text: impl Display) -> io::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    table
}

/// Which service listens where, what it is, and how to connect.
pub fn services_table(services: &[(Service, SocketAddr)]) -> Table {
    let mut rows = table(&["service", "address", "what it is", "how to connect"]);
    for (service, address) in services {
        let what = match service {
            Service::Videochat => "encrypted chat, videos of rising quality",
            Service::Chatroom => "encrypted chat, videos of rising quality",
        };
        // From this machine; 0.0.0.0 is no address to connect to.
        let ip = address.ip();
        let host = match ip.is_unspecified() {
            true => "localhost".to_owned(),
            false if ip.is_ipv6() => format!("[{ip}]"),
            false => ip.to_string(),
        };
        let how = format!("clients/{service} {host}:{}", address.port());
        rows.add_row([
            service.name().to_owned(),
            address.to_string(),
            what.to_owned(),
            how,
        ]);
    }
    rows
}

/// The catalogue, a line a file.
pub fn catalogue_table(catalogue: &Catalogue) -> String {
    let mut rows = table(&[
        "video", "quality", "size", "frames", "rate", "duration", "bytes", "sound", "warnings",
    ]);
    for video in catalogue.videos.values() {
        for (i, clip) in video.clips.iter().enumerate() {
            rows.add_row([
                if i == 0 {
                    video.name.clone()
                } else {
                    String::new()
                },
                clip.quality.clone(),
                format!("{} × {}", clip.width, clip.height),
                clip.frame_count().to_string(),
                format!("{:.2}/s", clip.frame_rate),
                seconds(clip.duration),
                bytes(clip.bytes),
                if clip.has_sound { "yes" } else { "" }.to_owned(),
                warnings(catalogue, clip).join("; "),
            ]);
        }
    }
    let mut text = format!("{rows}\n{} videos", catalogue.videos.len());
    for reject in &catalogue.rejected {
        // Whoever named the file may have put anything into the name.
        let name = reject.file_name.escape_debug();
        let reason = reject
            .reason
            .rsplit_once(&format!("{}: ", reject.file_name));
        let reason = reason.map_or(&*reject.reason, |(_, reason)| reason);
        text.push_str(&format!(
            "
left out: {name}: {reason}"
        ));
    }
    text
}

/// The catalogue as JSON.
///
/// # Errors
/// None that is known of; passed on from the library.
pub fn catalogue_json(catalogue: &Catalogue) -> serde_json::Result<String> {
    let clip = |clip: &Clip| {
        json!({
            "file": clip.file_name,
            "quality": clip.quality,
            "width": clip.width,
            "height": clip.height,
            "frames": clip.frame_count(),
            "frame_rate": clip.frame_rate,
            "duration_s": clip.duration.as_secs_f64(),
            "bytes": clip.bytes,
            "sound": clip.has_sound,
            "warnings": warnings(catalogue, clip),
        })
    };
    let videos: Vec<_> = catalogue
        .videos
        .values()
        .map(|video| {
            let qualities: Vec<_> = video.clips.iter().map(|c| clip(c)).collect();
            json!({"name": video.name, "frames": video.frame_count(), "qualities": qualities})
        })
        .collect();
    let rejected: Vec<_> = catalogue
        .rejected
        .iter()
        .map(|reject| json!({"file": reject.file_name, "reason": reject.reason}))
        .collect();
    serde_json::to_string_pretty(&json!({"videos": videos, "rejected": rejected}))
}

fn warnings<'a>(catalogue: &'a Catalogue, clip: &Clip) -> Vec<&'a str> {
    let of_clip = |w: &&playhouse_media::Warning| w.file_name == clip.file_name;
    catalogue
        .warnings
        .iter()
        .filter(of_clip)
        .map(|w| w.reason.as_str())
        .collect()
}

fn seconds(duration: Duration) -> String {
    let tenths = (duration.as_millis() + 50) / 100;
    format!("{}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10)
}

fn bytes(n: u64) -> String {
    match n {
        0..10_000 => format!("{n} B"),
        10_000..10_000_000 => format!("{} kB", n / 1000),
        _ => format!("{} MB", n / 1_000_000),
    }
}

/// Progress of something that may take long: a bar where a terminal is looked at.
pub struct Progress {
    what: &'static str,
    on_terminal: bool,
}

impl Progress {
    pub fn new(what: &'static str) -> Progress {
        Progress {
            what,
            on_terminal: io::stderr().is_terminal(),
        }
    }

    /// So many are done.
    pub fn at(&mut self, done: usize, of: usize) {
        if !self.on_terminal {
            return;
        }
        const WIDTH: usize = 30;
        let full = (done * WIDTH).checked_div(of).unwrap_or(WIDTH);
        let bar = "█".repeat(full) + &"░".repeat(WIDTH - full);
        let end = if done == of { "\r\x1b[K" } else { "" };
        let mut err = io::stderr();
        // A bar that can't be drawn is no loss.
        let _ = write!(err, "\r{} {bar} {done}/{of}{end}", self.what);
        let _ = err.flush();
    }
}
