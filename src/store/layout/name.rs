//! File names: `<queue>~<class>~<number>~<first>.seg`, and with `~<last>~<turn>` behind `<first>` for a
//! segment that took the place of others. A queue name has no `~`. A file that waits for its next use after others
//! took its place is `<number>.spare`; one whose records were delivered or dropped keeps its name.

use crate::model::Name;
use crate::store::ChainKey;

/// The file with store id, start number and gaps.
pub(crate) const LEDGER: &str = "ledger";
/// What the name of a segment ends with that is not whole yet.
pub(crate) const DRAFT: &str = ".new";

/// What the name of a file ends with whose place another has taken.
const SPARE: &str = ".spare";

/// The name of a file that is to be used again.
pub(crate) fn spare(number: u64) -> String {
    format!("{number:010x}{SPARE}")
}

/// The number of such a file.
pub(crate) fn spare_number(text: &str) -> Option<u64> {
    let number = u64::from_str_radix(text.strip_suffix(SPARE)?, 16).ok()?;
    (spare(number) == text).then_some(number)
}

/// What a segment's file name says; its header repeats it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentName {
    pub(crate) key: ChainKey,
    /// Counts every use of every segment of the store.
    pub(crate) number: u64,
    /// No record in it has a lower sequence.
    pub(crate) first: u64,
    /// It took the place of others.
    pub(crate) stands: Option<Stands>,
}

/// What a segment stands for that took the place of others, the first of which gave it its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stands {
    /// It stands for all segments that begin between its own first sequence and here.
    pub(crate) last: u64,
    /// The higher one came later.
    pub(crate) turn: u64,
}

impl SegmentName {
    pub(crate) fn text(&self) -> String {
        let stands = self.stands.map_or(String::new(), |Stands { last, turn }| format!("~{last:016x}~{turn:010x}"));
        format!("{}~{}~{:010x}~{:016x}{stands}.seg", self.key.queue, self.key.class, self.number, self.first)
    }

    /// What it is called until it is whole.
    pub(crate) fn draft(&self) -> String {
        self.text() + DRAFT
    }

    /// Whether everything in `other` is in this one, in a newer form.
    pub(crate) fn replaces(&self, other: &Self) -> bool {
        let Some(Stands { last, turn }) = self.stands else { return false };
        let older = other.stands.is_none_or(|other| other.last <= last && other.turn < turn);
        let inside = other.number >= self.number && (self.first..=last).contains(&other.first);
        self.key == other.key && older && inside
    }

    /// Reads a name; `None` for files that are none of ours.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_suffix(".seg")?.split('~');
        let queue = Name::new(parts.next()?).ok()?;
        let class = parts.next()?.parse().ok()?;
        let number = u64::from_str_radix(parts.next()?, 16).ok()?;
        let first = u64::from_str_radix(parts.next()?, 16).ok()?;
        let mut number_or_end = || parts.next().map(|text| u64::from_str_radix(text, 16)).transpose();
        let stands = match (number_or_end().ok()?, number_or_end().ok()?) {
            (Some(last), Some(turn)) => Some(Stands { last, turn }),
            (None, _) => None,
            _ => return None,
        };
        let name = Self { key: ChainKey { queue, class }, number, first, stands };
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
        let name = SegmentName { key, number: 0x1_0000_0001, first: 77, stands: None };
        assert_eq!(name.text(), "Küche-2.b_c~3~0100000001~000000000000004d.seg");
        assert_eq!(SegmentName::parse(&name.text()), Some(name.clone()));
        let thin = SegmentName { stands: Some(Stands { last: 99, turn: 7 }), ..name.clone() };
        assert_eq!(SegmentName::parse(&thin.text()), Some(thin.clone()));
        assert_eq!(SegmentName::parse(&thin.draft()), None);
        assert_eq!((spare_number(&spare(77)), SegmentName::parse(&spare(77))), (Some(77), None));
        assert_eq!([thin.text(), "77.spare".into(), ".spare".into()].map(|other| spare_number(&other)), [None; 3]);
        for other in
            ["ledger", "a~0~1~2.seg", "a~0~0000000001~0000000000000001.bak", "~0~0000000001~0000000000000001.seg"]
        {
            assert_eq!(SegmentName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_replacement_stands_for_what_begins_within_it() {
        let key = ChainKey { queue: Name::new("a").unwrap(), class: 2 };
        let stands = |last: Option<u64>| last.map(|last| Stands { last, turn: last });
        let name = |number, first, last| SegmentName { key: key.clone(), number, first, stands: stands(last) };
        let thin = name(5, 100, Some(299));
        for (other, replaced) in [
            (name(5, 100, None), true),
            (name(6, 200, None), true),
            (name(5, 100, Some(199)), true),
            (name(7, 300, None), false),
            (name(4, 100, None), false),
            (name(5, 100, Some(400)), false),
            (thin.clone(), false),
        ] {
            assert_eq!(thin.replaces(&other), replaced, "{}", other.text());
        }
        assert!(!name(5, 100, None).replaces(&name(6, 100, None)));
    }
}
