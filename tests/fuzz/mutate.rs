//! Damage that knows where it hurts: lengths, variable byte integers, UTF-8, U+0000.

use fastrand::Rng;

/// Bytes that no good packet has in a text, and sequences that are nearly UTF-8.
const BROKEN_TEXT: &[&[u8]] =
    &[&[0xff], &[0xc0, 0x80], &[0xed, 0xa0, 0x80], &[0xf4, 0x90, 0x80, 0x80], &[0xe2, 0x82], &[0x80], &[0]];

const LENGTHS: &[&[u8]] = &[
    &[0],
    &[1],
    &[0x7f],
    &[0x80],
    &[0x80, 0],
    &[0x80, 1],
    &[0xff, 0x7f],
    &[0xff, 0xff, 0x7f],
    &[0xff, 0xff, 0xff, 0x7f],
    &[0xff, 0xff, 0xff, 0xff],
    &[0x80, 0x80, 0x80, 0x80, 1],
];

/// Damages `bytes` once to four times; `other` is a packet to splice from.
pub(crate) fn mutate(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    for _ in 0..rng.u8(1..5) {
        damage(bytes, other, rng);
    }
    // Most of it must get past the length in the fixed header.
    if rng.u8(..4) != 0 {
        mend_length(bytes);
    }
}

fn damage(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    if bytes.is_empty() {
        bytes.push(rng.u8(..));
        return;
    }
    // The beginning of a packet decides the most.
    let within = if rng.bool() { bytes.len() } else { bytes.len().min(24) };
    let at = rng.usize(..within);
    match rng.u8(..10) {
        0 => bytes[at] ^= 1 << rng.u8(..8),
        1 => bytes[at] = rng.u8(..),
        2 => bytes.insert(at, rng.u8(..)),
        3 => drop(bytes.remove(at)),
        4 => drop(bytes.drain(at..(at + rng.usize(1..9)).min(bytes.len()))),
        5 => put(bytes, at, BROKEN_TEXT[rng.usize(..BROKEN_TEXT.len())]),
        6 => put(bytes, at, LENGTHS[rng.usize(..LENGTHS.len())]),
        7 => {
            let length = [0, 1, 2, 0xff, 0xffff, bytes.len() as u16][rng.usize(..6)];
            put(bytes, at, &length.to_be_bytes());
        }
        8 => splice(bytes, at, other, rng),
        // Repeats a piece: properties that come twice.
        _ => {
            let piece = bytes[at..(at + rng.usize(1..12)).min(bytes.len())].to_vec();
            drop(bytes.splice(at..at, piece));
        }
    }
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    for (old, new) in bytes[at..].iter_mut().zip(new) {
        *old = *new;
    }
}

fn splice(bytes: &mut Vec<u8>, at: usize, other: &[u8], rng: &mut Rng) {
    if other.is_empty() {
        return;
    }
    let from = rng.usize(..other.len());
    let to = (from + rng.usize(1..64)).min(other.len());
    let end = (at + rng.usize(..64)).min(bytes.len());
    drop(bytes.splice(at..end, other[from..to].iter().copied()));
}

/// Makes the length in the fixed header that of the rest.
fn mend_length(bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let size = bytes[1..].iter().take(4).take_while(|byte| **byte & 0x80 != 0).count() + 1;
    let body = (1 + size).min(bytes.len());
    let mut length = bytes.len() - body;
    let mut header = Vec::with_capacity(4);
    loop {
        let more = length > 0x7f;
        header.push((length & 0x7f) as u8 | if more { 0x80 } else { 0 });
        length >>= 7;
        if !more {
            break;
        }
    }
    drop(bytes.splice(1..body, header));
}
