//! One chain of the store on one connection: what was sent, what was acknowledged, what has to go again.
//!
//! Invariant: the store is told only of a prefix in which every record is done; a record that was
//! refused goes again together with all later ones of its topic, so that the last one to arrive at
//! the cloud is the newest.

use std::collections::{BTreeMap, HashMap, VecDeque};

/// Records remembered behind the first one that is not done; more are not sent before it is.
const SPAN: usize = 4096;

/// What became of a record on this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Read, and waiting in an open batch.
    Held,
    /// Sent under this packet id (0 at QoS 0), and not answered.
    Flying(u16),
    /// Delivered, or given up for good.
    Done,
    /// To be sent again when it is read again.
    Again,
    /// Put aside for a while; see [`Lane::park`].
    Parked,
    /// Set aside for good as soon as its dead letter is kept.
    Leaving,
}

#[derive(Debug)]
struct Entry {
    topic: u64,
    tries: u32,
    /// A batch with this record in it was refused for good: it goes by itself from now on.
    alone: bool,
    state: State,
}

impl Entry {
    fn new(topic: u64, state: State) -> Self {
        Self { topic, tries: 0, alone: false, state }
    }
}

/// The state of one chain on one connection; `R` is a record as read from the store.
#[derive(Debug)]
pub(super) struct Lane<R> {
    /// Read, not sent yet, with their sequence numbers.
    waiting: VecDeque<(u64, R)>,
    /// Put aside: sequence number, until when, record.
    parked: VecDeque<(u64, u64, R)>,
    /// Where to read on.
    read_from: u64,
    entries: BTreeMap<u64, Entry>,
    done_upto: Option<u64>,
    told_upto: Option<u64>,
}

impl<R> Lane<R> {
    /// A lane whose first record that is not acknowledged is `first`.
    pub(super) fn new(first: u64) -> Self {
        Self {
            waiting: VecDeque::new(),
            parked: VecDeque::new(),
            read_from: first,
            entries: BTreeMap::new(),
            done_upto: None,
            told_upto: None,
        }
    }

    /// Where to read on, when nothing is waiting.
    pub(super) fn hungry(&self) -> Option<u64> {
        self.waiting.is_empty().then_some(self.read_from)
    }

    /// Records that were read from [`Lane::hungry`] on, in order.
    pub(super) fn feed(&mut self, records: impl IntoIterator<Item = (u64, R)>) {
        let from = self.read_from;
        self.waiting.extend(records);
        let Some(&(last, _)) = self.waiting.back() else { return };
        self.read_from = last + 1;
        // What should go again and is not there any more was dropped from the store meanwhile.
        let waiting = &self.waiting;
        let is_there = |sequence: &u64| waiting.binary_search_by_key(sequence, |(there, _)| *there).is_ok();
        for (sequence, entry) in self.entries.range_mut(from..=last) {
            if entry.state == State::Again && !is_there(sequence) {
                entry.state = State::Done;
            }
        }
        self.settle();
    }

    /// From [`Lane::hungry`] up to here nothing will ever be read: the last records of the chain are missing.
    pub(super) fn pass(&mut self, upto: u64) {
        if !self.waiting.is_empty() || upto < self.read_from {
            return;
        }
        for (_, entry) in self.entries.range_mut(self.read_from..=upto) {
            if entry.state == State::Again {
                entry.state = State::Done;
            }
        }
        self.entries.entry(upto).or_insert(Entry::new(0, State::Done));
        self.read_from = upto + 1;
        self.settle();
    }

    /// The sequence number of the next record to send, when there is one and it may go.
    pub(super) fn next(&mut self) -> Option<u64> {
        while let Some((sequence, _)) = self.waiting.front() {
            match self.entries.get(sequence).map(|entry| entry.state) {
                Some(State::Held | State::Parked | State::Leaving | State::Flying(_) | State::Done) => {
                    drop(self.waiting.pop_front())
                }
                Some(State::Again) => return Some(*sequence),
                None if self.entries.len() >= SPAN => return None,
                None if self.done_upto.is_some_and(|upto| *sequence <= upto) => drop(self.waiting.pop_front()),
                None => return Some(*sequence),
            }
        }
        None
    }

    /// Takes the record of [`Lane::next`].
    pub(super) fn take(&mut self) -> Option<(u64, R)> {
        self.next()?;
        self.waiting.pop_front()
    }

    /// A record that was taken and cannot go yet is the next one again.
    pub(super) fn put_back(&mut self, sequence: u64, record: R) {
        self.waiting.push_front((sequence, record));
    }

    /// Puts a record that was just taken aside, so that others can go. `until` says when it is to go at the latest.
    pub(super) fn park(&mut self, sequence: u64, topic: u64, until: u64, record: R) {
        let entry =
            self.entries.entry(sequence).or_insert(Entry { topic, tries: 0, alone: false, state: State::Parked });
        entry.state = State::Parked;
        self.parked.push_back((sequence, until, record));
    }

    /// Until when a record of this topic has been put aside.
    pub(super) fn parked_until(&self, topic: u64) -> Option<u64> {
        let of_topic = |sequence| self.entries.get(sequence).is_some_and(|entry| entry.topic == topic);
        self.parked.iter().find(|(sequence, _, _)| of_topic(sequence)).map(|(_, until, _)| *until)
    }

    /// Takes records back whose time has come, oldest first.
    pub(super) fn unpark(&mut self, ripe: impl Fn(u64) -> bool) {
        while self.parked.front().is_some_and(|(_, until, _)| ripe(*until))
            && let Some((sequence, _, record)) = self.parked.pop_front()
        {
            if let Some(entry) = self.entries.get_mut(&sequence) {
                entry.state = State::Again;
            }
            let place = self.waiting.partition_point(|(other, _)| *other < sequence);
            self.waiting.insert(place, (sequence, record));
        }
    }

    /// Whether something is put aside.
    pub(super) fn has_parked(&self) -> bool {
        !self.parked.is_empty()
    }

    /// Everything before this was taken.
    pub(super) fn position(&self) -> u64 {
        self.waiting.front().map_or(self.read_from, |(first, _)| *first)
    }

    /// `sequence`, of a topic with this hash, went out under packet id `id`.
    pub(super) fn sent(&mut self, sequence: u64, topic: u64, id: u16) {
        self.entries.entry(sequence).or_insert(Entry::new(topic, State::Again)).state = State::Flying(id);
    }

    /// `sequence`, of a topic with this hash, is taken and waits in an open batch.
    pub(super) fn hold(&mut self, sequence: u64, topic: u64) {
        self.entries.entry(sequence).or_insert(Entry::new(topic, State::Again)).state = State::Held;
    }

    /// As many are remembered as may be: nothing more is sent before the first one is done.
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= SPAN
    }

    /// Whether `sequence` has to go by itself.
    pub(super) fn is_alone(&self, sequence: u64) -> bool {
        self.entries.get(&sequence).is_some_and(|entry| entry.alone)
    }

    /// A batch of these was refused for good: each goes by itself from now on.
    pub(super) fn part(&mut self, sequences: &[u64]) {
        for sequence in sequences {
            if let Some(entry) = self.entries.get_mut(sequence) {
                entry.alone = true;
            }
        }
    }

    /// `sequence` is delivered, unless it has to go again since `id` was sent. Says whether it is.
    pub(super) fn acknowledged(&mut self, sequence: u64, id: u16) -> bool {
        let flying = self.entries.get_mut(&sequence).filter(|entry| entry.state == State::Flying(id));
        let is_done = flying.map(|entry| entry.state = State::Done).is_some();
        if is_done {
            self.settle();
        }
        is_done
    }

    /// `sequence` will be given up for good, and is not sent any more.
    pub(super) fn leave(&mut self, sequence: u64) {
        self.entries.entry(sequence).or_insert(Entry::new(0, State::Leaving)).state = State::Leaving;
    }

    /// `sequence` is given up for good.
    pub(super) fn set_aside(&mut self, sequence: u64) {
        self.entries.entry(sequence).or_insert(Entry::new(0, State::Done)).state = State::Done;
        self.settle();
    }

    /// How often `sequence` was refused for good, this time included if it is `permanent`.
    /// `None` when it is done, or flies again under another packet id.
    pub(super) fn refused(&mut self, sequence: u64, id: u16, permanent: bool) -> Option<u32> {
        let entry = self.entries.get_mut(&sequence)?;
        entry.tries += u32::from(permanent);
        [State::Flying(id), State::Again].contains(&entry.state).then_some(entry.tries)
    }

    /// The hash of the topic of `sequence`, if it was sent and is not done.
    pub(super) fn topic(&self, sequence: u64) -> Option<u64> {
        self.entries.get(&sequence).map(|entry| entry.topic)
    }

    /// These records and all later ones of their topics go again, and with them whatever waits in a batch.
    pub(super) fn again(&mut self, sequences: &[u64]) {
        let mut first_of: HashMap<u64, u64> = HashMap::new();
        for sequence in sequences {
            if let Some(entry) = self.entries.get(sequence) {
                let first = first_of.entry(entry.topic).or_insert(*sequence);
                *first = (*first).min(*sequence);
            }
        }
        // What waits is read again too; it may hold older ones that have to go again.
        let mut from = self.waiting.front().map_or(self.read_from, |(first, _)| *first);
        for (sequence, entry) in &mut self.entries {
            let late = first_of.get(&entry.topic).is_some_and(|first| first <= sequence);
            if entry.state != State::Leaving && (late || entry.state == State::Held) {
                entry.state = State::Again;
                from = from.min(*sequence);
            }
        }
        let entries = &self.entries;
        self.parked.retain(|(parked, _, _)| entries.get(parked).is_some_and(|entry| entry.state == State::Parked));
        self.read_from = self.read_from.min(from);
        self.waiting.clear();
    }

    /// Everything up to here is done, when that has grown since it was last asked.
    pub(super) fn newly_done(&mut self) -> Option<u64> {
        let grown = self.done_upto > self.told_upto;
        self.told_upto = self.done_upto;
        self.done_upto.filter(|_| grown)
    }

    fn settle(&mut self) {
        while let Some(first) = self.entries.first_entry()
            && first.get().state == State::Done
        {
            self.done_upto = Some(*first.key());
            first.remove();
        }
    }
}

#[cfg(test)]
mod tests;
