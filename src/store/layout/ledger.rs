//! What must outlive every segment: store id, start number, told gaps, acknowledgements.
//!
//! The file has two copies in slots of fixed size. They are written one after the other, each
//! flushed, so at every moment at least one is whole; the space is reserved at the first start.

use super::bytes::{Reader, put_name};
use super::header::{self, Opened};
use crate::store::{Cause, ChainKey, Gap, StoreId};

const MAGIC: [u8; 8] = *b"WEIRLDG\n";
/// The bytes reserved for one copy.
pub(crate) const SLOT: usize = 64 * 1024;
/// The bytes of the whole file.
pub(crate) const SIZE: u64 = 2 * SLOT as u64;
/// Gaps kept one by one for a chain; when there are more, the two oldest become one.
pub(crate) const GAPS: usize = 16;
/// Chains a store can have: what fits into a slot.
pub(crate) const CHAINS: usize = 100;

/// One copy of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ledger {
    /// Counts the writes; the higher of two whole copies is true.
    pub(crate) generation: u64,
    pub(crate) id: StoreId,
    /// The last start number that was given out.
    pub(crate) start: u32,
    pub(crate) chains: Vec<Entry>,
}

/// What the ledger knows of one chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: ChainKey,
    /// Everything up to here is delivered.
    pub(crate) ack: u64,
    /// Sequences lost since the store was made, over all gaps.
    pub(crate) lost: u64,
    /// Oldest first.
    pub(crate) gaps: Vec<Gap>,
}

impl Entry {
    pub(crate) fn new(key: ChainKey) -> Self {
        Self { key, ack: 0, lost: 0, gaps: Vec::new() }
    }

    /// Adds a gap, in order; neighbours of one cause become one, and so do the oldest when there are too many.
    pub(crate) fn tell(&mut self, gap: Gap) {
        self.lost += gap.last - gap.first + 1;
        let place = self.gaps.partition_point(|other| other.first < gap.first);
        match place.checked_sub(1).and_then(|before| self.gaps.get_mut(before)) {
            Some(before) if before.cause == gap.cause && before.last + 1 == gap.first => before.last = gap.last,
            _ => self.gaps.insert(place, gap),
        }
        if self.gaps.len() > GAPS {
            let second = self.gaps.remove(1);
            let first = &mut self.gaps[0];
            first.last = first.last.max(second.last);
            first.cause = if first.cause == second.cause { first.cause } else { Cause::Several };
        }
    }

    /// The part of a range that is left when what was told already is taken from both ends.
    pub(crate) fn news(&self, mut first: u64, mut last: u64) -> (u64, u64) {
        for gap in &self.gaps {
            if gap.first <= first && first <= gap.last {
                first = gap.last + 1;
            }
        }
        for gap in self.gaps.iter().rev() {
            if gap.first <= last && last <= gap.last {
                last = gap.first - 1;
            }
        }
        (first, last)
    }

    /// Whether every sequence of this range was told already.
    pub(crate) fn told(&self, first: u64, last: u64) -> bool {
        let (first, last) = self.news(first, last);
        first > last
    }
}

impl Ledger {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend_from_slice(&self.generation.to_le_bytes());
        body.extend_from_slice(&self.id.0);
        body.extend_from_slice(&self.start.to_le_bytes());
        body.extend_from_slice(&u16::try_from(self.chains.len()).expect("chains are bounded").to_le_bytes());
        for chain in &self.chains {
            put_entry(&mut body, chain);
        }
        header::seal(&MAGIC, &body)
    }

    fn read(body: &[u8]) -> Option<Self> {
        let mut reader = Reader(body);
        let generation = reader.u64()?;
        let id = StoreId(reader.take(16)?.try_into().ok()?);
        let (start, count) = (reader.u32()?, reader.u16()?);
        let chains = (0..count).map(|_| entry(&mut reader)).collect::<Option<_>>()?;
        Some(Self { generation, id, start, chains })
    }
}

fn put_entry(out: &mut Vec<u8>, chain: &Entry) {
    put_name(out, &chain.key.queue);
    out.push(chain.key.class);
    out.extend_from_slice(&chain.ack.to_le_bytes());
    out.extend_from_slice(&chain.lost.to_le_bytes());
    out.push(u8::try_from(chain.gaps.len()).expect("gaps are bounded"));
    for gap in &chain.gaps {
        out.extend_from_slice(&gap.first.to_le_bytes());
        out.extend_from_slice(&gap.last.to_le_bytes());
        out.push(gap.cause.code());
    }
}

fn entry(reader: &mut Reader<'_>) -> Option<Entry> {
    let key = ChainKey { queue: reader.name()?, class: reader.u8()? };
    let (ack, lost, count) = (reader.u64()?, reader.u64()?, reader.u8()?);
    let gap = |reader: &mut Reader<'_>| {
        let (first, last) = (reader.u64()?, reader.u64()?);
        Some(Gap { first, last, cause: Cause::of(reader.u8()?) })
    };
    let gaps = (0..count).map(|_| gap(reader)).collect::<Option<_>>()?;
    Some(Entry { key, ack, lost, gaps })
}

/// What a slot holds.
pub(crate) enum Slot {
    Good(Ledger),
    Bad,
    Newer { version: u32, writer: String },
}

/// Judges one slot.
pub(crate) fn judge(bytes: &[u8]) -> Slot {
    match header::open(&MAGIC, bytes) {
        Some(Opened::Newer { version, writer }) => Slot::Newer { version, writer },
        Some(Opened::Body(body)) => Ledger::read(body).map_or(Slot::Bad, Slot::Good),
        None => Slot::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;

    fn entry(name: &str) -> Entry {
        Entry::new(ChainKey { queue: Name::new(name).unwrap(), class: 3 })
    }

    fn quota(first: u64, last: u64) -> Gap {
        Gap { first, last, cause: Cause::Quota }
    }

    #[test]
    fn a_ledger_comes_back_and_the_largest_fits() {
        let mut chain = entry(&"x".repeat(64));
        (0..GAPS as u64).for_each(|n| chain.tell(quota(10 * n, 10 * n + 1)));
        let ledger = Ledger { generation: 4, id: StoreId([7; 16]), start: 5, chains: vec![chain; CHAINS] };
        let bytes = ledger.encode();
        assert!(bytes.len() <= SLOT, "{}", bytes.len());
        assert!(matches!(judge(&bytes), Slot::Good(found) if found == ledger));
        assert!(matches!(judge(&bytes[1..]), Slot::Bad));
    }

    #[test]
    fn gaps_join_and_stay_bounded() {
        let mut chain = entry("a");
        chain.tell(quota(1, 10));
        chain.tell(quota(11, 20));
        assert_eq!(chain.gaps, [quota(1, 20)]);
        for n in 0..40 {
            chain.tell(Gap { first: 100 + 10 * n, last: 101 + 10 * n, cause: Cause::Damage });
        }
        assert_eq!(chain.gaps.len(), GAPS);
        assert_eq!((chain.lost, chain.gaps[0].first, chain.gaps[0].cause), (100, 1, Cause::Several));
        assert!(chain.told(5, 20) && chain.told(490, 491) && !chain.told(490, 492));
    }
}
