//! Which of the two chains of its class a record goes to. Pure.
//!
//! Records go to the main chain. While that has a backlog and the link is good, records of topics that
//! certainly have nothing waiting in it go to the express chain, which is sent first: what is new passes
//! the backlog, and what is acknowledged stays a prefix of each chain. When the link fails in the middle of a long
//! backlog a few more go there, so that a short break does not put every topic behind all that is left of it.
//!
//! Invariant: a topic never has something in the express chain that is newer than something it has in the
//! main chain, and a record of the main chain is sent only when everything is acknowledged that was in the
//! express chain before it (a *barrier*). So the order of a topic holds, whatever changes in between.

use std::collections::VecDeque;

use super::rules::Pass;

/// Counters in each of the two rows of a [`Table`].
const ROW: usize = 1 << 14;

/// Barriers that are told apart; more are drawn together, which only makes them stricter.
const BARRIERS: usize = 32;

/// While the link fails, a backlog counts when it is longer than this, which may have been on its way only, and so
/// many records may wait in the express chain.
const FEW: u64 = 256;

/// Where a chain begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    /// The oldest sequence that is not acknowledged; `next` when all are.
    pub(super) first: u64,
    /// The sequence that the next record gets.
    pub(super) next: u64,
}

impl Ends {
    pub(super) fn len(self) -> u64 {
        self.next.saturating_sub(self.first)
    }
}

/// The last sequence of each topic in the main chain, by hash, in fixed memory: two rows of counters of
/// which the smaller one counts, so that a topic may seem to be there that is not, and never the reverse.
#[derive(Debug, Default)]
struct Table(Vec<u64>);

impl Table {
    fn places(topic: u64) -> [usize; 2] {
        // FNV mixes its upper bits less well than its lower ones.
        let mixed = (topic ^ topic >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        [(mixed >> 50) as usize % ROW, ROW + (mixed >> 20) as usize % ROW]
    }

    fn note(&mut self, topic: u64, sequence: u64) {
        self.0.resize(2 * ROW, 0);
        Self::places(topic).into_iter().for_each(|place| self.0[place] = sequence);
    }

    /// No record of the topic has a higher sequence than this.
    fn last(&self, topic: u64) -> u64 {
        Self::places(topic).into_iter().filter_map(|place| self.0.get(place)).copied().min().unwrap_or(0)
    }
}

/// Main records from `from` on wait until express records up to `after` are acknowledged.
#[derive(Debug, Clone, Copy)]
struct Barrier {
    from: u64,
    after: u64,
}

/// The switch of one class.
#[derive(Debug)]
pub(super) struct Switch {
    open: bool,
    alive: bool,
    few: u64,
    /// Topics of the main chain, from `known_from` on.
    table: Table,
    /// What is before it in the main chain is of an earlier run.
    known_from: u64,
    /// By both numbers ascending.
    barriers: VecDeque<Barrier>,
}

impl Switch {
    /// For chains as an earlier run has left them.
    pub(super) fn new(main: Ends, express: Ends) -> Self {
        let mut switch = Self {
            open: true,
            alive: false,
            few: FEW,
            table: Table::default(),
            known_from: main.next,
            barriers: VecDeque::new(),
        };
        switch.raise(0, express);
        switch
    }

    /// Decides whether the express chain is used from now on. `alive`: the cloud acknowledges what it is sent;
    /// `behind`: the main chain has a backlog.
    pub(super) fn steer(&mut self, alive: bool, behind: bool, express: Ends) {
        self.open = behind || (self.open && express.len() > 0);
        self.alive = alive;
    }

    fn is_open(&self, (main, express): (Ends, Ends)) -> bool {
        self.open && (self.alive || (main.len() > self.few && express.len() < self.few))
    }

    /// Whether a record of this topic goes to the express chain; `ends` are those of main and express. `old`: whether
    /// the topic may be among the records of an earlier run that wait in the main chain.
    pub(super) fn passes(&self, pass: Pass, topic: u64, ends: (Ends, Ends), old: impl FnOnce() -> bool) -> bool {
        let main = ends.0;
        let waits = || self.table.last(topic) >= main.first || (main.first < self.known_from && old());
        match pass {
            _ if !self.is_open(ends) => false,
            Pass::Nothing => false,
            Pass::Others => !waits(),
            Pass::Everything => true,
        }
    }

    /// A record of this topic went to the main chain, under this sequence.
    pub(super) fn went_main(&mut self, topic: u64, sequence: u64, express: Ends) {
        self.table.note(topic, sequence);
        self.raise(sequence, express);
    }

    /// Records of the main chain from `first` to `last` were thinned: those that are left may be as late as `last`.
    pub(super) fn moved(&mut self, first: u64, last: u64) {
        let inside = self.table.0.iter_mut().filter(|sequence| (first..=last).contains(*sequence));
        inside.for_each(|sequence| *sequence = last);
    }

    fn raise(&mut self, from: u64, express: Ends) {
        let after = express.next - 1;
        if express.len() == 0 || self.barriers.back().is_some_and(|last| last.after == after) {
            return;
        }
        let full = self.barriers.len() >= BARRIERS;
        match self.barriers.back_mut() {
            Some(last) if full => last.after = after,
            _ => self.barriers.push_back(Barrier { from, after }),
        }
    }

    /// Whether a main record has to wait for the express chain, of which everything before `first` is acknowledged.
    pub(super) fn blocks(&mut self, sequence: u64, express_first: u64) -> bool {
        while self.barriers.front().is_some_and(|barrier| barrier.after < express_first) {
            self.barriers.pop_front();
        }
        self.barriers.front().is_some_and(|barrier| barrier.from <= sequence)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn ends(first: u64, next: u64) -> Ends {
        Ends { first, next }
    }

    const EMPTY: Ends = Ends { first: 1, next: 1 };

    #[test]
    fn a_backlog_opens_it_and_it_closes_when_nothing_waits() {
        let mut switch = Switch::new(EMPTY, EMPTY);
        for (alive, behind, express, open) in [
            (true, false, EMPTY, false),
            (true, true, EMPTY, true),
            (true, false, ends(1, 2), true),
            (true, false, ends(2, 2), false),
            (true, false, ends(2, 3), false),
            (true, true, ends(2, 3), true),
            (false, true, ends(2, 3), false),
            (true, false, ends(2, 3), true),
        ] {
            switch.steer(alive, behind, express);
            assert_eq!(switch.passes(Pass::Others, 7, (EMPTY, express), || false), open, "{behind} {express:?}");
        }
    }

    #[test]
    fn a_topic_that_waits_in_the_main_chain_stays_there() {
        let mut switch = Switch::new(ends(1, 5), EMPTY);
        switch.steer(true, true, EMPTY);
        switch.went_main(7, 5, EMPTY);
        let both = |first| (ends(first, 6), EMPTY);
        let passes = |switch: &Switch, topic, first, old| switch.passes(Pass::Others, topic, both(first), || old);
        assert!(!passes(&switch, 7, 5, false) && passes(&switch, 7, 6, true), "its last record is acknowledged");
        assert!(passes(&switch, 8, 5, true), "nothing is left of the earlier run");
        assert!(!passes(&switch, 8, 4, true) && passes(&switch, 8, 4, false), "it depends on what the store knows");
        assert!(switch.passes(Pass::Everything, 7, both(1), || true));
        assert!(!switch.passes(Pass::Nothing, 8, both(5), || false));
    }

    #[test]
    fn a_link_that_fails_in_a_long_backlog_leaves_it_open_for_a_few() {
        let mut switch = Switch::new(ends(1, 5000), EMPTY);
        let passes = |switch: &Switch, main, express| switch.passes(Pass::Others, 7, (main, express), || false);
        assert!(passes(&switch, ends(1, 5000), EMPTY), "it is so from the start");
        switch.steer(false, true, EMPTY);
        assert!(passes(&switch, ends(1, 5000), ends(1, FEW)) && !passes(&switch, ends(1, 5000), ends(1, FEW + 1)));
        assert!(!passes(&switch, ends(1, FEW), EMPTY), "that was only on its way");
        switch.steer(true, true, EMPTY);
        assert!(passes(&switch, ends(1, FEW), ends(1, 5000)), "it goes again");
    }

    #[test]
    fn what_is_thinned_waits_as_long_as_the_last_of_it() {
        let mut switch = Switch::new(EMPTY, EMPTY);
        switch.steer(true, true, EMPTY);
        switch.went_main(7, 3, EMPTY);
        switch.went_main(8, 20, EMPTY);
        switch.moved(1, 10);
        let passes = |topic, first| switch.passes(Pass::Others, topic, (ends(first, 21), EMPTY), || false);
        assert_eq!([passes(7, 10), passes(7, 11), passes(8, 20)], [false, true, false]);
    }

    #[test]
    fn what_an_earlier_run_left_in_the_express_chain_goes_before_everything() {
        let mut switch = Switch::new(ends(3, 9), ends(4, 6));
        assert!(switch.blocks(3, 4) && switch.blocks(3, 5));
        assert!(!switch.blocks(3, 6));
    }

    #[test]
    fn barriers_are_bounded_and_only_become_stricter() {
        let mut switch = Switch::new(EMPTY, EMPTY);
        for n in 1..=1000 {
            switch.went_main(n, n, ends(1, n + 1));
        }
        assert_eq!(switch.barriers.len(), BARRIERS);
        assert!(switch.blocks(BARRIERS as u64, 1000) && !switch.blocks(1000, 1001));
    }

    /// What the world does to the chains of a class.
    #[derive(Debug, Clone)]
    enum Step {
        Offer(u8),
        /// Sends and acknowledges so many, express first.
        Send(u8),
        Steer(bool),
    }

    fn steps() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..5_u8).prop_map(Step::Offer),
            3 => (1..4_u8).prop_map(Step::Send),
            1 => any::<bool>().prop_map(Step::Steer),
        ]
    }

    /// Both chains, and what was sent of each topic.
    #[derive(Default)]
    struct Chains {
        main: VecDeque<(u8, u32)>,
        express: VecDeque<(u8, u32)>,
        acked: (u64, u64),
        sent: HashMap<u8, u32>,
    }

    impl Chains {
        fn ends(&self) -> (Ends, Ends) {
            let ends = |acked: u64, len: usize| ends(acked + 1, acked + 1 + len as u64);
            (ends(self.acked.0, self.main.len()), ends(self.acked.1, self.express.len()))
        }

        fn send(&mut self, switch: &mut Switch) {
            let (main, express) = self.ends();
            // The express chain does not always come first: its records may still be on their way from the disk.
            let from_main = (self.main.len() + self.express.len()).is_multiple_of(3) || self.express.is_empty();
            let (topic, number) = if from_main && !self.main.is_empty() && !switch.blocks(main.first, express.first) {
                self.acked.0 += 1;
                self.main.pop_front().unwrap()
            } else if let Some(next) = self.express.pop_front() {
                self.acked.1 += 1;
                next
            } else {
                return;
            };
            let before = self.sent.insert(topic, number);
            assert!(before.is_none_or(|before| before < number), "topic {topic}: {number} after {before:?}");
        }
    }

    proptest! {
        #[test]
        fn the_order_of_a_topic_holds_whatever_happens(steps in prop::collection::vec(steps(), 1..200)) {
            let (mut chains, mut switch) = (Chains::default(), Switch { few: 3, ..Switch::new(EMPTY, EMPTY) });
            for (number, step) in (0..).zip(steps) {
                let (main, express) = chains.ends();
                match step {
                    Step::Offer(topic) if switch.passes(Pass::Others, topic.into(), (main, express), || true) => {
                        chains.express.push_back((topic, number));
                    }
                    Step::Offer(topic) => {
                        switch.went_main(topic.into(), main.next, express);
                        chains.main.push_back((topic, number));
                    }
                    Step::Send(many) => (0..many).for_each(|_| chains.send(&mut switch)),
                    Step::Steer(alive) => switch.steer(alive, main.len() > 0, express),
                }
            }
        }
    }
}
