//! Keys as JSON and SenML write them: at the first record, and where the sequence does not go on by one.

use super::entry::Key;
use super::{Header, Item};

/// For the writer: what the key of the next record would be without saying it.
pub(in crate::format) struct Said<'a> {
    header: &'a Header<'a>,
    next: Option<(u32, u64)>,
}

impl<'a> Said<'a> {
    pub(in crate::format) fn new(header: &'a Header<'a>) -> Self {
        Self { header, next: None }
    }

    /// The key of `item`, if it has to be written.
    pub(in crate::format) fn key(&mut self, item: &Item<'_>) -> Option<String> {
        let (header, place) = (self.header, (item.start, item.sequence));
        let known = self.next == Some(place);
        self.next = item.sequence.checked_add(1).map(|next| (item.start, next));
        (!known).then(|| format!("{}/{}/{}/{}", header.store, item.start, header.chain, item.sequence))
    }
}

/// For the reader: the key of the record before.
#[derive(Default)]
pub(in crate::format) struct Heard(Option<Key>);

impl Heard {
    /// The key of a record that says `key` or nothing; the error is a key that is none.
    pub(in crate::format) fn key(&mut self, key: Option<&str>) -> Result<Option<Key>, ()> {
        self.0 = match key {
            Some(text) => Some(Key::parse(text).ok_or(())?),
            None => self.0.as_ref().and_then(Key::after),
        };
        Ok(self.0.clone())
    }
}
