//! How long the log is. Pure.

use std::collections::VecDeque;

/// Records between two marks, in bytes.
const STEP: usize = 64 << 10;
/// What a record costs beside its bytes: its length, and its part of a frame's head.
const OVERHEAD: usize = 16;

/// The bytes of all records that are not freed, known at marks.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Up to which sequence, and how many bytes since the mark before.
    marks: VecDeque<(u64, usize)>,
    bytes: usize,
}

impl Log {
    pub(super) fn grow(&mut self, sequence: u64, len: usize) {
        let len = len + OVERHEAD;
        self.bytes += len;
        match self.marks.back_mut() {
            Some((last, bytes)) if *bytes < STEP => (*last, *bytes) = (sequence, *bytes + len),
            _ => self.marks.push_back((sequence, len)),
        }
    }

    /// Everything up to `sequence` is freed; a part of a step counts until all of it is.
    pub(super) fn shrink(&mut self, sequence: u64) {
        while let Some(&(last, bytes)) = self.marks.front().filter(|(last, _)| *last <= sequence) {
            debug_assert!(last <= sequence);
            self.bytes -= bytes;
            self.marks.pop_front();
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_and_shrinks_by_steps() {
        let mut log = Log::default();
        let each = 1000 + OVERHEAD;
        (1..=200).for_each(|sequence| log.grow(sequence, 1000));
        assert_eq!(log.bytes(), 200 * each);
        let step = STEP.div_ceil(each) as u64;
        log.shrink(step - 1);
        assert_eq!(log.bytes(), 200 * each, "not a whole step");
        log.shrink(step);
        assert_eq!(log.bytes(), (200 - step as usize) * each);
        log.shrink(200);
        assert_eq!(log.bytes(), 0);
    }
}
