//! Topics whose class has changed since an earlier run. Pure.
//!
//! Such a topic goes on in the chains of its old class until nothing of it waits there, nor would after a power cut. So
//! all that waits of a topic is in the chains of one class at any time, and its order holds over any number of changes.

use std::collections::HashMap;

use super::lanes::{self, CLASSES};

/// What the chains of a bridge say.
pub(super) trait Chains {
    /// Whether records of a topic from an earlier run wait in a class. Where that is not known: no.
    fn waits(&self, class: usize, topic: u64) -> bool;
    /// The oldest sequence of a lane that is not acknowledged.
    fn first(&self, lane: usize) -> u64;
    /// Whether something of a class that is delivered would wait again after a power cut.
    fn may_return(&self, class: usize) -> bool;
    /// Whether anything from an earlier run waits.
    fn anything_waits(&self) -> bool;
}

/// Where a topic goes that does not go where the rules say.
#[derive(Debug)]
struct Home {
    class: usize,
    /// Its last sequence of this run in either chain.
    last_express: u64,
    last_main: u64,
}

impl Home {
    fn is_needed(&self, topic: u64, chains: &impl Chains) -> bool {
        chains.waits(self.class, topic)
            || self.last_express >= chains.first(lanes::express(self.class))
            || self.last_main >= chains.first(lanes::main(self.class))
            || chains.may_return(self.class)
    }
}

/// The topics of one bridge that are in the chains of another class than the rules say. No more of them are held than
/// the chains tell apart at start.
#[derive(Debug, Default)]
pub(super) struct Strays {
    homes: HashMap<u64, Home>,
    over: bool,
}

impl Strays {
    /// Nothing of an earlier run waits any more, and nothing went to another class for its sake.
    pub(super) fn are_over(&self) -> bool {
        self.over
    }

    /// The class to which a record of a topic goes that belongs into `class` by the rules.
    pub(super) fn class(&mut self, class: usize, topic: u64, chains: &impl Chains) -> usize {
        let returns = || (0..CLASSES).any(|class| chains.may_return(class));
        if !chains.anything_waits() && (self.homes.is_empty() || !returns()) {
            self.homes.retain(|topic, home| home.is_needed(*topic, chains));
            self.over = self.homes.is_empty();
        }
        match self.homes.get(&topic) {
            Some(home) if home.is_needed(topic, chains) => return home.class,
            Some(_) => drop(self.homes.remove(&topic)),
            None => {}
        }
        if chains.waits(class, topic) {
            return class;
        }
        let other = (0..CLASSES).find(|other| *other != class && chains.waits(*other, topic));
        if let Some(class) = other {
            self.homes.insert(topic, Home { class, last_express: 0, last_main: 0 });
        }
        other.unwrap_or(class)
    }

    /// A record of a topic has got this sequence in a lane.
    pub(super) fn went(&mut self, topic: u64, lane: usize, sequence: u64) {
        if let Some(home) = self.homes.get_mut(&topic).filter(|home| home.class == lanes::class_of(lane)) {
            let last = if lanes::is_express(lane) { &mut home.last_express } else { &mut home.last_main };
            *last = sequence;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::lanes::LANES;

    /// What waits of an earlier run: topic, lane, sequence; and how far each lane is.
    struct World {
        old: Vec<(u64, usize, u64)>,
        first: [u64; LANES],
        /// What the disk knows less of what is delivered.
        returning: Option<usize>,
    }

    impl Chains for World {
        fn waits(&self, class: usize, topic: u64) -> bool {
            self.old.iter().any(|(of, lane, sequence)| {
                *of == topic && lanes::class_of(*lane) == class && *sequence >= self.first[*lane]
            })
        }

        fn first(&self, lane: usize) -> u64 {
            self.first[lane]
        }

        fn may_return(&self, class: usize) -> bool {
            self.returning == Some(class)
        }

        fn anything_waits(&self) -> bool {
            self.old.iter().any(|(_, lane, sequence)| *sequence >= self.first[*lane])
        }
    }

    #[test]
    fn a_topic_stays_in_its_old_class_until_all_of_it_is_gone_from_there() {
        let (old, new) = (lanes::main(3), lanes::main(1));
        let mut world = World { old: vec![(7, old, 10), (8, new, 4)], first: [1; LANES], returning: None };
        let mut strays = Strays::default();
        assert_eq!(strays.class(1, 9, &world), 1, "nothing of it waits");
        assert_eq!(strays.class(1, 8, &world), 1, "it waits where it belongs");
        assert_eq!(strays.class(1, 7, &world), 3);
        strays.went(7, old, 20);
        world.first[old] = 11;
        assert_eq!(strays.class(1, 7, &world), 3, "its record of this run still waits there");
        strays.went(7, old, 21);
        world.first[old] = 21;
        assert_eq!((strays.class(1, 7, &world), strays.are_over()), (3, false));
        (world.first[old], world.returning) = (22, Some(3));
        assert_eq!(strays.class(1, 7, &world), 3, "it would wait again");
        world.returning = None;
        assert_eq!((strays.class(1, 7, &world), strays.are_over()), (1, false), "something else waits");
        world.first[new] = 5;
        assert_eq!((strays.class(1, 7, &world), strays.are_over()), (1, true));
    }

    #[test]
    fn what_waits_in_the_express_chain_counts_too() {
        let (express, main) = (lanes::express(2), lanes::main(2));
        let mut world = World { old: vec![(7, express, 3)], first: [1; LANES], returning: None };
        let mut strays = Strays::default();
        assert_eq!(strays.class(0, 7, &world), 2);
        strays.went(7, main, 9);
        strays.went(7, express, 5);
        world.first[main] = 10;
        assert_eq!(strays.class(0, 7, &world), 2);
        world.first[express] = 6;
        assert_eq!(strays.class(0, 7, &world), 0);
    }
}
