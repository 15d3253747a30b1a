//! Under which names browsers may come, and from which pages. A site of somebody else can point its name at
//! this house, and any site can send requests here: neither gets an answer.

use std::net::{IpAddr, Ipv6Addr};

use actix_http::RequestHead;
use actix_web::http::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use actix_web::http::{Method, StatusCode, Version};

use super::error::ApiError;

/// Names that end so are those of a local network, which nobody can register.
const LOCAL: [&str; 7] = [
    ".localhost",
    ".local",
    ".lan",
    ".home",
    ".home.arpa",
    ".internal",
    ".intranet",
];

/// Checks under which name a request comes.
///
/// # Errors
/// None, or one that is not ours.
pub fn check_host(head: &RequestHead, hosts: &[String]) -> Result<(), ApiError> {
    let mut named = head.headers().get_all(HOST);
    let (host, another) = (named.next(), named.next());
    if another.is_some() || (host.is_none() && head.version >= Version::HTTP_11) {
        return Err(ApiError::bad("a request has one Host"));
    }
    let host = host.map(|host| host.to_str().unwrap_or_default());
    // As proxies are asked, which takes the place of Host.
    let asked = head.uri.authority().map(|authority| authority.as_str());
    match host
        .into_iter()
        .chain(asked)
        .find(|host| !is_ours(host, hosts))
    {
        None => Ok(()),
        Some(host) => Err(ApiError::new(
            StatusCode::MISDIRECTED_REQUEST,
            format!(
                "this house does not go by the name {:?}; its operator may add it to web.hosts",
                name_of(host).unwrap_or(host)
            ),
        )
        .by("web.hosts")),
    }
}

/// Checks which page sends a request that changes something or goes on as a WebSocket.
///
/// # Errors
/// Another site's.
pub fn check_origin(head: &RequestHead) -> Result<(), ApiError> {
    let foreign = || ApiError::forbidden("pages of other sites may not do that").by("Origin");
    let site = HeaderName::from_static("sec-fetch-site");
    let site = text(head.headers(), &site);
    if matches!(site, Some("cross-site" | "same-site")) {
        return Err(foreign());
    }
    let mut origins = head.headers().get_all(ORIGIN);
    let (Some(origin), another) = (origins.next(), origins.next()) else {
        return Ok(());
    };
    let (origin, host) = (origin.to_str().ok(), text(head.headers(), &HOST));
    match (origin.and_then(origin_authority), host) {
        (Some((origin, port)), Some(host))
            if another.is_none()
                && without(origin, port).eq_ignore_ascii_case(without(host, port)) =>
        {
            Ok(())
        }
        _ => Err(foreign()),
    }
}

/// Whether requests with this method change nothing.
pub fn is_harmless(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The authority of an origin, and what its scheme's own port looks like behind it.
fn origin_authority(origin: &str) -> Option<(&str, &'static str)> {
    let http = origin.strip_prefix("http://").map(|rest| (rest, ":80"));
    http.or_else(|| origin.strip_prefix("https://").map(|rest| (rest, ":443")))
}

fn without<'a>(authority: &'a str, port: &str) -> &'a str {
    authority.strip_suffix(port).unwrap_or(authority)
}

fn is_ours(host: &str, hosts: &[String]) -> bool {
    let Some(name) = name_of(host) else {
        return false;
    };
    if let Some(address) = name.strip_prefix('[') {
        let address = address.strip_suffix(']');
        return address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let is_word = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    name.parse::<IpAddr>().is_ok()
        || (is_word && (!name.contains('.') || LOCAL.iter().any(|end| name.ends_with(end))))
        || hosts.iter().any(|host| host.eq_ignore_ascii_case(&name))
}

/// A host without its port.
fn name_of(host: &str) -> Option<&str> {
    let (name, port) = match host.rfind(']') {
        Some(end) => host.split_at(end + 1),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.is_empty() || port.parse::<u16>().is_ok());
    is_port.then_some(name)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn names_of_local_networks_are_ours_and_others_are_not() {
        let hosts = ["play.example.org".to_owned()];
        for host in [
            "127.0.0.1:8080",
            "192.168.1.2",
            "[::1]:8080",
            "[fd00::1]",
            "localhost:8080",
            "LOCALHOST",
            "playhouse",
            "playhouse.local:80",
            "playhouse.local.",
            "a.b.home.arpa",
            "x.internal",
            "Play.Example.org:8080",
        ] {
            assert!(is_ours(host, &hosts), "{host}");
        }
        for host in [
            "",
            ".",
            ":8080",
            "example.org",
            "example.org:8080",
            "evil.play.example.org",
            "play.example.org.evil.com",
            "127.0.0.1.evil.com",
            "local.evil.com",
            "localhost:port",
            "localhost:99999",
            "[::1",
            "[evil.com]",
            "[::1]x",
            "a b",
            "evil.com@localhost.",
            "user@playhouse",
        ] {
            assert!(!is_ours(host, &hosts), "{host}");
        }
    }

    fn from_page(origin: &str, host: &str) -> bool {
        let request = TestRequest::default()
            .insert_header((ORIGIN, origin))
            .insert_header((HOST, host))
            .to_srv_request();
        check_origin(request.head()).is_ok()
    }

    #[test]
    fn only_the_pages_own_origin_changes_something() {
        assert!(from_page("http://localhost:8080", "localhost:8080"));
        assert!(from_page("http://LocalHost:8080", "localhost:8080"));
        assert!(from_page("http://playhouse", "playhouse:80"));
        assert!(from_page("https://play.example.org", "play.example.org"));
        assert!(from_page("http://[::1]:8080", "[::1]:8080"));
        for origin in [
            "null",
            "",
            "http://evil.com",
            "http://localhost",
            "http://localhost:8081",
            "ftp://localhost:8080",
            "http://localhost:8080.evil.com",
            "http://localhost:8080/",
        ] {
            assert!(!from_page(origin, "localhost:8080"), "{origin}");
        }
    }

    #[test]
    fn a_browser_that_names_another_site_is_believed() {
        let site = |site: &str| {
            let request = TestRequest::default()
                .insert_header(("sec-fetch-site", site))
                .insert_header((HOST, "localhost"))
                .to_srv_request();
            check_origin(request.head()).is_ok()
        };
        assert!(site("same-origin") && site("none"));
        assert!(!site("cross-site") && !site("same-site"));
    }
}
