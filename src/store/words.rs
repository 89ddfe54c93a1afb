//! What a consumer says about its records, on its way to the ledger.

use super::gap::{Cause, Gap, Span};

/// Ranges that wait for the acknowledgement that passes them; more become one.
const MOST: usize = 256;

/// Records that a consumer gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GivenUp {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) records: u64,
    pub(crate) cause: Cause,
    pub(crate) span: Option<Span>,
}

impl GivenUp {
    /// How many of them an acknowledgement passes; of ranges with holes all or nothing.
    fn ripe(&self, ack: u64) -> u64 {
        match self.last - self.first + 1 == self.records {
            _ if self.last <= ack => self.records,
            true => (ack + 1).saturating_sub(self.first),
            false => 0,
        }
    }

    fn absorb(&mut self, other: &Self) {
        (self.first, self.last) = (self.first.min(other.first), self.last.max(other.last));
        self.records += other.records;
        self.cause = if self.cause == other.cause { self.cause } else { Cause::Several };
        self.span = match (self.span, other.span) {
            (Some(one), Some(other)) => Some(Span {
                from_ms: [one.from_ms, other.from_ms].into_iter().flatten().min(),
                to_ms: one.to_ms.max(other.to_ms),
            }),
            (one, other) => one.or(other),
        };
    }
}

/// What a consumer said and the ledger does not have yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Words {
    /// In order of sequence.
    pub(crate) given_up: Vec<GivenUp>,
    /// Gaps that the receiver knows: their ids and how many records they had.
    pub(crate) told: Vec<(u64, u64)>,
    /// The acknowledgement that goes with them.
    pub(crate) ack: u64,
}

impl Words {
    pub(crate) fn give_up(&mut self, given: GivenUp) {
        let full = self.given_up.len() >= MOST;
        let near = |before: &GivenUp| before.cause == given.cause && before.last + 1 == given.first;
        match self.given_up.last_mut().filter(|before| full || near(before)) {
            Some(before) => before.absorb(&given),
            None => self.given_up.push(given),
        }
        self.given_up.sort_by_key(|given| given.first);
    }

    pub(crate) fn tell(&mut self, gap: &Gap) {
        if !self.told.contains(&(gap.id, gap.records)) {
            self.told.push((gap.id, gap.records));
        }
    }

    /// What an acknowledgement must not pass before the ledger has it: the first sequence given up.
    pub(crate) fn first(&self) -> u64 {
        self.given_up.iter().map(|given| given.first).min().unwrap_or(u64::MAX)
    }

    /// Whether the ledger can take something, with everything up to `ack` acknowledged.
    pub(crate) fn are_ripe(&self, ack: u64) -> bool {
        !self.told.is_empty() || self.given_up.iter().any(|given| given.ripe(ack) > 0)
    }

    /// Takes out what the ledger can take.
    pub(crate) fn take_ripe(&mut self, ack: u64) -> Self {
        let mut given_up = Vec::new();
        for given in &mut self.given_up {
            let records = given.ripe(ack);
            if records > 0 {
                given_up.push(GivenUp { records, last: given.last.min(ack), ..*given });
                (given.first, given.records) = (given.last.min(ack) + 1, given.records - records);
            }
        }
        self.given_up.retain(|given| given.records > 0);
        Self { given_up, told: std::mem::take(&mut self.told), ack: ack.min(self.first().saturating_sub(1)) }
    }

    /// Puts back what the ledger did not take.
    pub(crate) fn put_back(&mut self, words: Self) {
        words.given_up.into_iter().for_each(|given| self.give_up(given));
        self.told.splice(0..0, words.told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(first: u64, last: u64) -> GivenUp {
        GivenUp { first, last, records: last - first + 1, cause: Cause::Expired, span: None }
    }

    #[test]
    fn what_is_given_up_waits_for_the_acknowledgement_that_passes_it() {
        let mut words = Words::default();
        [given(5, 6), given(7, 7), given(20, 30)].into_iter().for_each(|it| words.give_up(it));
        assert_eq!(words.given_up, [given(5, 7), given(20, 30)]);
        assert_eq!((words.first(), words.are_ripe(4), words.are_ripe(5)), (5, false, true));
        let ripe = words.take_ripe(25);
        assert_eq!((ripe.given_up.as_slice(), ripe.ack), ([given(5, 7), given(20, 25)].as_slice(), 25));
        assert_eq!(words.given_up, [given(26, 30)]);
        words.put_back(ripe);
        assert_eq!((words.first(), words.take_ripe(30).ack), (5, 30));
    }

    #[test]
    fn a_flood_of_them_stays_bounded_and_counted() {
        let mut words = Words::default();
        (1..=1000).for_each(|n| words.give_up(given(2 * n, 2 * n)));
        assert_eq!(words.given_up.len(), MOST);
        assert_eq!(words.given_up.iter().map(|given| given.records).sum::<u64>(), 1000);
    }
}
