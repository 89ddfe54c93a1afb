//! The way a message has come: each gateway that hands it on leaves its mark, so that none circles. Pure.
//!
//! The mark is an MQTT 5 user property with the gateways in order, as in `shed~1f2e3d4c,barn~99aabbcc`.
//! MQTT 3.1.1 cannot carry it; there only the topics keep messages from circling.

use std::sync::Arc;

use crate::model::{Name, Properties};
use crate::store::StoreId;

/// The user property.
pub const HOP: &str = "weir-hop";

/// Gateways that a message may have passed.
const MOST: usize = 16;

/// Why a message goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Circling {
    /// It has been here before.
    BeenHere,
    /// It has passed as many gateways as it may.
    TooFar,
}

/// The mark of a gateway: its name, and the beginning of its store's id, because names are given twice.
pub(super) fn name(gateway: &Name, store: StoreId) -> Arc<str> {
    let id = store.to_string();
    format!("{gateway}~{}", &id[..8]).into()
}

/// Refuses a message that has been at the gateway `me` before.
pub(super) fn check(properties: Option<&Properties>, me: &str) -> Result<(), Circling> {
    let user = properties.map_or(&[][..], |properties| &properties.user);
    let marks = user.iter().filter(|(key, _)| &**key == HOP).flat_map(|(_, marks)| marks.split(','));
    let mut count = 0;
    for mark in marks {
        count += 1;
        if mark == me {
            return Err(Circling::BeenHere);
        }
        if count >= MOST {
            return Err(Circling::TooFar);
        }
    }
    Ok(())
}

/// Leaves the mark of the gateway `me`.
pub(super) fn mark(properties: &mut Properties, me: &Arc<str>) {
    match properties.user.iter_mut().find(|(key, _)| &**key == HOP) {
        Some((_, marks)) => *marks = format!("{marks},{me}").into(),
        None => properties.user.push((HOP.into(), Arc::clone(me))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(properties: &Properties) -> Vec<&str> {
        properties.user.iter().filter(|(key, _)| &**key == HOP).map(|(_, marks)| &**marks).collect()
    }

    #[test]
    fn a_message_that_comes_round_is_known() {
        let names = ["a", "b", "c"].map(|text| name(&Name::new(text).unwrap(), StoreId([0x12; 16])));
        assert_eq!(&*names[0], "a~12121212");
        let mut properties = Properties { user: vec![("k".into(), "v".into())], ..Properties::default() };
        assert_eq!(check(None, "a"), Ok(()));
        for me in &names {
            assert_eq!(check(Some(&properties), me), Ok(()));
            mark(&mut properties, me);
        }
        assert_eq!(marks(&properties), ["a~12121212,b~12121212,c~12121212"]);
        assert_eq!(properties.user.len(), 2);
        for me in &names {
            assert_eq!(check(Some(&properties), me), Err(Circling::BeenHere));
        }
        assert_eq!(check(Some(&properties), "d~12121212"), Ok(()));
    }

    #[test]
    fn the_way_has_a_bound() {
        let mut properties = Properties::default();
        for n in 0..MOST - 1 {
            mark(&mut properties, &format!("{n}").into());
        }
        assert_eq!(check(Some(&properties), "x"), Ok(()));
        mark(&mut properties, &"last".into());
        assert_eq!(check(Some(&properties), "x"), Err(Circling::TooFar));
        assert_eq!(check(Some(&properties), "last"), Err(Circling::BeenHere), "the reason that says more");
    }
}
