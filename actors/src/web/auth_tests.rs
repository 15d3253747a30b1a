//! Tests of passwords and sessions.

use std::rc::Rc;

use actix_web::http::header::{HeaderName, HeaderValue};

use super::super::password::hash_password;
use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn settings(person: Option<&str>, admin: Option<&str>) -> Web {
    let hash = |password: &str| hash_password(password).unwrap();
    Web {
        port: 0,
        password: person.map(hash),
        admin_password: admin.map(hash),
        hosts: Vec::new(),
        session: Duration::from_secs(3600),
    }
}

fn keeper(settings: &Web) -> Keeper {
    Keeper::new(settings, Secret::new()).unwrap()
}

/// What becomes of passwords that are all asked about at once.
async fn together(
    house: &Rc<Keeper>,
    asked: impl Iterator<Item = (String, IpAddr)>,
) -> Vec<Verdict> {
    let tasks: Vec<_> = asked
        .map(|(password, from)| {
            let house = house.clone();
            actix_rt::spawn(async move { house.check(&password, from).await })
        })
        .collect();
    let mut verdicts = Vec::new();
    for task in tasks {
        verdicts.push(task.await.unwrap());
    }
    verdicts
}

fn headers(name: HeaderName, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(name, HeaderValue::from_str(value).unwrap());
    headers
}

/// What a browser sends back.
fn cookie(set: &str) -> HeaderMap {
    let (cookie, attributes) = set.split_once(';').unwrap();
    assert!(attributes.contains("HttpOnly") && attributes.contains("SameSite=Strict"));
    headers(COOKIE, &format!("other=1; {cookie}; more=2"))
}

#[actix_web::test]
async fn each_password_opens_what_it_is_for() {
    let keeper = keeper(&settings(Some("friend"), Some("boss")));
    assert_eq!(keeper.check("friend", HERE).await, Ok(Access::Person));
    assert_eq!(keeper.check("boss", HERE).await, Ok(Access::Admin));
    assert_eq!(keeper.check("foe", HERE).await, Err(Denied::Wrong));
    assert_eq!(keeper.check("", HERE).await, Err(Denied::Wrong));
    assert_eq!(keeper.without_password(&HeaderMap::new()), None);
    let boss = headers(
        AUTHORIZATION,
        &format!("Basic {}", STANDARD.encode("x:boss")),
    );
    assert_eq!(keeper.access(&boss, HERE).await, Ok(Some(Access::Admin)));
    let foe = headers(
        AUTHORIZATION,
        &format!("basic {}", STANDARD.encode("x:foe")),
    );
    assert_eq!(keeper.access(&foe, HERE).await, Err(Denied::Wrong));
    for odd in ["Basic", "Basic !", "Bearer eDpib3Nz", "Basic /////w=="] {
        let odd = headers(AUTHORIZATION, odd);
        assert_eq!(keeper.access(&odd, HERE).await, Ok(None));
    }
}

#[actix_web::test]
async fn a_session_is_what_was_signed_and_nothing_else() {
    let mut settings = settings(Some("friend"), Some("boss"));
    let house = keeper(&settings);
    for access in [Access::Person, Access::Admin] {
        let set = house.sign_in(access, false);
        assert_eq!(house.without_password(&cookie(&set)), Some(access));
        // Another house's, and one that somebody has changed.
        assert_eq!(keeper(&settings).without_password(&cookie(&set)), None);
        let (name, value) = set.split_once(';').unwrap().0.split_once('=').unwrap();
        for at in 0..value.len() {
            let mut changed = value.as_bytes().to_vec();
            changed[at] = if changed[at] == b'B' { b'C' } else { b'B' };
            let changed = String::from_utf8(changed).unwrap();
            if changed == value || house.opened_by(&changed) == house.opened_by(value) {
                // The last digit has bits of no meaning, of which one form alone is read.
                assert_eq!(changed, value);
            }
            let sent = headers(COOKIE, &format!("{name}={changed}"));
            assert_eq!(house.without_password(&sent), None, "{at}");
        }
    }
    assert_eq!(house.opened_by(""), None);
    assert_eq!(house.opened_by(&"A".repeat(10_000)), None);
    let old = house.sign_in(Access::Person, true);
    assert!(old.ends_with("; Secure"));
    // Of another password the signature is another one.
    settings.password = hash_password("new friend").ok();
    let Keeper { secret, .. } = house;
    let house = Keeper::new(&settings, secret).unwrap();
    assert_eq!(house.without_password(&cookie(&old)), None);
    settings.session = Duration::ZERO;
    let Keeper { secret, .. } = house;
    let house = Keeper::new(&settings, secret).unwrap();
    let over = house.sign_in(Access::Person, false);
    assert_eq!(house.without_password(&cookie(&over)), None);
}

#[actix_web::test]
async fn without_passwords_everyone_is_somebody_and_nobody_is_admin() {
    let house = keeper(&settings(None, None));
    let none = HeaderMap::new();
    assert_eq!(house.without_password(&none), Some(Access::Person));
    let boss = headers(
        AUTHORIZATION,
        &format!("Basic {}", STANDARD.encode("x:boss")),
    );
    assert_eq!(house.access(&boss, HERE).await, Ok(Some(Access::Person)));
    let forged = house.sign_in(Access::Admin, false);
    assert_eq!(
        house.without_password(&cookie(&forged)),
        Some(Access::Person)
    );
    let house = keeper(&settings(None, Some("boss")));
    assert_eq!(house.without_password(&none), Some(Access::Person));
    assert_eq!(house.access(&boss, HERE).await, Ok(Some(Access::Admin)));
}

#[actix_web::test]
async fn many_who_ask_with_one_password_at_once_are_one_check() {
    let house = Rc::new(keeper(&settings(Some("friend"), None)));
    let asked = (0..100).map(|_| ("friend".to_owned(), HERE));
    for verdict in together(&house, asked).await {
        assert_eq!(verdict, Ok(Access::Person));
    }
    assert_eq!(house.queue.taken(), 0);
}

#[actix_web::test]
async fn wrong_passwords_are_slowed_down_and_the_queue_is_bounded() {
    let house = Rc::new(keeper(&settings(Some("friend"), None)));
    let wrong = |n: u8| (format!("wrong {n}"), HERE);
    let verdicts = together(&house, (0..20).map(wrong)).await;
    let tried = verdicts
        .iter()
        .filter(|v| **v == Err(Denied::Wrong))
        .count();
    assert_eq!(tried, 5, "{verdicts:?}");
    assert!(matches!(verdicts[19], Err(Denied::TooMany(_))));
    // From elsewhere, at once: no more than the queue takes.
    let from = |n: u8| (format!("wrong {n}"), IpAddr::from([10, 0, 0, n]));
    let verdicts = together(&house, (0..50).map(from)).await;
    let tried = verdicts
        .iter()
        .filter(|v| **v == Err(Denied::Wrong))
        .count();
    assert!((WAITING..50).contains(&tried), "{verdicts:?}");
    // Somebody else still gets in.
    assert_eq!(
        house.check("friend", IpAddr::from([10, 0, 1, 1])).await,
        Ok(Access::Person)
    );
    // Once known, it costs nothing, and is not slowed down.
    assert_eq!(house.check("friend", HERE).await, Ok(Access::Person));
}
