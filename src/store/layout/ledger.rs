//! What must outlive every segment: store id, start number, gaps, acknowledgements.
//!
//! The file has two copies in slots of fixed size. They are written one after the other, each
//! flushed, so at every moment at least one is whole; the space is reserved at the first start.
//! Each copy has a generation of its own: the older of two whole ones is on the disk for sure.

use super::bytes::{Reader, put_name};
use super::header::{self, Opened};
use crate::store::gap::{Cause, Dropped, Gap, Gaps};
use crate::store::{ChainKey, StoreId};

const MAGIC: [u8; 8] = *b"WEIRLDG\n";
/// The bytes reserved for one copy.
pub(crate) const SLOT: usize = 64 * 1024;
/// The bytes of the whole file.
pub(crate) const SIZE: u64 = 2 * SLOT as u64;
/// Gaps kept one by one for a chain in a store of few chains; when there are more, old ones become one.
const MOST_GAPS: usize = 32;
/// The same in a store with all chains it can have.
const LEAST_GAPS: usize = 10;
/// Chains a store can have: what fits into a slot.
pub(crate) const CHAINS: usize = 100;

/// How many gaps each of `chains` chains may keep, so that all of them fit into a slot.
pub(crate) fn gaps_of_each(chains: usize) -> usize {
    (CHAINS * LEAST_GAPS / chains.max(1)).clamp(LEAST_GAPS, MOST_GAPS)
}

/// One copy of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ledger {
    /// Counts the copies written; the higher of two whole copies is true.
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
    pub(crate) gaps: Gaps,
}

impl Ledger {
    /// The bytes of a copy. Gaps beyond what fits are joined.
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

    fn read(body: &[u8], version: u32) -> Option<Self> {
        let mut reader = Reader(body);
        let generation = reader.u64()?;
        let id = StoreId(reader.take(16)?.try_into().ok()?);
        let (start, count) = (reader.u32()?, reader.u16()?);
        let one = |reader: &mut Reader<'_>| if version == 1 { old_entry(reader) } else { entry(reader) };
        let chains = (0..count).map(|_| one(&mut reader)).collect::<Option<_>>()?;
        Some(Self { generation, id, start, chains })
    }
}

fn put_entry(out: &mut Vec<u8>, chain: &Entry) {
    put_name(out, &chain.key.queue);
    out.push(chain.key.class);
    out.extend_from_slice(&chain.ack.to_le_bytes());
    out.extend_from_slice(&short(chain.gaps.last_id).to_le_bytes());
    chain.gaps.dropped.0.iter().for_each(|count| out.extend_from_slice(&count.to_le_bytes()));
    out.push(u8::try_from(chain.gaps.list.len()).expect("gaps are bounded"));
    for gap in &chain.gaps.list {
        for number in [gap.first, gap.last, gap.records] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&short(gap.id).to_le_bytes());
        out.push(gap.cause.code());
        out.push(u8::from(gap.told) | u8::from(gap.exact) << 1);
        for time in [gap.from_ms, gap.to_ms, gap.noted_ms] {
            out.extend_from_slice(&time_bytes(time));
        }
    }
}

/// Ids are 32 bits on the disk: one gap a second for a century.
fn short(id: u64) -> u32 {
    u32::try_from(id).unwrap_or(u32::MAX)
}

/// 48 bits of milliseconds; all zero when it is not known.
fn time_bytes(time: Option<i64>) -> [u8; 6] {
    let bytes = time.unwrap_or(0).max(0).to_le_bytes();
    std::array::from_fn(|place| bytes[place])
}

fn time(reader: &mut Reader<'_>) -> Option<Option<i64>> {
    let mut bytes = [0; 8];
    bytes[..6].copy_from_slice(reader.take(6)?);
    let time = i64::from_le_bytes(bytes);
    Some((time != 0).then_some(time))
}

fn entry(reader: &mut Reader<'_>) -> Option<Entry> {
    let key = ChainKey { queue: reader.name()?, class: reader.u8()? };
    let (ack, last_id) = (reader.u64()?, u64::from(reader.u32()?));
    let mut dropped = Dropped::default();
    for count in &mut dropped.0 {
        *count = reader.u64()?;
    }
    let count = reader.u8()?;
    let list = (0..count).map(|_| gap(reader)).collect::<Option<_>>()?;
    Some(Entry { key, ack, gaps: Gaps { list, dropped, last_id } })
}

fn gap(reader: &mut Reader<'_>) -> Option<Gap> {
    let (first, last, records) = (reader.u64()?, reader.u64()?, reader.u64()?);
    let (id, cause, flags) = (u64::from(reader.u32()?), Cause::of(reader.u8()?), reader.u8()?);
    let (from_ms, to_ms, noted_ms) = (time(reader)?, time(reader)?, time(reader)?);
    let (told, exact) = (flags & 1 != 0, flags & 2 != 0);
    Some(Gap { id, first, last, records, cause, from_ms, to_ms, noted_ms, told, exact })
}

/// Format 1 knew neither times nor counters by cause, and joined old gaps without saying so.
fn old_entry(reader: &mut Reader<'_>) -> Option<Entry> {
    let key = ChainKey { queue: reader.name()?, class: reader.u8()? };
    let (ack, lost, count) = (reader.u64()?, reader.u64()?, reader.u8()?);
    let mut gaps = Gaps::default();
    for id in 1..=u64::from(count) {
        let (first, last, cause) = (reader.u64()?, reader.u64()?, Cause::of(reader.u8()?));
        let (records, exact) = ((last + 1).checked_sub(first)?, cause != Cause::Several);
        let (from_ms, to_ms, noted_ms) = (None, None, None);
        gaps.list.push(Gap { id, first, last, records, cause, from_ms, to_ms, noted_ms, told: false, exact });
        gaps.last_id = id;
    }
    gaps.dropped.0[usize::from(Cause::Several.code())] = lost;
    Some(Entry { key, ack, gaps })
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
        Some(Opened::Body { body, version }) => Ledger::read(body, version).map_or(Slot::Bad, Slot::Good),
        None => Slot::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;

    fn gap(n: u64) -> Gap {
        let (from_ms, to_ms, noted_ms) = (Some(1_790_000_000_000 + n as i64), None, Some(1));
        let (first, last, told, exact) = (10 * n, 10 * n + 1, n.is_multiple_of(2), n.is_multiple_of(3));
        Gap { id: 0, first, last, records: 2, cause: Cause::Quota, from_ms, to_ms, noted_ms, told, exact }
    }

    #[test]
    fn a_ledger_comes_back_and_the_largest_fits() {
        for chains in [1, CHAINS / 3, CHAINS / 2, CHAINS] {
            let key = ChainKey { queue: Name::new(&"x".repeat(64)).unwrap(), class: 3 };
            let mut chain = Entry { key, ack: 0, gaps: Gaps::default() };
            (0..gaps_of_each(chains) as u64).for_each(|n| chain.gaps.add(gap(n), u64::MAX));
            assert_eq!(chain.gaps.list.len(), gaps_of_each(chains));
            let ledger = Ledger { generation: 4, id: StoreId([7; 16]), start: 5, chains: vec![chain; chains] };
            let bytes = ledger.encode();
            assert!(bytes.len() <= SLOT, "{} with {chains}", bytes.len());
            assert!(matches!(judge(&bytes), Slot::Good(found) if found == ledger));
            assert!(matches!(judge(&bytes[1..]), Slot::Bad));
        }
    }

    #[test]
    fn a_ledger_of_the_first_format_is_understood() {
        let mut body = Vec::new();
        body.extend_from_slice(&4_u64.to_le_bytes());
        body.extend_from_slice(&[7; 16]);
        body.extend_from_slice(&5_u32.to_le_bytes());
        body.extend_from_slice(&1_u16.to_le_bytes());
        put_name(&mut body, &Name::new("cloud").unwrap());
        body.push(2);
        [90, 12].iter().for_each(|number: &u64| body.extend_from_slice(&number.to_le_bytes()));
        body.push(1);
        [95, 99].iter().for_each(|number: &u64| body.extend_from_slice(&number.to_le_bytes()));
        body.push(Cause::Damage.code());
        let mut bytes = header::seal(&MAGIC, &body);
        bytes[8..12].copy_from_slice(&1_u32.to_le_bytes());
        let sum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..32]), &body);
        bytes[32..36].copy_from_slice(&sum.to_le_bytes());
        let Slot::Good(ledger) = judge(&bytes) else { panic!("it is not understood") };
        let gaps = &ledger.chains[0].gaps;
        assert_eq!((ledger.start, ledger.chains[0].ack, gaps.dropped.lost()), (5, 90, 12));
        assert_eq!((gaps.list[0].first, gaps.list[0].records, gaps.list[0].cause), (95, 5, Cause::Damage));
    }
}
