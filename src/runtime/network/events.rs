//! Messages of the kernel's route socket: pure.
//!
//! Layouts are those of `linux/netlink.h`, `linux/rtnetlink.h`, `linux/if_link.h` and `linux/if_addr.h`,
//! in the machine's own byte order.

use std::collections::HashSet;

/// Multicast groups (`RTMGRP_*`): links, IPv4 addresses and routes, IPv6 addresses and routes.
pub(super) const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

const HEADER: usize = 16;
const NEW_LINK: u16 = 16;
const DEL_LINK: u16 = 17;
const NEW_ADDRESS: u16 = 20;
const DEL_ADDRESS: u16 = 21;
const NEW_ROUTE: u16 = 24;

/// `IFF_RUNNING`: the cable is in, the radio is associated.
const RUNNING: u32 = 0x40;
/// `IFF_LOOPBACK`
const LOOPBACK: u32 = 0x8;
/// `RT_TABLE_LOCAL`: routes that come with addresses.
const LOCAL_TABLE: u8 = 255;
/// `RTN_UNICAST`
const UNICAST: u8 = 1;
/// `RTM_F_CLONED`: the kernel's memory of a route, not a route.
const CLONED: u32 = 0x200;

/// Links and addresses remembered; beyond it repeats are taken for news.
const REMEMBERED: usize = 256;

/// What some messages mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct News {
    /// A link, an address or a route appeared.
    pub(super) came: bool,
    /// A link or an address went away.
    pub(super) gone: bool,
}

impl News {
    const CAME: Self = Self { came: true, gone: false };
    const GONE: Self = Self { came: false, gone: true };

    pub(super) fn and(self, other: Self) -> Self {
        Self { came: self.came || other.came, gone: self.gone || other.gone }
    }
}

/// What is known of the links, so that repeats are no news: routers announce addresses again and
/// again, and radios tell every change of their signal.
#[derive(Debug, Default)]
pub(super) struct Links {
    running: HashSet<u32>,
    stopped: HashSet<u32>,
    addresses: HashSet<Vec<u8>>,
}

impl Links {
    /// What the messages in `bytes` mean.
    pub(super) fn hear(&mut self, mut bytes: &[u8]) -> News {
        let mut news = News::default();
        while let Some((kind, body, rest)) = message(bytes) {
            news = news.and(self.one(kind, body));
            bytes = rest;
        }
        news
    }

    fn one(&mut self, kind: u16, body: &[u8]) -> News {
        match kind {
            NEW_LINK => self.link(body),
            DEL_LINK => self.no_link(word(body, 4).unwrap_or_default()),
            NEW_ADDRESS => self.address(body),
            DEL_ADDRESS => {
                self.addresses.remove(&address_key(body));
                News::GONE
            }
            NEW_ROUTE if is_route(body) => News::CAME,
            _ => News::default(),
        }
    }

    /// `struct ifinfomsg`: family, padding, type (2), index (4), flags (4), change (4).
    fn link(&mut self, body: &[u8]) -> News {
        let (Some(index), Some(flags)) = (word(body, 4), word(body, 8)) else { return News::default() };
        if flags & LOOPBACK != 0 {
            return News::default();
        }
        if flags & RUNNING == 0 {
            return self.no_link(index);
        }
        self.stopped.remove(&index);
        if remember(&mut self.running, index) { News::CAME } else { News::default() }
    }

    fn no_link(&mut self, index: u32) -> News {
        self.running.remove(&index);
        if remember(&mut self.stopped, index) { News::GONE } else { News::default() }
    }

    fn address(&mut self, body: &[u8]) -> News {
        let key = address_key(body);
        if remember(&mut self.addresses, key) { News::CAME } else { News::default() }
    }
}

/// Whether `value` is new.
fn remember<T: std::hash::Hash + Eq>(known: &mut HashSet<T>, value: T) -> bool {
    if known.len() >= REMEMBERED {
        known.clear();
    }
    known.insert(value)
}

/// `struct nlmsghdr`: length (4), type (2), flags (2), sequence (4), port (4); the next one is aligned to 4.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = word(bytes, 0)? as usize;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let body = bytes.get(HEADER..length)?;
    Some((kind, body, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// `struct ifaddrmsg`: family, prefix, flags, scope, index (4); then attributes, of which lifetimes change.
/// The link and the addresses (`IFA_ADDRESS` 1, `IFA_LOCAL` 2) say which one it is.
fn address_key(body: &[u8]) -> Vec<u8> {
    let mut key = body.get(4..8).unwrap_or_default().to_vec();
    let mut attributes = body.get(8..).unwrap_or_default();
    while let Some(&[low, high, kind, _]) = attributes.first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([low, high]));
        let Some(value) = attributes.get(4..length) else { break };
        if u16::from_ne_bytes([kind, attributes[3]]) <= 2 {
            key.extend(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    key
}

/// `struct rtmsg`: family, destination, source, service, table, protocol, scope, type, flags (4).
fn is_route(body: &[u8]) -> bool {
    let kept = word(body, 8).is_some_and(|flags| flags & CLONED == 0);
    kept && body[4] != LOCAL_TABLE && body[7] == UNICAST
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = HEADER + body.len();
        let mut bytes = (length as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(body);
        bytes.resize(length.next_multiple_of(4), 0);
        bytes
    }

    fn link(kind: u16, index: u32, flags: u32) -> Vec<u8> {
        let mut body = vec![0, 0, 1, 0];
        body.extend(index.to_ne_bytes());
        body.extend(flags.to_ne_bytes());
        body.extend([0xff; 4]);
        packed(kind, &body)
    }

    fn address(kind: u16, last: u8, lifetime: u8) -> Vec<u8> {
        let mut body = vec![2, 24, 0x80, 0, 3, 0, 0, 0];
        for (attribute, value) in [(1_u16, [192, 0, 2, last]), (2, [192, 0, 2, last]), (6, [lifetime; 4])] {
            body.extend(8_u16.to_ne_bytes());
            body.extend(attribute.to_ne_bytes());
            body.extend(value);
        }
        packed(kind, &body)
    }

    fn route(table: u8, kind: u8, flags: u32) -> Vec<u8> {
        let mut body = vec![2, 0, 0, 0, table, 3, 0, kind];
        body.extend(flags.to_ne_bytes());
        packed(NEW_ROUTE, &body)
    }

    const QUIET: News = News { came: false, gone: false };

    #[test]
    fn a_cable_that_is_pulled_and_put_back_is_news_and_a_changed_signal_is_not() {
        let mut links = Links::default();
        assert_eq!(links.hear(&link(NEW_LINK, 3, 0x1043)), News::CAME);
        assert_eq!(links.hear(&link(NEW_LINK, 3, 0x1043)), QUIET);
        assert_eq!(links.hear(&link(NEW_LINK, 3, 0x1003)), News::GONE);
        assert_eq!(links.hear(&link(NEW_LINK, 3, 0x1003)), QUIET);
        assert_eq!(links.hear(&link(NEW_LINK, 3, 0x1043)), News::CAME);
        assert_eq!(links.hear(&link(DEL_LINK, 3, 0x1003)), News::GONE);
        assert_eq!(links.hear(&link(NEW_LINK, 1, 0x49)), QUIET, "loopback");
    }

    #[test]
    fn an_address_is_news_once_whatever_its_lifetime() {
        let mut links = Links::default();
        assert_eq!(links.hear(&address(NEW_ADDRESS, 1, 10)), News::CAME);
        assert_eq!(links.hear(&address(NEW_ADDRESS, 1, 9)), QUIET);
        assert_eq!(links.hear(&address(NEW_ADDRESS, 2, 9)), News::CAME);
        assert_eq!(links.hear(&address(DEL_ADDRESS, 1, 0)), News::GONE);
        assert_eq!(links.hear(&address(NEW_ADDRESS, 1, 10)), News::CAME);
    }

    #[test]
    fn routes_of_the_main_tables_count() {
        let mut links = Links::default();
        assert_eq!(links.hear(&route(254, UNICAST, 0)), News::CAME);
        assert_eq!(links.hear(&route(LOCAL_TABLE, UNICAST, 0)), QUIET);
        assert_eq!(links.hear(&route(254, 2, 0)), QUIET);
        assert_eq!(links.hear(&route(254, UNICAST, CLONED)), QUIET);
    }

    #[test]
    fn several_messages_in_one_go_add_up_and_what_is_cut_off_is_left_out() {
        let mut links = Links::default();
        let both = [link(NEW_LINK, 3, 0x1003), address(NEW_ADDRESS, 1, 1)].concat();
        assert_eq!(links.hear(&both), News { came: true, gone: true });
        for cut in 0..both.len() {
            Links::default().hear(&both[..cut]);
        }
        assert_eq!(links.hear(&[0; 64]), QUIET, "a length of nothing ends it");
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut links = Links::default();
        for index in 0..10_000 {
            links.hear(&link(NEW_LINK, index, RUNNING));
        }
        assert!(links.running.len() <= REMEMBERED);
    }
}
