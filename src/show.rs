//! What is printed: tables for people, JSON for programs, progress.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::time::Duration;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{ContentArrangement, Table};
use playhouse_actors::{Service, TcpService};
use playhouse_media::{Catalogue, Clip};
use playhouse_storage::StoredFile;
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
pub fn services_table(services: &[(Service, SocketAddr)], own: &[TcpService]) -> Table {
    let mut rows = table(&["service", "address", "what it is", "how to connect"]);
    for (service, address) in services {
        let what = match service {
            Service::Videochat => "encrypted chat, videos of rising quality",
            Service::Chatroom => "encrypted chat, videos of rising quality",
            Service::Packetchat => "messages and files over UDP",
            Service::Tumip => "a camera's pictures, and a bot to ask",
            Service::LanFile => "a file for whoever connects",
            Service::LanChat => "plain chat",
            Service::LanAudio => "the sound of the house",
            Service::LanVideo => "takes cameras' pictures",
            Service::Web => "all of it in a browser",
            Service::House | Service::Other(_) => {
                let own = own.iter().find(|own| own.service == *service);
                own.map_or("", |own| own.about)
            }
        };
        // From this machine; 0.0.0.0 is no address to connect to.
        let ip = address.ip();
        let host = match ip.is_unspecified() {
            true => "localhost".to_owned(),
            false if ip.is_ipv6() => format!("[{ip}]"),
            false => ip.to_string(),
        };
        let source = match service {
            Service::LanVideo => " --camera",
            _ => "",
        };
        let port = address.port();
        let how = match service {
            Service::Web => format!("http://{host}:{port}"),
            Service::House | Service::Other(_) => format!("{host}:{port}"),
            _ => format!("clients/{service} {host}:{port}{source}"),
        };
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
    let mut text = format!("{rows}\n{}", count(catalogue.videos.len(), "video"));
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

/// The files, a line each.
pub fn files_table(files: &[StoredFile]) -> String {
    let mut rows = table(&["number", "name", "size", "added", "SHA-256"]);
    for file in files {
        let mut sha256 = hex(&file.sha256);
        sha256.truncate(12);
        rows.add_row([
            number(file),
            shortened(file.label()),
            bytes(file.size),
            utc(file.added_ms),
            sha256,
        ]);
    }
    let sum = bytes(files.iter().map(|file| file.size).sum());
    format!("{rows}\n{}, {sum}", count(files.len(), "file"))
}

/// What a table has room for; the rest becomes an ellipsis.
fn shortened(mut label: String) -> String {
    const MOST: usize = 60;
    if label.chars().count() > MOST {
        let end = label.char_indices().nth(MOST - 1);
        label.truncate(end.map_or(0, |(end, _)| end));
        label.push('…');
    }
    label
}

/// The files as JSON.
///
/// # Errors
/// None that is known of; passed on from the library.
pub fn files_json(files: &[StoredFile]) -> serde_json::Result<String> {
    let files: Vec<_> = files
        .iter()
        .map(|file| {
            json!({
                "number": number(file),
                "name": file.label(),
                "size": file.size,
                "added": utc(file.added_ms),
                "sha256": hex(&file.sha256),
            })
        })
        .collect();
    serde_json::to_string_pretty(&json!({"files": files}))
}

/// A file's number as it is shown and typed.
pub fn number(file: &StoredFile) -> String {
    format!("{:016x}", file.number)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Milliseconds since 1970 as ISO 8601 has them, to the second.
fn utc(ms: i64) -> String {
    let seconds = ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years that begin in March, so that a leap day is the last of its year; 400 of them have 146,097 days.
    let from_march = days + 719_468;
    let (era, day) = (
        from_march.div_euclid(146_097),
        from_march.rem_euclid(146_097),
    );
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn seconds(duration: Duration) -> String {
    let tenths = (duration.as_millis() + 50) / 100;
    format!("{}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10)
}

/// How many there are of what has a plural in -s.
fn count(n: usize, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {what}{s}")
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
        self.draw(done as u64, of as u64, |n| n.to_string());
    }

    /// So many bytes are done.
    pub fn at_bytes(&mut self, done: u64, of: u64) {
        self.draw(done, of, bytes);
    }

    fn draw(&mut self, done: u64, of: u64, text: impl Fn(u64) -> String) {
        if !self.on_terminal {
            return;
        }
        const WIDTH: u64 = 30;
        let full = done.saturating_mul(WIDTH).checked_div(of).unwrap_or(WIDTH);
        let bar: String = (0..WIDTH)
            .map(|i| if i < full { '█' } else { '░' })
            .collect();
        let end = if done == of { "\r\x1b[K" } else { "" };
        let mut err = io::stderr();
        // A bar that can't be drawn is no loss. The number may become shorter.
        let (what, done, of) = (self.what, text(done), text(of));
        let _ = write!(err, "\r{what} {bar} {done}/{of}\x1b[K{end}");
        let _ = err.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::{count, shortened, utc};

    #[test]
    fn one_is_no_plural() {
        assert_eq!(count(0, "file"), "0 files");
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(2, "file"), "2 files");
    }

    #[test]
    fn long_names_are_shortened() {
        for fits in [String::new(), "a".repeat(60), "é".repeat(60)] {
            assert_eq!(shortened(fits.clone()), fits);
        }
        assert_eq!(shortened("é".repeat(61)), "é".repeat(59) + "…");
    }

    #[test]
    fn times_are_iso_8601() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_399_999, "2000-02-28T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (951_868_800_000, "2000-03-01T00:00:00Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(ms), text);
        }
    }
}
