//! Who has tried wrong passwords, and how long each address waits for the next try.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Wrong passwords that cost no time.
const FREE: u32 = 5;
/// The first wait; each wrong password after that doubles it …
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// … up to this one.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// An address is forgotten when it has not tried for so long.
const FORGET: Duration = Duration::from_secs(900);
/// Addresses that are remembered.
const REMEMBERED: usize = 4096;

/// Wrong passwords of each address.
#[derive(Default)]
pub struct Tries(HashMap<IpAddr, (u32, Instant)>);

impl Tries {
    /// Counts a try, as a wrong one until [`Tries::succeeded`].
    ///
    /// # Errors
    /// How long this address has to wait.
    pub fn count(&mut self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let from = network(from);
        if let Some((wrong, last)) = self.0.get_mut(&from) {
            let since = now.saturating_duration_since(*last);
            if since >= FORGET {
                *wrong = 0;
            }
            let left = wait(*wrong).saturating_sub(since);
            if !left.is_zero() {
                return Err(left);
            }
            (*wrong, *last) = (*wrong + 1, now);
            return Ok(());
        }
        if self.0.len() >= REMEMBERED {
            self.0
                .retain(|_, (_, last)| now.saturating_duration_since(*last) < FORGET);
        }
        if self.0.len() >= REMEMBERED {
            let oldest = self.0.iter().min_by_key(|(_, (_, last))| *last);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                self.0.remove(&oldest);
            }
        }
        self.0.insert(from, (1, now));
        Ok(())
    }

    /// This address knows the password.
    pub fn succeeded(&mut self, from: IpAddr) {
        self.0.remove(&network(from));
    }

    /// A try was none after all.
    pub fn take_back(&mut self, from: IpAddr) {
        if let Some((wrong, _)) = self.0.get_mut(&network(from)) {
            *wrong = wrong.saturating_sub(1);
        }
    }
}

fn wait(wrong: u32) -> Duration {
    match wrong.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(more) => FIRST_WAIT
            .saturating_mul(1 << more.min(16))
            .min(LONGEST_WAIT),
    }
}

/// One person has a whole network of IPv6 addresses.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::from((u128::from(ip) & !u128::from(u64::MAX)).to_be_bytes()),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_tries_often_waits_longer_and_longer() {
        let (mut tries, mut now) = (Tries::default(), Instant::now());
        let (one, other): (IpAddr, IpAddr) =
            ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        for _ in 0..FREE {
            tries.count(one, now).unwrap();
        }
        assert_eq!(tries.count(one, now), Err(FIRST_WAIT));
        tries.count(other, now).unwrap();
        now += FIRST_WAIT;
        tries.count(one, now).unwrap();
        assert_eq!(tries.count(one, now), Err(2 * FIRST_WAIT));
        for _ in 0..10 {
            now += LONGEST_WAIT;
            tries.count(one, now).unwrap();
        }
        assert_eq!(tries.count(one, now), Err(LONGEST_WAIT));
        tries.succeeded(one);
        tries.count(one, now).unwrap();
    }

    #[test]
    fn a_network_of_addresses_is_one_and_the_table_is_bounded() {
        let (mut tries, now) = (Tries::default(), Instant::now());
        for n in 0..FREE {
            let ip = format!("2001:db8::{n}").parse().unwrap();
            tries.count(ip, now).unwrap();
        }
        tries
            .count("2001:db8::ffff".parse().unwrap(), now)
            .unwrap_err();
        tries
            .count("2001:db8:0:1::1".parse().unwrap(), now)
            .unwrap();
        for n in 0..2 * u32::try_from(REMEMBERED).unwrap() {
            tries.count(IpAddr::from(n.to_be_bytes()), now).unwrap();
        }
        assert_eq!(tries.0.len(), REMEMBERED);
    }
}
