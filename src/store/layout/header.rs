//! The first 4 kB of a segment, rewritten at each use.
//!
//! It is there twice, in two sectors, so that one rotten sector does not cost a segment.

use super::bytes::{Reader, put_name};
use super::name::{SegmentName, Stands};
use super::{BLOCK, VERSION, WRITER};
use crate::store::ChainKey;
use crate::store::leave_out::{Step, is_left_out};

const MAGIC: [u8; 8] = *b"WEIRSEG\n";
/// Where the second copy is.
const SECOND: usize = BLOCK / 2;

/// What a segment says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) name: SegmentName,
    /// The last sequence the chain had on the disk before; what lies between needed no storing.
    pub(crate) after: u64,
    /// Random at each use: frames of an earlier use never pass.
    pub(crate) epoch: u32,
    /// Bytes at the end of the segment that hold no frames: see [`super::filter`].
    pub(crate) footer: u32,
    /// When this use began, by the wall clock, in milliseconds since 1970. Format 1 did not say.
    pub(crate) begun_ms: Option<i64>,
    pub(crate) thinned: Thinned,
}

/// What a segment lacks of those whose place it took; nothing in others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Thinned {
    /// How many records.
    pub(crate) records: u64,
    /// The last sequence that is missing.
    pub(crate) upto: u64,
    /// The ledger's generation when it was written: a later one knows of it.
    pub(crate) generation: u64,
}

/// What the first 4 kB of a file turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A header that says what the name says.
    Header(Header),
    /// Never written, or written for an earlier use: an empty spare.
    Spare,
    /// Neither copy can be read.
    Damaged,
    /// Written by a newer weir.
    Newer { version: u32, writer: String },
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(200);
        body.extend_from_slice(&self.epoch.to_le_bytes());
        body.extend_from_slice(&self.footer.to_le_bytes());
        body.extend_from_slice(&self.name.number.to_le_bytes());
        body.extend_from_slice(&self.name.first.to_le_bytes());
        body.extend_from_slice(&self.after.to_le_bytes());
        body.push(self.name.key.class);
        put_name(&mut body, &self.name.key.queue);
        body.extend_from_slice(&self.begun_ms.unwrap_or(0).to_le_bytes());
        let stands = self.name.stands.unwrap_or(Stands { last: 0, turn: 0 });
        let Thinned { records, upto, generation } = self.thinned;
        for number in [stands.last, stands.turn, records, upto, generation] {
            body.extend_from_slice(&number.to_le_bytes());
        }
        let copy = seal(&MAGIC, &body);
        let mut block = vec![0; BLOCK];
        for start in [0, SECOND] {
            block[start..start + copy.len()].copy_from_slice(&copy);
        }
        block
    }

    fn read(body: &[u8]) -> Option<Self> {
        let mut reader = Reader(body);
        let (epoch, footer) = (reader.u32()?, reader.u32()?);
        let (own, first) = (reader.u64()?, reader.u64()?);
        let (after, class) = (reader.u64()?, reader.u8()?);
        let key = ChainKey { queue: reader.name()?, class };
        let begun_ms = reader.u64().and_then(|time| i64::try_from(time).ok()).filter(|&time| time > 0);
        let mut number = || reader.u64().unwrap_or(0);
        let stands = Stands { last: number(), turn: number() };
        let thinned = Thinned { records: number(), upto: number(), generation: number() };
        let name = SegmentName { key, number: own, first, stands: Some(stands).filter(|stands| stands.turn > 0) };
        Some(Self { name, after, epoch, footer, begun_ms, thinned })
    }
}

/// Judges the first block of the file called `name`.
pub(crate) fn judge(block: &[u8], name: &SegmentName) -> Found {
    if block.iter().all(|&byte| byte == 0) {
        return Found::Spare;
    }
    let mut worst = Found::Damaged;
    for start in [0, SECOND] {
        match open(&MAGIC, block.get(start..).unwrap_or_default()) {
            Some(Opened::Newer { version, writer }) => return Found::Newer { version, writer },
            Some(Opened::Body { body, .. }) => match Header::read(body) {
                Some(header) if header.name == *name => return Found::Header(header),
                Some(_) => worst = Found::Spare,
                None => {}
            },
            None => {}
        }
    }
    worst
}

/// A sealed piece that was opened.
pub(crate) enum Opened<'a> {
    Body { body: &'a [u8], version: u32 },
    Newer { version: u32, writer: String },
}

/// Puts magic, format version, writer, length and checksum before `body`. This layout never
/// changes, so that every weir can read which weir wrote a piece.
pub(crate) fn seal(magic: &[u8; 8], body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(40 + body.len());
    out.extend_from_slice(magic);
    out.extend_from_slice(&VERSION.to_le_bytes());
    let mut writer = [0; 16];
    let len = WRITER.len().min(writer.len());
    writer[..len].copy_from_slice(&WRITER.as_bytes()[..len]);
    out.extend_from_slice(&writer);
    out.extend_from_slice(&u32::try_from(body.len()).expect("headers are small").to_le_bytes());
    let sum = crc32c::crc32c_append(crc32c::crc32c(&out), body);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(body);
    out
}

/// Opens what [`seal`] closed; `None` when it is damaged or something else.
pub(crate) fn open<'a>(magic: &[u8; 8], bytes: &'a [u8]) -> Option<Opened<'a>> {
    let mut reader = Reader(bytes);
    if reader.take(8)? != magic {
        return None;
    }
    let version = reader.u32()?;
    let writer = reader.take(16)?;
    let len = usize::try_from(reader.u32()?).ok()?;
    let sum = reader.u32()?;
    let body = reader.take(len)?;
    let right = crc32c::crc32c_append(crc32c::crc32c(&bytes[..32]), body) == sum;
    if !right && !is_left_out(Step::SealSum) {
        return None;
    }
    if version > VERSION {
        let writer = String::from_utf8_lossy(writer).trim_end_matches('\0').to_owned();
        return Some(Opened::Newer { version, writer });
    }
    Some(Opened::Body { body, version })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;

    fn header() -> Header {
        let key = ChainKey { queue: Name::new("cloud").unwrap(), class: 2 };
        let name = SegmentName { key, number: 7, first: 101, stands: Some(Stands { last: 150, turn: 9 }) };
        let begun_ms = Some(1_790_000_000_000);
        let thinned = Thinned { records: 12, upto: 140, generation: 34 };
        Header { name, after: 98, epoch: 0xdead_beef, footer: 4096, begun_ms, thinned }
    }

    #[test]
    fn one_rotten_copy_is_survived_and_two_are_seen() {
        let good = header();
        let mut block = good.encode();
        assert_eq!(judge(&block, &good.name), Found::Header(good.clone()));
        block[40] ^= 1;
        assert_eq!(judge(&block, &good.name), Found::Header(good.clone()));
        block[SECOND + 40] ^= 1;
        assert_eq!(judge(&block, &good.name), Found::Damaged);
    }

    #[test]
    fn name_and_header_that_disagree_are_an_empty_spare() {
        let good = header();
        for next in [SegmentName { number: 8, ..good.name.clone() }, SegmentName { stands: None, ..good.name.clone() }]
        {
            assert_eq!(judge(&good.encode(), &next), Found::Spare);
        }
        assert_eq!(judge(&[0; BLOCK], &good.name), Found::Spare);
    }

    #[test]
    fn a_newer_format_is_named() {
        let mut copy = seal(&MAGIC, b"anything");
        copy[8..12].copy_from_slice(&(VERSION + 1).to_le_bytes());
        let sum = crc32c::crc32c_append(crc32c::crc32c(&copy[..32]), b"anything");
        copy[32..36].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(judge(&copy, &header().name), Found::Newer { version: VERSION + 1, writer: WRITER.to_owned() });
    }
}
