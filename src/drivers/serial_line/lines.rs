//! Bytes of a serial line, cut into lines.
//!
//! Lines end with CR, LF or both. After opening, everything up to the first end of a line is thrown away,
//! because it may be the rest of a line whose beginning nobody heard: `1.4,40` of `21.4,40` would pass for a
//! reading. A line that grows too long is thrown away up to its end.

use std::collections::VecDeque;
use std::mem;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// A line, without its end; never empty.
    Line(Vec<u8>),
    /// As many bytes as the longest line may have, without an end.
    TooLong,
}

/// Cuts bytes into lines.
#[derive(Debug)]
pub(super) struct Lines {
    longest: usize,
    begun: Vec<u8>,
    /// How many bytes of a line without a known beginning have passed; none when it is known.
    skipped: Option<usize>,
    found: VecDeque<Found>,
}

impl Lines {
    /// Lines of at most `longest` bytes, from the middle of one on.
    pub(super) fn new(longest: usize) -> Self {
        Self { longest, begun: Vec::new(), skipped: Some(0), found: VecDeque::new() }
    }

    /// Starts anew, from the middle of a line on.
    pub(super) fn restart(&mut self) {
        *self = Self::new(self.longest);
    }

    /// The next line, if there is one.
    pub(super) fn next(&mut self) -> Option<Found> {
        self.found.pop_front()
    }

    /// Takes what the line said.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.take(byte));
    }

    fn take(&mut self, byte: u8) {
        if matches!(byte, b'\r' | b'\n') {
            self.skipped = None;
            if !self.begun.is_empty() {
                self.found.push_back(Found::Line(mem::take(&mut self.begun)));
            }
        } else if let Some(skipped) = &mut self.skipped {
            *skipped += 1;
            // Garbage without an end must not go on unheard.
            if *skipped > self.longest {
                *skipped = 1;
                self.found.push_back(Found::TooLong);
            }
        } else if self.begun.len() == self.longest {
            self.begun.clear();
            self.skipped = Some(1);
            self.found.push_back(Found::TooLong);
        } else {
            self.begun.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(chunks: &[&[u8]], longest: usize) -> Vec<Found> {
        let mut lines = Lines::new(longest);
        chunks.iter().for_each(|chunk| lines.push(chunk));
        std::iter::from_fn(|| lines.next()).collect()
    }

    fn line(text: &str) -> Found {
        Found::Line(text.as_bytes().to_vec())
    }

    #[test]
    fn any_end_of_line_will_do() {
        let found = cut(&[b"art\na=1\nb=2\r\nc=3\rd=4\n\r\n\ne=5"], 16);
        assert_eq!(found, [line("a=1"), line("b=2"), line("c=3"), line("d=4")]);
    }

    #[test]
    fn the_first_line_has_no_known_beginning() {
        assert_eq!(cut(&[b"1.4\n", b"2", b"1.5", b"\n"], 16), [line("21.5")]);
    }

    #[test]
    fn a_line_that_is_too_long_is_thrown_away_whole() {
        assert_eq!(cut(&[b"\n12345678\n123456789\nok\n"], 8), [line("12345678"), Found::TooLong, line("ok")]);
        assert_eq!(cut(&[&[b'x'; 33]], 8), vec![Found::TooLong; 4]);
        assert_eq!(cut(&[b"\n", &[b'x'; 33], b"\nok\n"], 8), [vec![Found::TooLong; 4], vec![line("ok")]].concat());
    }

    #[test]
    fn after_a_restart_the_beginning_is_unknown_again() {
        let mut lines = Lines::new(16);
        lines.push(b"\nhalf a li");
        lines.restart();
        lines.push(b"ne\nwhole\n");
        assert_eq!(lines.next(), Some(line("whole")));
        assert_eq!(lines.next(), None);
    }

    proptest! {
        #[test]
        fn how_bytes_are_chunked_does_not_matter(
            chunks in prop::collection::vec(prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..12), 0..20),
        ) {
            let split: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let whole = chunks.concat();
            let found = cut(&split, 5);
            prop_assert_eq!(&found, &cut(&[&whole], 5));
            for line in found {
                if let Found::Line(bytes) = line {
                    prop_assert!((1..=5).contains(&bytes.len()));
                    prop_assert!(!bytes.contains(&b'\n') && !bytes.contains(&b'\r'));
                }
            }
        }

        #[test]
        fn after_any_noise_the_second_line_is_heard(noise in prop::collection::vec(any::<u8>(), 0..200)) {
            let found = cut(&[&noise, b"\nt=1\nt=2\n"], 64);
            prop_assert_eq!(&found[found.len() - 2..], &[line("t=1"), line("t=2")]);
        }
    }
}
