//! The codec under fire.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;
use weir::hub::codec::{Reason, Version, decode};

use crate::judge::{LIMIT, Outcome, judge};
use crate::mutate::mutate;
use crate::packets::packet;
use crate::values::VERSIONS;

/// Damaged copies of each good packet.
const DAMAGED: usize = 12;
/// Executions of a run that is not told how many.
const BOUNDED: u64 = 4_000_000;

/// What one thread has done.
#[derive(Default)]
struct Tally {
    executions: u64,
    outcomes: BTreeSet<Outcome>,
}

fn number_from(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

#[test]
fn no_input_breaks_the_codec() {
    let wanted = number_from("WEIR_FUZZ_EXECUTIONS", BOUNDED);
    let seed = number_from("WEIR_FUZZ_SEED", 1);
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let began = Instant::now();
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let work = |number| move || run(&mut Rng::with_seed(seed.wrapping_mul(1000) + number), wanted / threads);
        let handles: Vec<_> = (0..threads).map(|number| scope.spawn(work(number))).collect();
        handles.into_iter().map(|handle| handle.join().expect("a fuzzing thread found something")).collect()
    });
    report(&tallies, began.elapsed());
}

fn report(tallies: &[Tally], took: Duration) {
    let executions: u64 = tallies.iter().map(|tally| tally.executions).sum();
    let outcomes: BTreeSet<Outcome> = tallies.iter().flat_map(|tally| tally.outcomes.iter().copied()).collect();
    let reasons: BTreeSet<_> = outcomes.iter().filter_map(|outcome| outcome.why).collect();
    let accepted: BTreeSet<_> = outcomes.iter().filter(|it| it.why.is_none()).map(|it| it.kind).collect();
    let rate = executions as f64 / took.as_secs_f64();
    eprintln!(
        "codec: {executions} executions in {:.1} s, {rate:.0}/s; {} outcomes, {} reasons to refuse",
        took.as_secs_f64(),
        outcomes.len(),
        reasons.len()
    );
    assert_eq!(accepted.into_iter().filter(|kind| *kind > 0).count(), 15, "packets of every kind were accepted");
    // The damage must reach deep: nearly every way to refuse a packet.
    assert!(reasons.len() >= 34, "only {} reasons were seen: {reasons:#?}", reasons.len());
}

fn run(rng: &mut Rng, wanted: u64) -> Tally {
    let mut tally = Tally::default();
    let mut other = Vec::new();
    while tally.executions < wanted {
        let version = VERSIONS[rng.usize(..3)];
        let bytes = good(rng, version, &mut tally);
        let damaged = if bytes.len() > 2000 { 1 } else { DAMAGED };
        for _ in 0..damaged {
            let mut input = bytes.clone();
            mutate(&mut input, &other, rng);
            // The connection may speak another version than the packet.
            let spoken = if rng.u8(..4) == 0 { VERSIONS[rng.usize(..3)] } else { version };
            check(&input, spoken, &mut tally);
        }
        other = bytes;
    }
    tally
}

/// A good packet survives, alone and in front of others, and is refused when it is larger than it may be.
fn good(rng: &mut Rng, version: Version, tally: &mut Tally) -> Vec<u8> {
    let packet = packet(rng, version);
    let mut bytes = Vec::new();
    packet.encode(version, &mut bytes);
    let length = bytes.len();
    let expected = Ok(Some((packet, length)));
    assert_eq!(decode(&bytes, version, length), expected);
    let reason = decode(&bytes, version, length - 1).map_err(|error| error.reason);
    assert_eq!(reason, Err(Reason::PACKET_TOO_LARGE), "{bytes:?}");
    let junk = rng.usize(1..20);
    bytes.extend(std::iter::repeat_with(|| rng.u8(..)).take(junk));
    assert_eq!(decode(&bytes, version, LIMIT), expected, "junk behind it changes a packet");
    tally.executions += 3;
    check(&bytes, version, tally);
    bytes.truncate(length);
    bytes
}

fn check(input: &[u8], version: Version, tally: &mut Tally) {
    match judge(input, version, &mut tally.executions) {
        Ok(outcome) => drop(tally.outcomes.insert(outcome)),
        Err(what) => {
            let small = minimised(input, version);
            let last = judge(&small, version, &mut 0).err();
            panic!(
                "{what}\n{version:?}, {} bytes: {input:02x?}\nas small as it gets: {small:02x?}\n{last:?}",
                input.len()
            );
        }
    }
}

/// Takes away what is not needed for the failure.
fn minimised(input: &[u8], version: Version) -> Vec<u8> {
    let mut small = input.to_vec();
    let mut step = small.len().div_ceil(2);
    while step > 0 {
        let mut at = 0;
        while at < small.len() {
            let mut fewer = small.clone();
            fewer.drain(at..(at + step).min(small.len()));
            if judge(&fewer, version, &mut 0).is_err() {
                small = fewer;
            } else {
                at += step;
            }
        }
        step /= 2;
    }
    small
}

/// The judge itself is judged: what is wrong is found, and made small.
#[test]
fn a_failure_is_made_small() {
    // A PUBLISH of QoS 0 with what a broken codec would take for a packet id is fine; nothing to find.
    assert!(judge(&[0x30, 3, 0, 1, b'a'], Version::V4, &mut 0).is_ok());
    let mut executions = 0;
    let outcome = judge(&[0x36, 5, 0, 1, b'a', 0, 1], Version::V4, &mut executions).unwrap();
    assert_eq!(outcome, Outcome { kind: 3, why: Some("a PUBLISH has QoS 3") });
    assert!(executions > 5, "every prefix was looked at");
}
