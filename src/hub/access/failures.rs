//! Failed logins by address: who fails often waits before the next try. Pure.
//!
//! The first few failures cost nothing but their time; each one after them closes the address for twice as long as
//! the one before. A login that succeeds takes nothing back: an attacker may have an account too.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use tokio::time::Instant;

/// Failures without consequence.
const FREE: u32 = 5;
/// How long the first failure after them closes the address, and how long any does at most.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// After this time without a failure all is forgotten.
const FORGET: Duration = Duration::from_secs(600);
/// Addresses remembered at once; the one that failed longest ago goes first.
const MOST: usize = 1024;
/// Logins of one address that are verified at once; one when it has failed too often.
const AT_ONCE: u32 = 32;

/// What is known of the addresses that log in.
#[derive(Debug, Default)]
pub(super) struct Failures {
    by_address: HashMap<IpAddr, Record>,
}

#[derive(Debug)]
struct Record {
    failures: u32,
    last: Instant,
    closed_until: Instant,
    under_way: u32,
}

/// What is counted together: an IPv4 address, or the /64 network that one IPv6 host has.
fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() & !u128::from(u64::MAX)).into(),
        four => four,
    }
}

impl Failures {
    /// Whether `address` may log in now. Each yes is followed by [`leave`](Self::leave).
    pub(super) fn enter(&mut self, address: IpAddr, now: Instant) -> bool {
        let place = place(address);
        if !self.by_address.contains_key(&place) && !self.make_room(now) {
            return false;
        }
        let fresh = Record { failures: 0, last: now, closed_until: now, under_way: 0 };
        let record = self.by_address.entry(place).or_insert(fresh);
        if now.duration_since(record.last) >= FORGET && record.under_way == 0 {
            record.failures = 0;
        }
        let most = if record.failures >= FREE { 1 } else { AT_ONCE };
        let open = now >= record.closed_until && record.under_way < most;
        record.under_way += u32::from(open);
        open
    }

    /// A login of `address` has ended.
    pub(super) fn leave(&mut self, address: IpAddr, failed: bool, now: Instant) {
        let Some(record) = self.by_address.get_mut(&place(address)) else { return };
        record.under_way -= 1;
        if failed {
            record.failures += 1;
            record.last = now;
            if let Some(beyond) = record.failures.checked_sub(FREE + 1) {
                record.closed_until = now + FIRST.saturating_mul(1 << beyond.min(16)).min(LONGEST);
            }
        } else if record.failures == 0 && record.under_way == 0 {
            self.by_address.remove(&place(address));
        }
    }

    /// Makes room for one more address; false when all of them are logging in now.
    fn make_room(&mut self, now: Instant) -> bool {
        if self.by_address.len() < MOST {
            return true;
        }
        self.by_address.retain(|_, record| record.under_way > 0 || now.duration_since(record.last) < FORGET);
        if self.by_address.len() >= MOST {
            let idle = self.by_address.iter().filter(|(_, record)| record.under_way == 0);
            let oldest = idle.min_by_key(|(_, record)| record.last).map(|(place, _)| *place);
            oldest.map(|place| self.by_address.remove(&place));
        }
        self.by_address.len() < MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn fail(failures: &mut Failures, address: IpAddr, now: Instant) -> bool {
        let open = failures.enter(address, now);
        if open {
            failures.leave(address, true, now);
        }
        open
    }

    #[tokio::test(start_paused = true)]
    async fn each_failure_beyond_the_free_ones_closes_for_twice_as_long() {
        let (mut failures, mut now) = (Failures::default(), Instant::now());
        for _ in 0..=FREE {
            assert!(fail(&mut failures, HERE, now));
        }
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(!fail(&mut failures, HERE, now + Duration::from_millis(seconds * 1000 - 1)), "{seconds}");
            now += Duration::from_secs(seconds);
            assert!(fail(&mut failures, HERE, now), "{seconds}");
        }
        assert!(fail(&mut failures, "192.0.2.2".parse().unwrap(), now), "others are not meant");
        now += FORGET;
        for _ in 0..=FREE {
            assert!(fail(&mut failures, HERE, now), "forgotten");
        }
        assert!(!fail(&mut failures, HERE, now));
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_takes_nothing_back_and_leaves_nothing_behind() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        assert!(failures.enter(HERE, now));
        failures.leave(HERE, false, now);
        assert!(failures.by_address.is_empty());
        for _ in 0..=FREE {
            assert!(fail(&mut failures, HERE, now));
            let later = now + LONGEST;
            assert!(failures.enter(HERE, later));
            failures.leave(HERE, false, later);
        }
        assert!(!failures.enter(HERE, now));
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_cannot_have_everything_verified_at_once() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        let entered = (0..100).filter(|_| failures.enter(HERE, now)).count();
        assert_eq!(entered, AT_ONCE as usize);
        for _ in 0..entered {
            failures.leave(HERE, true, now);
        }
        let later = now + LONGEST;
        assert_eq!((0..9).filter(|_| failures.enter(HERE, later)).count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_ipv6_host_is_its_network_and_a_mapped_address_is_the_ipv4_one() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        for n in 0..=FREE {
            assert!(fail(&mut failures, format!("2001:db8::{n}").parse().unwrap(), now));
            assert!(fail(&mut failures, "::ffff:192.0.2.1".parse().unwrap(), now));
        }
        assert!(!fail(&mut failures, "2001:db8::ff".parse().unwrap(), now));
        assert!(fail(&mut failures, "2001:db8:0:1::ff".parse().unwrap(), now));
        assert!(!fail(&mut failures, HERE, now));
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded() {
        let (mut failures, start) = (Failures::default(), Instant::now());
        for n in 0..3 * MOST as u32 {
            let now = start + Duration::from_millis(n.into());
            assert!(fail(&mut failures, IpAddr::V4(n.into()), now));
        }
        assert_eq!(failures.by_address.len(), MOST);
        assert!(failures.by_address.contains_key(&IpAddr::V4((3 * MOST as u32 - 1).into())));
    }
}
