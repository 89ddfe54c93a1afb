//! One commit: a head, acknowledgements of other chains, records.
//!
//! `len | crc | epoch | flags u16 | acks u16 | count | start | first u64 | after u64 | ack u64`,
//! little-endian, 32 bits where nothing is said, then `(mark u64, ack u64)` for each of `acks`,
//! then `(varint length, bytes)` for each record. The checksum is CRC-32C over everything behind
//! it, seeded with the segment's epoch.

use super::bytes::{Reader, put_varint, varint_len};
use crate::store::leave_out::{Step, is_left_out};

/// The bytes of a head.
pub(crate) const HEAD: usize = 48;
/// The bytes of one acknowledgement.
pub(crate) const ACK: usize = 16;
/// Where frames may begin inside a block.
pub(crate) const ALIGN: usize = 16;

/// What a frame says before its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// How many records there are.
    pub(crate) count: u32,
    /// The run that made them.
    pub(crate) start: u32,
    /// The sequence of the first record; the others follow without holes.
    pub(crate) first: u64,
    /// The last sequence this chain had on the disk before; what lies between needed no storing.
    pub(crate) after: u64,
    /// Everything up to here is delivered.
    pub(crate) ack: u64,
}

impl Head {
    /// The sequence of the last record; `first - 1` without records.
    pub(crate) fn last(&self) -> u64 {
        (self.first + u64::from(self.count)).saturating_sub(1)
    }
}

/// A frame that passed its checksum.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) head: Head,
    /// Its length in bytes, head included.
    pub(crate) len: usize,
    acks: &'a [u8],
    body: &'a [u8],
}

/// Why there is no frame here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoFrame {
    /// Nothing of this use of the segment.
    Empty,
    /// It begins like a frame of this use and is not whole.
    Broken,
    /// It begins like a frame of this use and goes on behind the bytes at hand: its length.
    Longer(usize),
}

/// The bytes a record takes in a frame.
pub(crate) fn record_len(bytes: usize) -> usize {
    varint_len(bytes) + bytes
}

/// The bytes that records take in a frame.
pub(crate) fn records_len(records: &[impl AsRef<[u8]>]) -> usize {
    records.iter().map(|record| record_len(record.as_ref().len())).sum()
}

/// Builds a frame.
pub(crate) fn encode(epoch: u32, head: &Head, acks: &[(u64, u64)], records: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let len = HEAD + acks.len() * ACK + records_len(records);
    let mut out = Vec::with_capacity(len);
    out.extend_from_slice(&u32::try_from(len).expect("a frame fits into a segment").to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&epoch.to_le_bytes());
    out.extend_from_slice(&0_u16.to_le_bytes());
    out.extend_from_slice(&u16::try_from(acks.len()).expect("chains are few").to_le_bytes());
    out.extend_from_slice(&head.count.to_le_bytes());
    out.extend_from_slice(&head.start.to_le_bytes());
    for number in [head.first, head.after, head.ack] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for (mark, ack) in acks {
        out.extend_from_slice(&mark.to_le_bytes());
        out.extend_from_slice(&ack.to_le_bytes());
    }
    for record in records {
        put_varint(&mut out, record.as_ref().len());
        out.extend_from_slice(record.as_ref());
    }
    let sum = checksum(epoch, &out);
    out[4..8].copy_from_slice(&sum.to_le_bytes());
    out
}

fn checksum(epoch: u32, frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(epoch, &frame[..4]), &frame[8..])
}

/// Whether a frame of this use of the segment may begin here; cheap.
pub(crate) fn may_begin(bytes: &[u8], epoch: u32) -> bool {
    bytes.get(8..12) == Some(&epoch.to_le_bytes())
}

/// Reads the frame at the front of `bytes`.
pub(crate) fn decode(bytes: &[u8], epoch: u32) -> Result<Frame<'_>, NoFrame> {
    let mut reader = Reader(bytes);
    let (Some(len), Some(sum), Some(found)) = (reader.u32(), reader.u32(), reader.u32()) else {
        return Err(NoFrame::Empty);
    };
    if found != epoch || len == 0 {
        return Err(NoFrame::Empty);
    }
    let len = usize::try_from(len).map_err(|_| NoFrame::Broken)?;
    if len < HEAD {
        return Err(NoFrame::Broken);
    }
    let whole = bytes.get(..len).ok_or(NoFrame::Longer(len))?;
    if checksum(epoch, whole) != sum && !is_left_out(Step::FrameSum) {
        return Err(NoFrame::Broken);
    }
    parse(whole).ok_or(NoFrame::Broken)
}

fn parse(whole: &[u8]) -> Option<Frame<'_>> {
    let mut reader = Reader(whole.get(12..)?);
    let (_flags, acks) = (reader.u16()?, reader.u16()?);
    let (count, start) = (reader.u32()?, reader.u32()?);
    let (first, after, ack) = (reader.u64()?, reader.u64()?, reader.u64()?);
    let acks = reader.take(usize::from(acks) * ACK)?;
    Some(Frame { head: Head { count, start, first, after, ack }, len: whole.len(), acks, body: reader.0 })
}

impl<'a> Frame<'a> {
    /// What it says of other chains: mark and acknowledged sequence.
    pub(crate) fn acks(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut reader = Reader(self.acks);
        std::iter::from_fn(move || Some((reader.u64()?, reader.u64()?)))
    }

    /// Its records with their sequences.
    pub(crate) fn records(&self) -> impl Iterator<Item = (u64, &'a [u8])> {
        let mut reader = Reader(self.body);
        (self.head.first..).take(self.head.count as usize).map_while(move |sequence| {
            let len = reader.varint()?;
            Some((sequence, reader.take(len)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Head, Vec<u8>) {
        let head = Head { count: 3, start: 9, first: 41, after: 38, ack: 40 };
        let records: [&[u8]; 3] = [b"one", b"", &[7; 300]];
        (head, encode(0x1234, &head, &[(5, 6), (7, 8)], &records))
    }

    #[test]
    fn a_frame_comes_back() {
        let (head, bytes) = sample();
        let frame = decode(&bytes, 0x1234).unwrap();
        assert_eq!((frame.head, frame.len, frame.head.last()), (head, bytes.len(), 43));
        assert_eq!(frame.acks().collect::<Vec<_>>(), [(5, 6), (7, 8)]);
        let records: Vec<_> = frame.records().collect();
        assert_eq!(records, [(41, b"one".as_slice()), (42, b"".as_slice()), (43, [7; 300].as_slice())]);
    }

    #[test]
    fn every_single_flipped_bit_is_seen() {
        let (_, bytes) = sample();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&flipped, 0x1234).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn another_use_of_the_segment_never_passes() {
        let (_, mut bytes) = sample();
        assert_eq!(decode(&bytes, 0x1235).unwrap_err(), NoFrame::Empty);
        bytes[8..12].copy_from_slice(&0x1235_u32.to_le_bytes());
        assert_eq!(decode(&bytes, 0x1235).unwrap_err(), NoFrame::Broken);
        assert_eq!(decode(&[0; 64], 0).unwrap_err(), NoFrame::Empty);
    }

    #[test]
    fn a_cut_frame_says_how_long_it_wants_to_be() {
        let (_, bytes) = sample();
        assert_eq!(decode(&bytes[..100], 0x1234).unwrap_err(), NoFrame::Longer(bytes.len()));
    }
}
