//! What is remembered from one connection to the next: which version each endpoint speaks, whether the peer
//! acknowledges, and on which message it closes. Pure.

use std::io;

use super::Version;
use super::link::{End, Report, Start};
use super::uplink::OpenError;
use super::uplink::codec::Codec;

/// How often a peer that speaks 3.1.1 may close on one record that was alone on its way.
const CLOSES: u32 = 5;

/// Every how manyth wordless refusal is answered with the older version.
const WORDLESS: u32 = 4;

/// DISCONNECT because a packet is too large (MQTT 5 section 3.14.2.1).
const PACKET_TOO_LARGE: u8 = 0x95;

#[derive(Debug, Default)]
pub(super) struct Past {
    fruitless: bool,
    /// The peer has closed, and it may have been for a record: the next one goes when nothing else is on its way.
    wary: bool,
    /// The record that was alone on its way as the peer closed, and how often in a row.
    suspect: Option<((usize, u64), u32)>,
    /// By endpoint.
    versions: Vec<Versions>,
}

/// What is known of the versions that one endpoint speaks.
#[derive(Debug, Default, Clone)]
struct Versions {
    /// The peer said that it does not speak MQTT 5.
    old: bool,
    /// The peer has spoken MQTT 5. What closes without a word since then is something before it, while it is away:
    /// in 3.1.1 a session that opens just as it comes back would have no dedupe keys, for as long as it lasts.
    modern: bool,
    /// Connections in a row that the peer closed before it answered.
    wordless: u32,
    /// The peer has answered in 3.1.1 after it had closed on MQTT 5: it is tried every other time.
    perhaps_old: bool,
    /// A session in 3.1.1 was left to try MQTT 5 once more, and it was 3.1.1 again.
    settled: bool,
}

impl Past {
    pub(super) fn new(endpoints: usize) -> Self {
        Self { versions: vec![Versions::default(); endpoints], ..Self::default() }
    }

    /// What the next connection begins with.
    pub(super) fn start(&self) -> Start {
        Start { probe: self.fruitless, wary: self.wary, condemned: self.condemned() }
    }

    /// A connection has ended.
    pub(super) fn learn(&mut self, report: &Report) {
        self.fruitless = !report.delivered;
        self.wary = self.fruitless && (self.wary || is_verdict(report));
        let alone = report.alone.filter(|_| is_verdict(report));
        self.suspect = match (alone, self.suspect) {
            (Some(alone), Some((suspect, closes))) if alone == suspect => Some((suspect, closes + 1)),
            (Some(alone), _) => Some((alone, 1)),
            (None, suspect) => suspect.filter(|_| !report.delivered),
        };
    }

    /// The record that is to be given up.
    fn condemned(&self) -> Option<(usize, u64)> {
        self.suspect.filter(|(_, closes)| *closes >= CLOSES).map(|(record, _)| record)
    }

    /// The version for the next attempt at an endpoint.
    pub(super) fn codec(&self, endpoint: usize, wanted: Version) -> Codec {
        self.versions[endpoint].codec(wanted)
    }

    /// Whether the peer at an endpoint is spoken to in 3.1.1 only because something there has closed on MQTT 5.
    pub(super) fn doubts(&self, endpoint: usize) -> bool {
        let versions = &self.versions[endpoint];
        versions.perhaps_old && !versions.old && !versions.settled
    }

    /// A session is left for that doubt: what comes now is the answer.
    pub(super) fn settle_doubt(&mut self, endpoint: usize) {
        self.versions[endpoint].settled = true;
    }

    /// An attempt to open a session at an endpoint has ended.
    pub(super) fn learn_version(&mut self, endpoint: usize, codec: Codec, end: Result<(), &OpenError>) {
        self.versions[endpoint].learn(codec, end);
    }
}

impl Versions {
    fn codec(&self, wanted: Version) -> Codec {
        let every = if self.perhaps_old { 2 } else { WORDLESS };
        let old = self.old || (!self.modern && self.wordless % every == every - 1);
        if wanted == Version::V4 || old { Codec::V4 } else { Codec::V5 }
    }

    fn learn(&mut self, codec: Codec, end: Result<(), &OpenError>) {
        match end {
            Ok(()) => {
                self.modern |= codec == Codec::V5;
                self.perhaps_old = codec == Codec::V4 && self.wordless > 0;
                self.wordless = 0;
            }
            Err(error) if codec == Codec::V5 && error.is_version() => self.old = true,
            Err(error) if error.is_wordless() => self.wordless += 1,
            Err(_) => {}
        }
    }
}

/// Whether the peer's closing says something about the message that was on its way. In MQTT 5 a
/// peer says why, so that a connection that just ends is retried for ever.
fn is_verdict(report: &Report) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    match &report.end {
        End::Disconnected(reason) => *reason == PACKET_TOO_LARGE,
        End::Closed => report.codec == Codec::V4,
        End::Io(error) => {
            report.codec == Codec::V4 && matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::uplink::codec::Refusal;

    fn report(codec: Codec, end: End, alone: Option<u64>) -> Report {
        Report { end, codec, delivered: false, greeted: false, alone: alone.map(|sequence| (2, sequence)) }
    }

    /// What is condemned after so many equal ends.
    fn after(times: usize, end: impl Fn() -> Report) -> Option<(usize, u64)> {
        let mut past = Past::default();
        (0..times).for_each(|_| past.learn(&end()));
        past.condemned()
    }

    #[test]
    fn five_closes_on_one_lonely_record_are_a_verdict_in_3_1_1_only() {
        assert_eq!(after(4, || report(Codec::V4, End::Closed, Some(7))), None);
        assert_eq!(after(5, || report(Codec::V4, End::Closed, Some(7))), Some((2, 7)));
        assert_eq!(
            after(5, || report(Codec::V4, End::Io(io::ErrorKind::ConnectionReset.into()), Some(7))),
            Some((2, 7))
        );
        assert_eq!(after(9, || report(Codec::V5, End::Closed, Some(7))), None);
        assert_eq!(after(9, || report(Codec::V4, End::Silent, Some(7))), None);
        assert_eq!(after(9, || report(Codec::V4, End::Io(io::ErrorKind::TimedOut.into()), Some(7))), None);
        assert_eq!(after(9, || report(Codec::V4, End::Closed, None)), None);
        assert_eq!(after(5, || report(Codec::V5, End::Disconnected(0x95), Some(7))), Some((2, 7)));
    }

    #[test]
    fn another_record_or_a_delivery_clears_the_suspect() {
        let mut past = Past::default();
        let mut close = |sequence| past.learn(&report(Codec::V4, End::Closed, Some(sequence)));
        [7, 7, 7, 7, 8, 7].into_iter().for_each(&mut close);
        assert_eq!(past.condemned(), None);
        (0..4).for_each(|_| past.learn(&report(Codec::V4, End::Closed, Some(7))));
        assert_eq!(past.condemned(), Some((2, 7)));
        past.learn(&Report { delivered: true, ..report(Codec::V4, End::Silent, None) });
        assert_eq!(past.condemned(), None);
        assert!(!past.start().probe);
    }

    #[test]
    fn a_peer_that_closes_gets_its_next_record_alone_until_it_takes_one() {
        let mut past = Past::default();
        let start = |past: &Past| (past.start().probe, past.start().wary);
        past.learn(&report(Codec::V5, End::Closed, None));
        assert_eq!(start(&past), (true, false), "the link may have broken");
        past.learn(&report(Codec::V5, End::Disconnected(0x95), None));
        past.learn(&report(Codec::V5, End::Closed, None));
        assert_eq!(start(&past), (true, true));
        past.learn(&Report { delivered: true, ..report(Codec::V4, End::Closed, None) });
        assert_eq!(start(&past), (false, false));
        past.learn(&report(Codec::V4, End::Closed, None));
        assert_eq!(start(&past), (true, true));
    }

    #[test]
    fn the_older_version_is_for_peers_that_say_so_or_close_again_and_again() {
        let mut past = Past::new(2);
        let versions = |past: &mut Past, times| -> Vec<u8> {
            let mut attempt = || {
                let codec = past.codec(1, Version::V5);
                past.learn_version(1, codec, Err(&OpenError::Closed));
                if codec == Codec::V5 { 5 } else { 4 }
            };
            (0..times).map(|_| attempt()).collect()
        };
        assert_eq!(versions(&mut past, 8), [5, 5, 5, 4, 5, 5, 5, 4], "a peer that is down closes on both");
        versions(&mut past, 3);
        past.learn_version(1, Codec::V4, Ok(()));
        assert!(past.doubts(1) && !past.doubts(0), "it may have been something else that closed");
        past.settle_doubt(1);
        assert_eq!(versions(&mut past, 4), [5, 4, 5, 4], "it has answered in 3.1.1 once");
        assert!(!past.doubts(1), "once is enough");
        past.learn_version(1, Codec::V5, Ok(()));
        assert_eq!(versions(&mut past, 8), [5; 8], "it speaks MQTT 5, so it is something else that closes");
        past.learn_version(1, Codec::V5, Err(&OpenError::Refused(Refusal { code: 0x84, ..Refusal::default() })));
        assert_eq!(versions(&mut past, 3), [4, 4, 4]);
        assert_eq!(past.codec(0, Version::V5), Codec::V5, "another endpoint has said nothing");
        assert_eq!(past.codec(0, Version::V4), Codec::V4);
    }
}
