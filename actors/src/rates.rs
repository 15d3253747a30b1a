//! How many packets each address may send in a second.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::time::Instant;

use crate::refusals::Refusal;

const SECOND: Duration = Duration::from_secs(1);
/// Addresses that are counted at once. Beyond it strangers get no answer in this second.
const COUNTED: usize = 65_536;

/// Packets of each address in this second.
pub struct Rates {
    allow: Arc<[IpNet]>,
    limit: u32,
    since: Instant,
    counts: HashMap<IpAddr, u32>,
}

impl Rates {
    /// So many packets a second of each address in these networks.
    pub fn new(allow: Arc<[IpNet]>, limit: u32) -> Rates {
        Rates {
            allow,
            limit,
            since: Instant::now(),
            counts: HashMap::new(),
        }
    }

    /// Whether a packet that comes from `ip` now is looked at.
    ///
    /// # Errors
    /// The address is not allowed, or has had its packets in this second.
    pub fn let_in(&mut self, ip: IpAddr, now: Instant) -> Result<(), Refusal> {
        if now - self.since >= SECOND {
            self.since = now;
            self.counts.clear();
        }
        if let Some(count) = self.counts.get_mut(&ip) {
            if *count >= self.limit {
                return Err(Refusal::TooManyPackets);
            }
            *count += 1;
            return Ok(());
        }
        // Those who were counted in this second are allowed.
        if !self.allow.iter().any(|net| net.contains(&ip)) {
            return Err(Refusal::NotAllowed);
        }
        if self.counts.len() >= COUNTED {
            return Err(Refusal::TooManyPackets);
        }
        self.counts.insert(ip, 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_packets_in_each_second() {
        let allow = [
            "10.0.0.0/8".parse().unwrap(),
            "fd00::/8".parse::<IpNet>().unwrap(),
        ];
        let mut rates = Rates::new(allow.into(), 2);
        let now = Instant::now();
        let (one, other): (IpAddr, IpAddr) =
            ("10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap());
        for ip in [one, other] {
            assert_eq!(rates.let_in(ip, now), Ok(()));
            assert_eq!(rates.let_in(ip, now), Ok(()));
            assert_eq!(rates.let_in(ip, now), Err(Refusal::TooManyPackets));
        }
        assert_eq!(rates.let_in(one, now + SECOND), Ok(()));
        let stranger = "11.0.0.1".parse().unwrap();
        assert_eq!(rates.let_in(stranger, now), Err(Refusal::NotAllowed));
    }

    #[test]
    fn the_table_of_addresses_is_bounded() {
        let mut rates = Rates::new(["10.0.0.0/8".parse().unwrap()].into(), 2);
        let now = Instant::now();
        let ip = |n: usize| {
            let [_, b, c, d] = u32::try_from(n).unwrap().to_be_bytes();
            IpAddr::from([10, b, c, d])
        };
        for n in 0..COUNTED {
            assert_eq!(rates.let_in(ip(n), now), Ok(()));
        }
        assert_eq!(rates.let_in(ip(COUNTED), now), Err(Refusal::TooManyPackets));
        assert_eq!(rates.let_in(ip(0), now), Ok(()));
        assert_eq!(rates.let_in(ip(COUNTED), now + SECOND), Ok(()));
    }
}
