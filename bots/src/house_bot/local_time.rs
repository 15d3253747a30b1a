//! The time of day where the server stands.

use jiff::Zoned;

/// Placeholders in sentences about the time.
pub(super) const TIME: &[&str] = &["time", "date", "zone"];

/// The values of [`TIME`]: `18:05`, `Friday, 21 November 2025`, `CET (UTC+01:00)`.
pub(super) fn values(now: &Zoned) -> [String; 3] {
    [
        now.strftime("%H:%M").to_string(),
        now.strftime("%A, %-d %B %Y").to_string(),
        zone(now),
    ]
}

fn zone(now: &Zoned) -> String {
    let name = now.strftime("%Z").to_string();
    let offset = now.strftime("UTC%:z").to_string();
    match name.as_str() {
        "UTC" => name,
        // Many zones have no letters.
        _ if !name.starts_with(char::is_alphabetic) => offset,
        _ => format!("{name} ({offset})"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::DateTime;
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn the_zone_is_named() {
        let noon: DateTime = "2025-07-01T12:05".parse().unwrap();
        for (zone, expected) in [
            ("UTC0", "UTC"),
            ("EST5EDT,M3.2.0,M11.1.0", "EDT (UTC-04:00)"),
            ("<+0545>-5:45", "UTC+05:45"),
        ] {
            let now = noon.to_zoned(TimeZone::posix(zone).unwrap()).unwrap();
            assert_eq!(values(&now), ["12:05", "Tuesday, 1 July 2025", expected]);
        }
    }
}
