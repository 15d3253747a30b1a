//! Stand-ins: for a service whose people have keys, everyone of another service has a key that the house
//! holds, so that what is encrypted for it can be read and handed on.
//!
//! A key pair for each person would cost 30 to 300 ms each time somebody comes. So all stand-ins of one
//! service share a modulus, of which the house alone knows the factors, and each has a public exponent of
//! its own, a prime. What is said against a shared modulus is that who holds one private key can make all
//! others, and that the same padded text under two exponents can be read: the house holds all of them, and
//! padding is random.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use playhouse_protocols::wire::person_entry;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, RsaPrivateKey, RsaPublicKey};

use crate::house_key::{HouseKeyError, KeyFile, key};
use crate::language::{Language, Secrecy};
use crate::locks::locked;
use crate::messages::{Person, Service};

/// No exponent is smaller, as is usual.
const FIRST_EXPONENT: u32 = 65_537;
/// People who are in no list any more, but were a moment ago: somebody may still write to them.
const LATELY: usize = 64;

/// What all stand-ins of one service share.
pub struct Modulus {
    pub service: Service,
    pub secrecy: &'static Secrecy,
    /// A key pair whose exponent nobody uses.
    key: RsaPrivateKey,
    shown: Mutex<Shown>,
}

/// Whose stand-ins people may write to.
#[derive(Default)]
struct Shown {
    now: Arc<[Arc<Person>]>,
    /// Newest first.
    lately: Vec<Arc<Person>>,
}

/// The stand-ins of the house.
pub struct StandIns {
    pub moduli: Vec<Modulus>,
    exponent: AtomicU32,
}

impl StandIns {
    /// Stand-ins for the services among these whose people have keys. What is missing in the data folder is
    /// made, all at once.
    ///
    /// # Errors
    /// A file can't be read, written or understood.
    pub fn open(data_dir: &Path, languages: &[Language]) -> Result<StandIns, HouseKeyError> {
        let with_keys = languages
            .iter()
            .filter_map(|language| Some((language.service, language.secrecy?)));
        let moduli = thread::scope(|scope| {
            let made: Vec<_> = with_keys
                .map(|(service, secrecy)| {
                    let file = KeyFile {
                        name: secrecy.file,
                        bits: secrecy.bits,
                    };
                    (service, secrecy, scope.spawn(move || key(data_dir, file)))
                })
                .collect();
            let modulus = |(service, secrecy, key): (_, _, thread::ScopedJoinHandle<'_, _>)| {
                let lost = |_| HouseKeyError::Generate("its thread panicked".to_owned());
                Ok(Modulus {
                    service,
                    secrecy,
                    key: key.join().map_err(lost)??,
                    shown: Mutex::default(),
                })
            };
            made.into_iter()
                .map(modulus)
                .collect::<Result<_, HouseKeyError>>()
        })?;
        Ok(StandIns {
            moduli,
            exponent: AtomicU32::new(FIRST_EXPONENT),
        })
    }

    pub fn of(&self, service: Service) -> Option<&Modulus> {
        self.moduli
            .iter()
            .find(|modulus| modulus.service == service)
    }

    /// An exponent that nobody had since the house is open.
    pub fn exponent(&self) -> u32 {
        loop {
            let candidate = self.exponent.fetch_add(2, Ordering::Relaxed);
            let fits = |modulus: &Modulus| modulus.has_inverse(candidate);
            if candidate > FIRST_EXPONENT && is_prime(candidate) && self.moduli.iter().all(fits) {
                return candidate;
            }
        }
    }

    /// How the lists of other services show somebody of `service`, each with its key.
    pub fn entries(
        &self,
        service: Service,
        shown: &str,
        exponent: u32,
    ) -> Box<[(Service, Box<[u8]>)]> {
        let others = self.moduli.iter().filter(|other| other.service != service);
        others
            .filter_map(|other| {
                let key = other.public(exponent)?;
                let entry = person_entry(shown, &(other.secrecy.pem)(&key)?);
                Some((other.service, entry.into()))
            })
            .collect()
    }

    /// Somebody is gone: nobody writes to this person any more.
    pub fn forget(&self, person: u64) {
        for modulus in &self.moduli {
            let mut shown = locked(&modulus.shown);
            shown.lately.retain(|other| other.id != person);
            if shown.now.iter().any(|other| other.id == person) {
                let left = shown.now.iter().filter(|other| other.id != person);
                shown.now = left.cloned().collect();
            }
        }
    }
}

impl Modulus {
    /// Bytes of a block.
    pub fn block(&self) -> usize {
        self.key.size()
    }

    /// Whether there is a private key for this public exponent.
    fn has_inverse(&self, exponent: u32) -> bool {
        // A prime has one unless it divides a factor of φ.
        let one = BigUint::from(1_u32);
        let divides = |prime: &BigUint| (prime - &one) % exponent == BigUint::default();
        !self.key.primes().iter().any(divides)
    }

    fn public(&self, exponent: u32) -> Option<RsaPublicKey> {
        RsaPublicKey::new(self.key.n().clone(), exponent.into()).ok()
    }

    /// The key pair of the stand-in with this exponent.
    pub fn private(&self, exponent: u32) -> Option<RsaPrivateKey> {
        RsaPrivateKey::from_primes(self.key.primes().to_vec(), exponent.into()).ok()
    }

    /// The list shows these now.
    pub fn show(&self, people: Vec<Arc<Person>>) {
        let mut shown = locked(&self.shown);
        let is_shown = |person: &Arc<Person>| people.iter().any(|other| other.id == person.id);
        let gone: Vec<_> = shown
            .now
            .iter()
            .filter(|person| !is_shown(person))
            .cloned()
            .collect();
        shown.lately.retain(|person| !is_shown(person));
        shown.lately.splice(0..0, gone);
        shown.lately.truncate(LATELY);
        shown.now = people.into();
    }

    /// Whose stand-ins somebody may have written to, likely ones first.
    pub fn candidates(&self) -> Vec<Arc<Person>> {
        let shown = locked(&self.shown);
        shown.now.iter().chain(&shown.lately).cloned().collect()
    }
}

fn is_prime(odd: u32) -> bool {
    (3..)
        .step_by(2)
        .take_while(|d| d * d <= u64::from(odd))
        .all(|d| u64::from(odd) % d != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chatroom, videochat};

    fn stand_ins(folder: &Path) -> StandIns {
        StandIns::open(folder, &[videochat::LANGUAGE, chatroom::LANGUAGE]).unwrap()
    }

    #[test]
    fn everyone_has_a_key_that_no_other_opens() {
        let folder = tempfile::tempdir().unwrap();
        let stand_ins = stand_ins(folder.path());
        let exponents = [stand_ins.exponent(), stand_ins.exponent()];
        assert_eq!(exponents, [65_539, 65_543]);
        for modulus in &stand_ins.moduli {
            let padding = modulus.secrecy.padding;
            assert_eq!(modulus.block(), modulus.secrecy.bits / 8);
            let [one, other] = exponents.map(|exponent| modulus.private(exponent).unwrap());
            let block = padding.encrypt(&modulus.public(exponents[0]).unwrap(), b"hello");
            let block = block.unwrap();
            assert_eq!(padding.decrypt(&one, &block).as_deref(), Some("hello"));
            assert_eq!(padding.decrypt(&other, &block), None);
        }
    }

    #[test]
    fn the_modulus_outlives_a_restart_and_lists_show_a_key_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let entries = || stand_ins(folder.path()).entries(Service::Web, "anna@web", 65_539);
        let first = entries();
        assert_eq!(first, entries());
        assert_eq!(first.len(), 2);
        for (service, entry) in first {
            let object = [b"{", &*entry, b"}"].concat();
            let people: std::collections::HashMap<String, String> =
                serde_json::from_slice(&object).unwrap();
            let secrecy = match service {
                Service::Videochat => videochat::LANGUAGE.secrecy,
                _ => chatroom::LANGUAGE.secrecy,
            };
            let key = (secrecy.unwrap().parse)(&people["anna@web"]).unwrap();
            assert_eq!(*key.e(), BigUint::from(65_539_u32));
        }
    }

    #[test]
    fn exponents_are_primes() {
        let primes: Vec<u32> = (65_537..65_600)
            .step_by(2)
            .filter(|n| is_prime(*n))
            .collect();
        assert_eq!(
            primes,
            [
                65_537, 65_539, 65_543, 65_551, 65_557, 65_563, 65_579, 65_581, 65_587, 65_599
            ]
        );
        assert!(is_prime(4_294_967_291) && !is_prime(4_294_967_295));
    }
}
