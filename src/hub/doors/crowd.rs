//! What one address may have: so many connections at once, so many new ones per second.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::super::Limits;

/// Addresses that are remembered at once. Those that come when all of them are busy are not limited one by one.
const MOST: usize = 4096;
/// An address that was quiet may open as many connections at once as it may open in this time: after a power
/// cut everybody behind a bridge or a router comes back together.
const BURST: u32 = 10;

/// Addresses with connections, or with some a moment ago.
#[derive(Debug, Clone, Default)]
pub(super) struct Crowd(Arc<Mutex<HashMap<IpAddr, Member>>>);

#[derive(Debug)]
struct Member {
    open: usize,
    /// When its allowance will be whole again.
    whole: Instant,
    /// It was told that it is limited.
    told: bool,
}

/// One connection of an address, which it has until this is dropped.
#[derive(Debug)]
pub(super) struct Share {
    crowd: Crowd,
    address: Option<IpAddr>,
}

/// Why an address gets no more, as a counter's word.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) word: &'static str,
    /// It is the first time for this address since it was remembered.
    pub(super) first: bool,
}

impl Crowd {
    fn members(&self) -> MutexGuard<'_, HashMap<IpAddr, Member>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more connection for an address, if it may have it.
    pub(super) fn take(&self, peer: IpAddr, limits: &Limits) -> Result<Share, Refusal> {
        let peer = peer.to_canonical();
        if peer.is_loopback() && !limits.limit_loopback {
            return Ok(Share { crowd: self.clone(), address: None });
        }
        let (address, now) = (block(peer), Instant::now());
        let mut members = self.members();
        if members.len() >= MOST && !members.contains_key(&address) {
            members.retain(|_, member| member.open > 0 || member.whole > now);
            if members.len() >= MOST {
                return Ok(Share { crowd: self.clone(), address: None });
            }
        }
        let member = members.entry(address).or_insert(Member { open: 0, whole: now, told: false });
        match member.take(limits, now) {
            Ok(()) => Ok(Share { crowd: self.clone(), address: Some(address) }),
            Err(word) => Err(Refusal { word, first: !std::mem::replace(&mut member.told, true) }),
        }
    }
}

impl Member {
    fn take(&mut self, limits: &Limits, now: Instant) -> Result<(), &'static str> {
        if self.open >= limits.connections_per_address {
            return Err("connections_per_address");
        }
        if limits.connects_per_address > 0 {
            let price = Duration::from_secs(1) / limits.connects_per_address;
            let whole = self.whole.max(now) + price;
            if whole > now + Duration::from_secs(1) * BURST {
                return Err("connects_per_address");
            }
            self.whole = whole;
        }
        self.open += 1;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut members = self.crowd.members();
        if let Some(member) = members.get_mut(&address) {
            member.open -= 1;
            if member.open == 0 && member.whole <= Instant::now() {
                members.remove(&address);
            }
        }
    }
}

/// What counts as one address: in IPv6 a network of 64 bits, of which one machine has all the addresses it likes
/// (RFC 4291 section 2.5.4).
fn block(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(connections_per_address: usize, connects_per_address: u32) -> Limits {
        Limits { connections_per_address, connects_per_address, ..Limits::default() }
    }

    fn word(taken: Result<Share, Refusal>) -> Option<&'static str> {
        taken.err().map(|refusal| refusal.word)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_so_many_at_once_and_others_are_not_concerned() {
        let (crowd, limits) = (Crowd::default(), limits(2, 0));
        let take = |text| crowd.take(ip(text), &limits);
        let (one, two) = (take("10.0.0.1").unwrap(), take("::ffff:10.0.0.1").unwrap());
        assert_eq!(take("10.0.0.1").err(), Some(Refusal { word: "connections_per_address", first: true }));
        assert_eq!(take("10.0.0.1").err(), Some(Refusal { word: "connections_per_address", first: false }));
        let other = take("10.0.0.2").unwrap();
        drop(one);
        let three = take("10.0.0.1").unwrap();
        drop((two, three, other));
        assert!(crowd.members().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_allowance_comes_back_with_time() {
        let (crowd, limits) = (Crowd::default(), limits(1000, 20));
        let open = |count| (0..count).filter(|_| crowd.take(ip("10.0.0.1"), &limits).is_ok()).count();
        assert_eq!(open(300), 200);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(open(300), 20);
        assert_eq!(word(crowd.take(ip("10.0.0.1"), &limits)), Some("connects_per_address"));
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(open(300), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_of_ipv6_is_one_address_and_loopback_is_free() {
        let (crowd, few) = (Crowd::default(), limits(1, 0));
        let _one = crowd.take(ip("fd00::1"), &few).unwrap();
        assert!(crowd.take(ip("fd00::2:3:4:5"), &few).is_err());
        assert!(crowd.take(ip("fd00:0:0:1::1"), &few).is_ok());
        let all: Vec<_> = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"].repeat(9);
        assert!(all.iter().all(|text| crowd.take(ip(text), &few).is_ok()));
        let too = Limits { limit_loopback: true, ..few };
        let _one = crowd.take(ip("127.0.0.1"), &too).unwrap();
        assert!(crowd.take(ip("127.0.0.1"), &too).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded_and_forgets_who_is_quiet() {
        let (crowd, limits) = (Crowd::default(), limits(1, 1));
        let take = |number: u32| crowd.take(IpAddr::from((0x0A00_0000 + number).to_be_bytes()), &limits);
        let held: Vec<_> = (0..MOST as u32).map(|number| take(number).unwrap()).collect();
        let beyond: Vec<_> = (0..9).map(|_| take(u32::from(u16::MAX)).unwrap()).collect();
        assert_eq!(crowd.members().len(), MOST);
        drop((held, beyond));
        tokio::time::advance(Duration::from_secs(2)).await;
        let _one = take(70_000).unwrap();
        assert_eq!(crowd.members().len(), 1);
    }
}
