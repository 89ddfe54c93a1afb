//! File names: `<queue>~<class>~<number>~<first>.seg`. A queue name has no `~`.

use crate::model::Name;
use crate::store::ChainKey;

/// The file with store id, start number and gaps.
pub(crate) const LEDGER: &str = "ledger";

/// What a segment's file name says; its header repeats it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentName {
    pub(crate) key: ChainKey,
    /// Counts every use of every segment of the store.
    pub(crate) number: u64,
    /// No record in it has a lower sequence.
    pub(crate) first: u64,
}

impl SegmentName {
    pub(crate) fn text(&self) -> String {
        format!("{}~{}~{:010x}~{:016x}.seg", self.key.queue, self.key.class, self.number, self.first)
    }

    /// Reads a name; `None` for files that are none of ours.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_suffix(".seg")?.split('~');
        let queue = Name::new(parts.next()?).ok()?;
        let class = parts.next()?.parse().ok()?;
        let number = u64::from_str_radix(parts.next()?, 16).ok()?;
        let first = u64::from_str_radix(parts.next()?, 16).ok()?;
        let name = Self { key: ChainKey { queue, class }, number, first };
        (parts.next().is_none() && name.text() == text).then_some(name)
    }
}

/// A chain's fixed mark in frames of other chains: FNV-1a of queue and class, 64 bits.
pub(crate) fn mark(key: &ChainKey) -> u64 {
    let bytes = key.queue.as_str().bytes().chain([b'~', key.class]);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_others_are_not_ours() {
        let key = ChainKey { queue: Name::new("Küche-2.b_c").unwrap(), class: 3 };
        let name = SegmentName { key, number: 0x1_0000_0001, first: 77 };
        assert_eq!(name.text(), "Küche-2.b_c~3~0100000001~000000000000004d.seg");
        assert_eq!(SegmentName::parse(&name.text()), Some(name.clone()));
        for other in
            ["ledger", "a~0~1~2.seg", "a~0~0000000001~0000000000000001.bak", "~0~0000000001~0000000000000001.seg"]
        {
            assert_eq!(SegmentName::parse(other), None, "{other}");
        }
    }
}
