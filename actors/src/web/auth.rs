//! Passwords and sessions. A session is a signed cookie and nothing else: the house remembers none, and a
//! changed password ends those that it opened. A password is checked on a thread of its own, since that
//! takes long by design; one that was right is remembered as long as the house stands.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, COOKIE, HeaderMap};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::Mac;
use playhouse_storage::now_ms;
use tokio::sync::oneshot;

use super::error::ApiError;
use super::guard::Access;
use super::password::{MAX_PASSWORD, is_password};
use super::secret::{Secret, SecretError};
use super::tries::Tries;
use crate::crew::Crew;
use crate::frame_pool::be_nice;
use crate::locks::locked;
use crate::settings::Web;
use crate::slots::{Slot, Slots};

/// Passwords that wait to be checked, the one that is being checked among them.
const WAITING: usize = 8;
/// Bytes of a session: level, end, signature.
const SESSION: usize = 1 + 8 + 32;

/// Why passwords can't be checked.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("no more threads: {0}")]
    Threads(#[from] io::Error),
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    Wrong,
    /// To be tried again after so long.
    TooMany(Duration),
    /// Something of ours broke.
    Broken,
}

impl Denied {
    /// What is answered; `wrong` for a wrong password.
    pub fn told(self, wrong: StatusCode) -> ApiError {
        match self {
            Denied::Wrong => ApiError::new(wrong, "that is not the password"),
            Denied::TooMany(wait) => {
                let error = "too many passwords were tried; try again later";
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, error).after(wait)
            }
            Denied::Broken => ApiError::internal(),
        }
    }
}

type Verdict = Result<Access, Denied>;
type Digest = [u8; 32];

/// The one who knows the passwords.
pub struct Keeper {
    passwords: Arc<Passwords>,
    secret: Secret,
    /// Of the cookie, not that of another house on the same machine.
    cookie: String,
    session: Duration,
    crew: Crew,
    queue: Slots,
    desk: Arc<Mutex<Desk>>,
}

/// As hashes.
struct Passwords {
    person: Option<String>,
    admin: Option<String>,
}

#[derive(Default)]
struct Desk {
    /// Right passwords: there are no more than two.
    known: Vec<(Digest, Access)>,
    /// Passwords that are being checked, with those who wait for it.
    underway: HashMap<Digest, Vec<oneshot::Sender<Verdict>>>,
    tries: Tries,
}

impl Keeper {
    /// That of a house with these settings and this data folder.
    ///
    /// # Errors
    /// The data folder's; no threads.
    pub fn open(settings: &Web, data_dir: &Path) -> Result<Keeper, AuthError> {
        Ok(Keeper::new(settings, Secret::of(data_dir)?)?)
    }

    fn new(settings: &Web, secret: Secret) -> io::Result<Keeper> {
        let name: Digest = secret.sign("cookie").finalize().into_bytes().into();
        Ok(Keeper {
            passwords: Arc::new(Passwords {
                person: settings.password.clone(),
                admin: settings.admin_password.clone(),
            }),
            cookie: format!("playhouse_{}", URL_SAFE_NO_PAD.encode(&name[..6])),
            secret,
            session: settings.session,
            crew: Crew::start("password", 1, be_nice)?,
            queue: Slots::new(WAITING),
            desk: Arc::default(),
        })
    }

    /// Whether the pages are for those who are signed in.
    pub fn needs_password(&self) -> bool {
        self.passwords.person.is_some()
    }

    /// Whether anybody may change the house.
    pub fn has_admin(&self) -> bool {
        self.passwords.admin.is_some()
    }

    /// What whoever sends these headers may do; `None` if it has to sign in.
    ///
    /// # Errors
    /// A password that is not the right one.
    pub async fn access(
        &self,
        headers: &HeaderMap,
        from: IpAddr,
    ) -> Result<Option<Access>, Denied> {
        let signed_in = self.session_of(headers);
        if signed_in == Some(Access::Admin) {
            return Ok(signed_in);
        }
        if let Some(password) = basic(headers).filter(|_| self.needs_password() || self.has_admin())
        {
            return Ok(Some(self.check(&password, from).await?.max(
                // Who is somebody already stays so.
                signed_in.unwrap_or(Access::Person),
            )));
        }
        Ok(self.without_password(headers))
    }

    /// The same by what costs nothing to check.
    pub fn without_password(&self, headers: &HeaderMap) -> Option<Access> {
        let everyone = (!self.needs_password()).then_some(Access::Person);
        self.session_of(headers).or(everyone)
    }

    /// What this password opens.
    ///
    /// # Errors
    /// Nothing; or too many were tried.
    pub async fn check(&self, password: &str, from: IpAddr) -> Verdict {
        if password.is_empty() || password.len() > MAX_PASSWORD {
            return Err(Denied::Wrong);
        }
        let signed = self.secret.sign("password").chain_update(password);
        let answered = {
            let mut desk = locked(&self.desk);
            let mut known = desk.known.iter();
            // In constant time.
            let is_it = |digest: &Digest| signed.clone().verify_slice(digest).is_ok();
            if let Some((_, access)) = known.find(|(digest, _)| is_it(digest)) {
                return Ok(*access);
            }
            let digest: Digest = signed.finalize().into_bytes().into();
            let (answer, answered) = oneshot::channel();
            if let Some(waiting) = desk.underway.get_mut(&digest) {
                waiting.push(answer);
            } else {
                desk.tries
                    .count(from, Instant::now())
                    .map_err(Denied::TooMany)?;
                let Some(slot) = self.queue.take() else {
                    desk.tries.take_back(from);
                    return Err(Denied::TooMany(Duration::from_secs(1)));
                };
                desk.underway.insert(digest, vec![answer]);
                let check = Check {
                    told: false,
                    digest,
                    from,
                    desk: self.desk.clone(),
                    slot: Some(slot),
                };
                let (passwords, password) = (self.passwords.clone(), password.to_owned());
                // Not for whoever asks, who may be gone before it is done: others may wait, too.
                drop(
                    self.crew
                        .run(move || check.done(passwords.opens(&password))),
                );
            }
            answered
        };
        answered.await.unwrap_or(Err(Denied::Broken))
    }

    /// The cookie that keeps somebody signed in; `secure`: never to be sent without encryption.
    pub fn sign_in(&self, access: Access, secure: bool) -> String {
        let lasts = i64::try_from(self.session.as_millis()).unwrap_or(i64::MAX);
        let end = now_ms().saturating_add(lasts);
        let mut session = Vec::with_capacity(SESSION);
        session.push(level(access));
        session.extend(end.to_be_bytes());
        let signature = self.signature(access, &session).finalize().into_bytes();
        session.extend(signature);
        let (text, age) = (URL_SAFE_NO_PAD.encode(session), self.session.as_secs());
        self.set_cookie(&text, age, secure)
    }

    /// The cookie that takes that away.
    pub fn sign_out(&self) -> String {
        self.set_cookie("", 0, false)
    }

    fn set_cookie(&self, text: &str, age: u64, secure: bool) -> String {
        let name = &self.cookie;
        let secure = if secure { "; Secure" } else { "" };
        format!("{name}={text}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
    }

    /// What a cookie among these headers allows.
    fn session_of(&self, headers: &HeaderMap) -> Option<Access> {
        let cookies = headers
            .get_all(COOKIE)
            .filter_map(|line| line.to_str().ok());
        let mut cookies = cookies.flat_map(|line| line.split(';'));
        cookies.find_map(|cookie| {
            let (name, value) = cookie.trim().split_once('=')?;
            (name == self.cookie).then(|| self.opened_by(value))?
        })
    }

    fn opened_by(&self, session: &str) -> Option<Access> {
        if session.len() > 2 * SESSION {
            return None;
        }
        let session = URL_SAFE_NO_PAD.decode(session).ok()?;
        let (signed, signature) = session.split_at_checked(SESSION - 32)?;
        let (&first, end) = signed.split_first()?;
        let access = [Access::Person, Access::Admin]
            .into_iter()
            .find(|access| level(*access) == first)?;
        let end = i64::from_be_bytes(end.try_into().ok()?);
        // In constant time.
        let signed = self.signature(access, signed);
        signed.verify_slice(signature).ok()?;
        let opens = match access {
            Access::Person => self.passwords.person.is_some(),
            Access::Admin => self.passwords.admin.is_some(),
        };
        (opens && now_ms() < end).then_some(access)
    }

    /// Bound to the password that opened it.
    fn signature(&self, access: Access, session: &[u8]) -> hmac::Hmac<sha2::Sha256> {
        let hash = match access {
            Access::Person => &self.passwords.person,
            Access::Admin => &self.passwords.admin,
        };
        let hash = hash.as_deref().unwrap_or_default();
        self.secret
            .sign("session")
            .chain_update(session)
            .chain_update(hash)
    }
}

fn level(access: Access) -> u8 {
    match access {
        Access::Person => 1,
        Access::Admin => 2,
    }
}

impl Passwords {
    /// What a password opens: the admin's first. Takes long.
    fn opens(&self, password: &str) -> Option<Access> {
        let opens = |hash: &Option<String>| {
            hash.as_ref()
                .is_some_and(|hash| is_password(password.as_bytes(), hash))
        };
        if opens(&self.admin) {
            Some(Access::Admin)
        } else {
            opens(&self.person).then_some(Access::Person)
        }
    }
}

/// A password that is being checked. Whoever waits learns what becomes of it in any case.
struct Check {
    told: bool,
    digest: Digest,
    from: IpAddr,
    desk: Arc<Mutex<Desk>>,
    /// Its place in the queue.
    slot: Option<Slot>,
}

impl Check {
    fn done(mut self, opened: Option<Access>) {
        let desk = self.desk.clone();
        let mut desk = locked(&desk);
        if let Some(access) = opened {
            desk.tries.succeeded(self.from);
            desk.known.push((self.digest, access));
        } else {
            tracing::warn!(from = %self.from, "a wrong password for the web service");
        }
        self.tell(&mut desk, opened.ok_or(Denied::Wrong));
    }

    fn tell(&mut self, desk: &mut Desk, verdict: Verdict) {
        // Another check of the same password may begin from here on.
        (self.told, self.slot) = (true, None);
        for waiting in desk.underway.remove(&self.digest).unwrap_or_default() {
            // Who asked may be gone.
            let _ = waiting.send(verdict);
        }
    }
}

impl Drop for Check {
    /// One that panicked.
    fn drop(&mut self) {
        if !self.told {
            let desk = self.desk.clone();
            self.tell(&mut locked(&desk), Err(Denied::Broken));
        }
    }
}

/// The password of HTTP's own way to sign in, under whatever name.
fn basic(headers: &HeaderMap) -> Option<String> {
    let (scheme, rest) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    Some(text.split_once(':')?.1.to_owned())
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
