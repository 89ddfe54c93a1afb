//! The end of a sealed segment: which labels its records have.
//!
//! A label is 64 bits that a consumer derives from a record; kept is a *print* of 32 bits. All prints are there, in
//! ascending order, so that what is not among them is certainly not in the segment. They are written without a flush
//! of their own: who finds none, or others than expected, knows nothing, and that is safe.

use super::BLOCK;
use super::bytes::Reader;
use super::header::{self, Opened};

const MAGIC: [u8; 8] = *b"WEIRLBL\n";
/// What comes before the prints, in bytes.
const HEAD: usize = 36 + 12;
/// Segments of this size and above have room for some thousand prints, smaller ones for a thousand.
const LARGE: u64 = 4 << 20;
/// Smaller segments have none.
const SMALLEST: u64 = 32 << 10;

/// The bytes that a new segment of this size keeps free for them.
pub(crate) const fn room(size: u64) -> u32 {
    match size {
        LARGE.. => 4 * BLOCK as u32,
        SMALLEST.. => BLOCK as u32,
        _ => 0,
    }
}

/// How many prints there is room for.
pub(crate) const fn most(room: u32) -> usize {
    (room as usize).saturating_sub(HEAD) / 4
}

/// What is kept of a label.
pub(crate) fn print(label: u64) -> u32 {
    // FNV mixes its upper bits less well than its lower ones.
    ((label ^ label >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

/// The prints of a segment, ascending, whose last record is `upto`; they must fit.
pub(crate) fn encode(epoch: u32, upto: u64, prints: impl Iterator<Item = u32>) -> Vec<u8> {
    let mut body = Vec::with_capacity(12 + 4 * prints.size_hint().0);
    body.extend_from_slice(&epoch.to_le_bytes());
    body.extend_from_slice(&upto.to_le_bytes());
    prints.for_each(|print| body.extend_from_slice(&print.to_le_bytes()));
    let mut bytes = header::seal(&MAGIC, &body);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

/// The prints of this use of the segment, if its last record is `upto`. A segment that got more records after they
/// were written has others.
pub(crate) fn judge(bytes: &[u8], epoch: u32, upto: u64) -> Option<Vec<u32>> {
    let Some(Opened::Body { body, .. }) = header::open(&MAGIC, bytes) else { return None };
    let mut reader = Reader(body);
    let same = (reader.u32()?, reader.u64()?) == (epoch, upto);
    same.then(|| std::iter::from_fn(|| reader.u32()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_come_back_for_this_use_and_this_end_only_and_damage_is_seen() {
        let prints: Vec<u32> = (0..1000).map(|n| n * 77).collect();
        let bytes = encode(7, 99, prints.iter().copied());
        assert_eq!(bytes.len(), BLOCK);
        assert_eq!(judge(&bytes, 7, 99), Some(prints));
        assert_eq!((judge(&bytes, 8, 99), judge(&bytes, 7, 98), judge(&bytes, 7, 100)), (None, None, None));
        for at in 0..HEAD + 4000 {
            let mut rotten = bytes.clone();
            rotten[at] ^= 1;
            assert_eq!(judge(&rotten, 7, 99), None, "byte {at}");
        }
        assert_eq!(judge(&[], 7, 99), None);
    }

    #[test]
    fn as_many_fit_as_is_said() {
        for size in [SMALLEST, LARGE] {
            let most = most(room(size));
            assert_eq!(encode(1, 1, 0..most as u32).len(), room(size) as usize);
        }
        assert_eq!(most(room(SMALLEST - 1)), 0);
    }

    #[test]
    fn prints_differ_where_labels_do() {
        let prints: std::collections::HashSet<u32> = (0..10_000).map(print).collect();
        assert!(prints.len() > 9_990);
    }
}
