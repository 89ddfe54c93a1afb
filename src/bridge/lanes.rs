//! The chains of one bridge: two lanes for each class, and the dead letters.
//!
//! A class has a main chain and an express chain (see `switch`). Lanes are numbered in the order in which
//! they are sent: the most important class first, and express before main.

use super::record;
use crate::model::Name;
use crate::store::{ChainKey, Label};

/// Classes of one bridge.
pub(super) const CLASSES: usize = 4;

/// Lanes of one bridge.
pub(super) const LANES: usize = 2 * CLASSES;

/// In the store, the express chain of class `c` has the number 8 + `c`.
const EXPRESS: u8 = 8;

/// The number of the chain of dead letters in the store.
const DEAD_LETTERS: u8 = 4;

/// The chain of a bridge's dead letters in the store.
pub(super) fn dead_letters(bridge: &Name) -> ChainKey {
    ChainKey { queue: bridge.clone(), class: DEAD_LETTERS }
}

/// For the store: the records in the chains of a bridge have their topics as labels, but for the dead letters.
pub fn labelled(key: &ChainKey) -> Option<Label> {
    (key.class != DEAD_LETTERS).then_some(record::label)
}

/// The express lane of a class.
pub(super) const fn express(class: usize) -> usize {
    2 * class
}

/// The main lane of a class.
pub(super) const fn main(class: usize) -> usize {
    2 * class + 1
}

/// The class of a lane.
pub(super) const fn class_of(lane: usize) -> usize {
    lane / 2
}

/// Whether it is the express lane of its class.
pub(super) const fn is_express(lane: usize) -> bool {
    lane.is_multiple_of(2)
}

/// The chain of a lane in the store.
pub(super) fn key(bridge: &Name, lane: usize) -> ChainKey {
    let class = class_of(lane) as u8 + if is_express(lane) { EXPRESS } else { 0 };
    ChainKey { queue: bridge.clone(), class }
}

/// What tells topics apart where their names would take too much memory: FNV-1a, 64 bits. It is the same
/// in every version.
pub(super) fn topic_hash(topic: &str) -> u64 {
    topic.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_has_a_chain_of_its_own_and_main_chains_keep_the_number_of_their_class() {
        let name = Name::new("cloud").unwrap();
        let numbers: Vec<u8> = (0..LANES).map(|lane| key(&name, lane).class).collect();
        assert_eq!(numbers, [8, 0, 9, 1, 10, 2, 11, 3]);
        for class in 0..CLASSES {
            assert!(is_express(express(class)) && !is_express(main(class)));
            assert_eq!((class_of(express(class)), class_of(main(class))), (class, class));
        }
    }

    #[test]
    fn the_hash_of_a_topic_never_changes() {
        // Vectors of FNV-1a, 64 bits (Fowler, Noll, Vo).
        assert_eq!(topic_hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(topic_hash("foobar"), 0x8594_4171_f739_67e8);
    }
}
