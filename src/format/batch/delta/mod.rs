//! The delta format: a batch as differences, in CBOR (RFC 8949).
//!
//! One array of definite length:
//!
//! | place | what | CBOR |
//! | --- | --- | --- |
//! | 0 | version, 1 | unsigned |
//! | 1 | the store's id | 16 bytes, or text if it is not 32 lowercase hexadecimal digits |
//! | 2 | the chain | text |
//! | 3 | runs of keys: start, first sequence, count, and so on; the counts add up to the number of records | array of unsigned |
//! | 4 | streams: shared, rest, unit, kind, and so on; a topic is the first `shared` bytes of the stream before and `rest` | array |
//! | 5 | base time, milliseconds since 1970 | integer |
//! | 6 | order: which stream each record is of | column |
//! | 7 | times | column |
//! | 8 | values | column |
//! | 9 | states | column |
//! | 10 | numbers: `seq` of readings | column |
//! | 11 | payloads of foreign messages, in order | array of text or bytes |
//!
//! A column is a byte string of LEB128 varints; signed numbers are zigzag (0, -1, 1, -2 ...), all arithmetic is
//! modulo 2^64. Where a column of order, times or numbers ends early, the rest are zeros. Records are in the order of
//! their keys; what is predicted is predicted from those before.
//!
//! **Kind** of a stream: `d` from 0 to 15 is readings with `d` decimals, 16 + `d` means of readings with `d` decimals;
//! 32 is readings and 33 means as doubles; 48 is foreign messages.
//!
//! **Order**: 0 is the predicted stream, else the stream's place + 1. Predicted is the stream that followed last time
//! after the stream of the record before; if it was never followed, the first stream that no record was of yet.
//!
//! **Times**: the difference to the predicted time. For a stream's first record that is the time of the record before
//! (the base time for the very first). After that it is the stream's last time plus its last interval; a stream with
//! one time so far takes the interval that was learnt last of any stream, or 0. But if the stream's last time and
//! interval are those that the stream of the record before had before that record, it is the time of that record:
//! readings of one round share it.
//!
//! **Values**: of readings, the difference of value x 10^d to the one before in this stream, from 0; or the double as
//! 8 bytes, big-endian, not a number for null. Of means the mean as for readings, then mean - min and max - mean; or
//! all three as doubles; then how many readings and over how many milliseconds (both unsigned).
//!
//! **States**: pairs of state and how many records in a row have it (both unsigned); 0 for the rest. State = quality
//! (0 ok, 1 suspect, 2 stale, 3 simulated) + 4 x time quality (0 synced, 1 unsynced, 2 corrected).
//!
//! **Numbers**: the difference to the stream's last number + 1; for a stream's first reading to the number before of
//! any stream, from 0.

mod columns;
mod decode;
mod encode;
mod predict;

pub(super) use decode::decode;
pub(super) use encode::encode;

/// Of this description.
const VERSION: u64 = 1;

/// Decimals that fit: 10 to this power is exact in a double.
const MOST_DECIMALS: u8 = 15;

/// Integers up to here are exact in a double.
const EXACT: u64 = 1 << 53;

/// How a stream's values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Readings; with decimals, or as doubles.
    Reading(Option<u8>),
    /// Means of readings.
    Mean(Option<u8>),
    /// Foreign messages.
    Payload,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Kind::Reading(Some(decimals)) => decimals,
            Kind::Mean(Some(decimals)) => 16 + decimals,
            Kind::Reading(None) => 32,
            Kind::Mean(None) => 33,
            Kind::Payload => 48,
        }
    }

    fn of(code: u64) -> Option<Self> {
        match code {
            0..=15 => Some(Kind::Reading(Some(code as u8))),
            16..=31 => Some(Kind::Mean(Some(code as u8 - 16))),
            32 => Some(Kind::Reading(None)),
            33 => Some(Kind::Mean(None)),
            48 => Some(Kind::Payload),
            _ => None,
        }
    }
}
