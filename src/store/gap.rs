//! What is missing: gaps, their causes, and the counters of what was dropped.

use std::fmt;

/// Why records are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The oldest segment made room at the quota.
    Quota,
    /// The disk gave back something else than was written.
    Damage,
    /// Old gaps of different causes, told as one.
    Several,
    /// The consumer gave them up: they were not worth sending any more.
    Expired,
    /// The consumer gave them up: the receiver refuses them for good.
    Refused,
    /// Fewer records, made out of them, took their place.
    Thinned,
    /// Somebody deleted them.
    ByHand,
    /// They were taken into memory and then refused, by the quota or by the disk: nobody was told
    /// that they were safe.
    NotKept,
}

impl Cause {
    /// Every cause; the place of a cause here is its number on the disk.
    pub const ALL: [Cause; 8] = [
        Cause::Quota,
        Cause::Damage,
        Cause::Several,
        Cause::Expired,
        Cause::Refused,
        Cause::Thinned,
        Cause::ByHand,
        Cause::NotKept,
    ];

    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    pub(crate) fn of(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(Cause::Several)
    }

    /// One stable word, for documents.
    pub fn word(self) -> &'static str {
        match self {
            Cause::Quota => "quota",
            Cause::Damage => "damage",
            Cause::Several => "several",
            Cause::Expired => "expired",
            Cause::Refused => "refused",
            Cause::Thinned => "thinned",
            Cause::ByHand => "by-hand",
            Cause::NotKept => "not-kept",
        }
    }

    /// The consumer's own decision, about single records between others.
    fn is_given_up(self) -> bool {
        matches!(self, Cause::Expired | Cause::Refused)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// When something was, by the wall clock: first and last, in milliseconds since 1970, as far as known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) from_ms: Option<i64>,
    pub(crate) to_ms: Option<i64>,
}

impl Span {
    /// From one moment to another, in whatever order the clock showed them.
    pub(crate) fn of(one: Option<i64>, other: Option<i64>) -> Self {
        match (one, other) {
            (Some(one), Some(other)) => Self { from_ms: Some(one.min(other)), to_ms: Some(one.max(other)) },
            _ => Self { from_ms: one, to_ms: other },
        }
    }
}

/// Records that were stored and will never be delivered as they were. Both ends belong to it; of the
/// sequences between them some may have been delivered before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Names it within its chain; never used twice.
    pub id: u64,
    /// The first missing sequence.
    pub first: u64,
    /// The last missing sequence.
    pub last: u64,
    /// How many are missing.
    pub records: u64,
    /// Why.
    pub cause: Cause,
    /// About when the first of them was stored, by the wall clock, in milliseconds since 1970.
    pub from_ms: Option<i64>,
    /// About when the last of them was stored.
    pub to_ms: Option<i64>,
    /// When it was noted.
    pub noted_ms: Option<i64>,
    /// The consumer said that its receiver knows.
    pub told: bool,
    /// Nothing between both ends is still to be delivered.
    pub exact: bool,
}

impl Gap {
    /// How many of its records have a higher sequence than `ack`, which it reaches beyond.
    fn beyond(&self, ack: u64) -> u64 {
        if self.first > ack { self.records } else { self.records.min(self.last - ack) }
    }

    /// How many of its records lie between two sequences.
    fn within(&self, first: u64, last: u64) -> u64 {
        if first <= self.first && self.last <= last {
            return self.records;
        }
        if !self.exact {
            return 0;
        }
        let overlap = (self.last.min(last) + 1).saturating_sub(self.first.max(first));
        overlap.min(self.records)
    }

    /// Whether a newer gap may become a part of this one: not when a consumer has read it already, nor when it would
    /// not be known any more that everything in it is missing.
    fn takes(&self, gap: &Gap, seen: u64) -> bool {
        let free = self.told == gap.told && (self.told || self.id > seen);
        let follows = self.last + 1 == gap.first && self.exact == gap.exact;
        free && self.cause == gap.cause && (follows || self.cause.is_given_up())
    }

    fn absorb(&mut self, other: &Gap) {
        self.exact &= other.exact && self.last + 1 == other.first;
        (self.first, self.last) = (self.first.min(other.first), self.last.max(other.last));
        self.records += other.records;
        self.from_ms = earliest(self.from_ms, other.from_ms);
        (self.to_ms, self.noted_ms) = (self.to_ms.max(other.to_ms), self.noted_ms.max(other.noted_ms));
        self.cause = if self.cause == other.cause { self.cause } else { Cause::Several };
        self.told &= other.told;
    }
}

fn earliest(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    [one, other].into_iter().flatten().min()
}

/// How many records were dropped, by cause, since the store was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped(pub(crate) [u64; Cause::ALL.len()]);

impl Dropped {
    /// Those of one cause.
    pub fn of(&self, cause: Cause) -> u64 {
        self.0[usize::from(cause.code())]
    }

    /// Every cause with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Cause, u64)> {
        Cause::ALL.into_iter().zip(self.0)
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// What the store lost without its consumer's doing.
    pub fn lost(&self) -> u64 {
        [Cause::Quota, Cause::Damage, Cause::Several, Cause::ByHand].into_iter().map(|cause| self.of(cause)).sum()
    }

    fn add(&mut self, cause: Cause, records: u64) {
        self.0[usize::from(cause.code())] += records;
    }
}

/// The gaps of one chain, in the order of their first sequences, and what they sum up to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Gaps {
    pub(crate) list: Vec<Gap>,
    pub(crate) dropped: Dropped,
    /// The id of the last gap.
    pub(crate) last_id: u64,
}

impl Gaps {
    /// Adds a gap, counted; its id is given here. Gaps up to the id `seen` do not grow any more.
    pub(crate) fn add(&mut self, mut gap: Gap, seen: u64) {
        self.dropped.add(gap.cause, gap.records);
        if let Some(before) = self.list.iter_mut().rev().find(|other| other.takes(&gap, seen)) {
            before.absorb(&gap);
            self.list.sort_by_key(|gap| gap.first);
            return;
        }
        gap.id = self.new_id();
        let place = self.list.partition_point(|other| other.first < gap.first);
        self.list.insert(place, gap);
    }

    /// Adds what a replacement lacks; it has records behind the gap, up to `last`. Where they are nothing is missing
    /// any more: what an earlier replacement lacked becomes a part of the gap, or ends where it does.
    pub(crate) fn thin(&mut self, gap: Gap, last: u64, seen: u64) {
        let inside = |other: &Gap| gap.first <= other.first && other.last <= last;
        let free = |other: &mut Gap| other.cause == gap.cause && !other.told && other.id > seen && inside(other);
        let before: u64 = self.list.extract_if(.., free).map(|other| other.records).sum();
        for other in self.list.iter_mut().filter(|other| other.last > gap.last && other.first <= last) {
            (other.first, other.last, other.exact) = (other.first.min(gap.last), gap.last, false);
        }
        self.list.sort_by_key(|gap| gap.first);
        self.dropped.0[usize::from(gap.cause.code())] -= before;
        self.add(Gap { records: gap.records + before, ..gap }, seen);
    }

    fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Makes them `most` at most, by joining: what is history (up to `ack`, and told) before what is not.
    pub(crate) fn squeeze(&mut self, most: usize, ack: u64) {
        while self.list.len() > most.max(1) {
            let pair = |good: &dyn Fn(&Gap) -> bool| self.list.windows(2).position(|pair| pair.iter().all(good));
            let history = pair(&|gap| gap.told && gap.last <= ack).or_else(|| pair(&|gap| gap.last <= ack));
            let place = history.unwrap_or(0);
            let second = self.list.remove(place + 1);
            let id = if self.list[place].told && second.told { second.id } else { self.new_id() };
            self.list[place].absorb(&second);
            self.list[place].id = id;
        }
    }

    /// The part of a range that is left when what is missing already is taken from both ends.
    pub(crate) fn news(&self, mut first: u64, mut last: u64, cause: Cause) -> (u64, u64) {
        // What was found damaged once is not counted again, even where the list does not know it exactly any more.
        let joined = |gap: &Gap| cause == Cause::Damage && matches!(gap.cause, Cause::Damage | Cause::Several);
        let covers = |gap: &&Gap| gap.exact || joined(gap);
        for gap in self.list.iter().filter(covers) {
            if gap.first <= first && first <= gap.last {
                first = gap.last + 1;
            }
        }
        for gap in self.list.iter().rev().filter(covers) {
            if gap.first <= last && last <= gap.last {
                last = gap.first - 1;
            }
        }
        (first, last)
    }

    /// How many records of a range are counted as missing.
    pub(crate) fn within(&self, first: u64, last: u64) -> u64 {
        self.list.iter().map(|gap| gap.within(first, last)).sum()
    }

    /// Whether every sequence of this range is missing for sure.
    pub(crate) fn cover(&self, first: u64, last: u64) -> bool {
        let (first, last) = self.news(first, last, Cause::Quota);
        first > last
    }

    /// Whether a sequence went with its whole segment.
    pub(crate) fn dropped_with(&self, sequence: u64) -> bool {
        let whole = |gap: &&Gap| gap.exact && matches!(gap.cause, Cause::Quota | Cause::ByHand);
        self.list.iter().filter(whole).any(|gap| (gap.first..=gap.last).contains(&sequence))
    }

    /// The consumer's receiver knows of a gap; not when it has grown meanwhile.
    pub(crate) fn told(&mut self, id: u64, records: u64) {
        if let Some(gap) = self.list.iter_mut().find(|gap| gap.id == id && gap.records == records) {
            gap.told = true;
        }
    }

    /// The highest sequence that is missing.
    pub(crate) fn last(&self) -> u64 {
        self.list.iter().map(|gap| gap.last).max().unwrap_or(0)
    }
}

/// How many records of all these gaps, in the order of their first sequences, have a higher sequence than `ack`.
pub(crate) fn beyond(gaps: &[Gap], ack: u64) -> u64 {
    // Where nothing is still to be delivered, all is missing from there to the end, on whatever account.
    let whole = gaps.iter().filter(|gap| gap.exact);
    let end = whole.fold(ack, |end, gap| if gap.first <= end { end.max(gap.last) } else { end });
    end - ack + gaps.iter().filter(|gap| gap.last > end).map(|gap| gap.beyond(end)).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(cause: Cause, first: u64, last: u64) -> Gap {
        let records = last - first + 1;
        let (from_ms, to_ms, noted_ms) = (Some(first as i64), Some(last as i64), None);
        Gap { id: 0, first, last, records, cause, from_ms, to_ms, noted_ms, told: false, exact: true }
    }

    fn ranges(gaps: &Gaps) -> Vec<(u64, u64, u64)> {
        gaps.list.iter().map(|gap| (gap.first, gap.last, gap.records)).collect()
    }

    #[test]
    fn neighbours_join_until_somebody_has_read_them() {
        let mut gaps = Gaps::default();
        gaps.add(gap(Cause::Quota, 1, 10), 0);
        gaps.add(gap(Cause::Quota, 11, 20), 0);
        assert_eq!(ranges(&gaps), [(1, 20, 20)]);
        let read = gaps.list[0];
        assert_eq!((read.id, read.from_ms, read.to_ms), (1, Some(1), Some(20)));
        gaps.add(gap(Cause::Quota, 21, 30), read.id);
        assert_eq!(ranges(&gaps), [(1, 20, 20), (21, 30, 10)]);
        gaps.told(read.id, read.records);
        assert_eq!(gaps.list.iter().map(|gap| gap.told).collect::<Vec<_>>(), [true, false]);
        gaps.told(2, 99);
        assert!(!gaps.list[1].told, "it was another gap that was told");
    }

    #[test]
    fn single_records_that_are_given_up_join_and_do_not_hide_what_is_between() {
        let mut gaps = Gaps::default();
        (1..=9).step_by(2).for_each(|sequence| gaps.add(gap(Cause::Expired, sequence, sequence), 0));
        assert_eq!((ranges(&gaps), gaps.list[0].exact), (vec![(1, 9, 5)], false));
        assert!(!gaps.cover(2, 2));
        assert_eq!((beyond(&gaps.list, 0), beyond(&gaps.list, 7), gaps.dropped.of(Cause::Expired)), (5, 2, 5));
    }

    #[test]
    fn what_is_thinned_again_is_missing_where_nothing_is() {
        let mut gaps = Gaps::default();
        gaps.add(gap(Cause::NotKept, 44, 45), 0);
        gaps.add(gap(Cause::Thinned, 30, 34), 0);
        gaps.add(gap(Cause::Thinned, 41, 42), 0);
        gaps.thin(Gap { records: 4, ..gap(Cause::Thinned, 30, 42) }, 50, 0);
        assert_eq!(ranges(&gaps), [(30, 42, 11), (42, 42, 2)]);
        assert!(gaps.cover(30, 42) && !gaps.cover(44, 45));
        assert_eq!((gaps.dropped.of(Cause::Thinned), gaps.dropped.of(Cause::NotKept)), (11, 2));
    }

    #[test]
    fn what_is_dropped_behind_a_gap_that_a_replacement_cut_stays_known_as_missing() {
        let mut gaps = Gaps::default();
        gaps.add(gap(Cause::Quota, 43, 78), 0);
        gaps.thin(Gap { records: 1, ..gap(Cause::Thinned, 38, 74) }, 89, 0);
        gaps.add(gap(Cause::Quota, 75, 89), 0);
        gaps.add(gap(Cause::Quota, 90, 101), 0);
        assert_eq!(ranges(&gaps), [(38, 74, 1), (43, 74, 36), (75, 101, 27)]);
        assert!(gaps.cover(38, 101));
    }

    #[test]
    fn an_acknowledgement_inside_a_gap_with_another_one_in_it_leaves_what_is_missing_behind_it() {
        let (whole, inner) = (Gap { records: 24, ..gap(Cause::Quota, 1, 37) }, gap(Cause::NotKept, 17, 29));
        let missing = [0, 8, 20, 33, 37].map(|ack| beyond(&[whole, inner], ack));
        assert_eq!(missing, [37, 29, 17, 4, 0]);
    }

    #[test]
    fn an_acknowledgement_inside_a_gap_that_a_replacement_cut_leaves_what_is_missing_behind_it() {
        let (whole, cut) = (Gap { records: 7, ..gap(Cause::Thinned, 11, 26) }, gap(Cause::Quota, 22, 26));
        let gaps = [whole, Gap { records: 9, exact: false, ..cut }, gap(Cause::Quota, 30, 31)];
        assert_eq!([10, 11, 19, 24, 26].map(|ack| beyond(&gaps, ack)), [18, 17, 9, 4, 2]);
    }

    #[test]
    fn too_many_become_fewer_and_nothing_living_is_covered_by_that() {
        let mut gaps = Gaps::default();
        (1..=40).for_each(|n| gaps.add(gap(Cause::Damage, 10 * n, 10 * n + 1), 0));
        assert!(gaps.cover(400, 401) && gaps.cover(70, 71) && !gaps.cover(70, 72));
        gaps.squeeze(10, 55);
        assert_eq!((gaps.list.len(), gaps.dropped.total(), gaps.within(0, 1000)), (10, 80, 80));
        assert!(gaps.cover(400, 401) && !gaps.cover(72, 79), "what was joined covers nothing any more");
        // Found once more after a restart: not counted again.
        let (first, last) = gaps.news(70, 71, Cause::Damage);
        assert!(first > last);
    }

    #[test]
    fn history_goes_first() {
        let mut gaps = Gaps::default();
        (1..=4).for_each(|n| gaps.add(gap(Cause::Damage, 10 * n, 10 * n), 0));
        (3..=4).for_each(|id| gaps.told(id, 1));
        gaps.squeeze(3, 100);
        assert_eq!(ranges(&gaps), [(10, 10, 1), (20, 20, 1), (30, 40, 2)]);
        assert_eq!(gaps.list.iter().map(|gap| gap.told).collect::<Vec<_>>(), [false, false, true]);
        gaps.squeeze(2, 100);
        assert_eq!(
            (gaps.list[0].told, gaps.list[0].id),
            (false, 5),
            "a joined gap that is not told has a name of its own"
        );
    }
}
