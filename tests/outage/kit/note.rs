//! What stands in a message: its number in its topic, and when it was sent.

/// One message as its receiver reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Note {
    /// Counts from 1 in each topic.
    pub(crate) number: u64,
    /// When it was sent first.
    pub(crate) sent_us: u64,
}

impl Note {
    /// As text of at least `size` bytes.
    pub(crate) fn payload(self, size: usize) -> Vec<u8> {
        let mut bytes = format!("{} {} ", self.number, self.sent_us).into_bytes();
        bytes.resize(bytes.len().max(size), b'.');
        bytes
    }

    /// Reads [`Note::payload`].
    pub(crate) fn of(payload: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(payload).ok()?.split(' ');
        let mut next = || words.next()?.parse().ok();
        Some(Self { number: next()?, sent_us: next()? })
    }
}
