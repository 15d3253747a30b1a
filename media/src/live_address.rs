//! What an operator writes to name a live source, taken apart; and how it is shown without its secrets.

use std::path::PathBuf;

use crate::live_error::LiveError;

/// What a source may be read from over the network.
const SCHEMES: [&str; 18] = [
    "rtsp", "rtsps", "rtmp", "rtmps", "rtmpe", "rtmpt", "rtmpts", "http", "https", "tcp", "tls",
    "udp", "rtp", "srtp", "srt", "rist", "mmsh", "mmst",
];
/// What these are carried by, or refer to. No files: a playlist could name any.
const CARRIERS: [&str; 3] = ["httpproxy", "crypto", "data"];
const DEVICE: &str = "device:";
/// The one device that makes its pictures and sound itself, whenever it is asked.
const GENERATOR: &str = "lavfi";

/// A source's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    File(PathBuf),
    Network(String),
    Device { format: String, name: String },
}

impl Address {
    /// # Errors
    /// The scheme isn't one for the network, or the device's format or name is missing.
    pub fn parse(url: &str) -> Result<Address, LiveError> {
        if let Some(device) = url.strip_prefix(DEVICE) {
            return match device.split_once(':') {
                Some((format, name)) if !format.is_empty() && !name.is_empty() => {
                    Ok(Address::Device {
                        format: format.to_owned(),
                        name: name.to_owned(),
                    })
                }
                _ => Err(LiveError::DeviceName {
                    address: url.to_owned(),
                }),
            };
        }
        match url.split_once("://") {
            Some((scheme, _)) if SCHEMES.contains(&scheme) => Ok(Address::Network(url.to_owned())),
            Some((scheme, _)) if is_scheme(scheme) => Err(LiveError::Scheme {
                scheme: scheme.to_owned(),
                known: SCHEMES.join(", "),
            }),
            _ => Ok(Address::File(url.into())),
        }
    }

    /// Whether pictures and sound are made as fast as they are taken.
    pub fn is_generator(&self) -> bool {
        matches!(self, Address::Device { format, .. } if format == GENERATOR)
    }
}

/// Whether `url` names a live source that [`LiveInput::open`](crate::LiveInput::open) or
/// [`AudioInput::open`](crate::AudioInput::open) can try. Nothing is opened, and no file looked for.
///
/// # Errors
/// `Scheme` or `DeviceName`.
pub fn check_live_address(url: &str) -> Result<(), LiveError> {
    Address::parse(url).map(|_| ())
}

/// What FFmpeg may open for a network source, separated by commas.
pub(crate) fn protocols() -> String {
    [&SCHEMES[..], &CARRIERS].concat().join(",")
}

/// Whether text before `://` can be a scheme at all, and isn't part of a path.
fn is_scheme(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(known)
}

/// An address as it may be logged: without user, password and query, which may hold a password too. Rather
/// too much is left out than too little.
pub fn hide_secrets(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (user, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => ("…@", rest),
        None => ("", rest),
    };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, _)) => (rest, "?…"),
        None => (rest, ""),
    };
    format!("{scheme}://{user}{rest}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_file_a_device_or_on_the_network() {
        for path in [
            "a.mp4",
            "/a/b.mp4",
            "c:d.mp4",
            "./rtsp://x",
            "x/y://z",
            "://x",
            "",
            "ä://x",
        ] {
            assert_eq!(
                Address::parse(path).unwrap(),
                Address::File(path.into()),
                "{path}"
            );
        }
        for url in ["rtsp://h/x", "srt://h:1?mode=listener", "udp://@:1234"] {
            assert_eq!(
                Address::parse(url).unwrap(),
                Address::Network(url.to_owned())
            );
        }
        let device = Address::parse("device:lavfi:testsrc=size=1x1:rate=2").unwrap();
        assert!(device.is_generator());
        let (format, name) = ("lavfi".to_owned(), "testsrc=size=1x1:rate=2".to_owned());
        assert_eq!(device, Address::Device { format, name });
    }

    #[test]
    fn what_is_no_address_is_refused_by_name() {
        for url in ["file:///etc/passwd", "concat://a", "gopher://x", "RTSP://x"] {
            let error = Address::parse(url).unwrap_err();
            assert!(matches!(error, LiveError::Scheme { .. }), "{url}");
            assert!(error.to_string().contains("rtsp, rtsps"), "{error}");
        }
        for url in ["device:", "device:v4l2", "device:v4l2:", "device::x"] {
            let error = Address::parse(url).unwrap_err();
            assert!(matches!(error, LiveError::DeviceName { .. }), "{url}");
        }
        assert!(check_live_address("gopher://x").is_err());
        assert!(check_live_address("/nowhere/at/all").is_ok());
    }

    #[test]
    fn secrets_are_hidden() {
        for (url, shown) in [
            ("rtsp://anna:secret@cam:554/1", "rtsp://…@cam:554/1"),
            ("rtsp://anna:sec@ret@cam/1", "rtsp://…@cam/1"),
            ("rtsp://anna:sec/r?et@cam/1", "rtsp://…@cam/1"),
            ("srt://cam:9?passphrase=secret", "srt://cam:9?…"),
            ("http://cam/x?token=secret@1", "http://…@1"),
            ("tcp://cam:1", "tcp://cam:1"),
            ("films/a@b?.mp4", "films/a@b?.mp4"),
        ] {
            assert_eq!(hide_secrets(url), shown);
        }
    }
}
