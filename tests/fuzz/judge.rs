//! What must hold for every input, whatever it is. Each look costs one or more executions of the codec.

use std::mem::size_of_val;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;
use weir::hub::codec::{CodecError, Options, Packet, Properties, Version, decode};

/// Larger than any input here.
pub(crate) const LIMIT: usize = 1 << 22;

/// How an input was taken, for the tally: the packet type, and why it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Outcome {
    pub(crate) kind: u8,
    pub(crate) why: Option<&'static str>,
}

type Decoded<'a> = Result<Option<(Packet<'a>, usize)>, CodecError>;

macro_rules! ensure {
    ($condition:expr, $($what:tt)*) => {
        if !$condition {
            return Err(format!($($what)*));
        }
    };
}

/// Judges `input`; a panic of the codec is an error as well. Adds to `executions`.
pub(crate) fn judge(input: &[u8], version: Version, executions: &mut u64) -> Result<Outcome, String> {
    let judged = catch_unwind(AssertUnwindSafe(|| {
        let whole = decode(input, version, LIMIT);
        *executions += 1;
        accepted(input, &whole, version, executions)?;
        prefixes(input, &whole, version, executions)?;
        let why = whole.as_ref().err().map(|error| error.why);
        Ok(Outcome { kind: input.first().map_or(0, |first| first >> 4), why })
    }));
    judged.unwrap_or_else(|panic| Err(format!("panicked: {:?}", panic.downcast_ref::<String>())))
}

/// What was accepted lies within the input, takes memory in proportion to it, and survives again.
fn accepted(input: &[u8], whole: &Decoded<'_>, version: Version, executions: &mut u64) -> Result<(), String> {
    let Ok(Some((packet, size))) = whole else { return Ok(()) };
    ensure!(*size <= input.len() && *size >= 2, "{size} bytes taken of {}", input.len());
    let memory = footprint(packet);
    ensure!(memory <= 512 + 24 * size, "{memory} bytes of memory for {size} bytes of input");
    let version = if let Packet::Connect(connect) = packet { connect.version } else { version };
    let mut again = Vec::new();
    packet.encode(version, &mut again);
    *executions += 1;
    let second = decode(&again, version, LIMIT);
    let same = matches!(&second, Ok(Some((other, size))) if other == packet && *size == again.len());
    ensure!(same, "encoded again it is {second:?}, not {packet:?}");
    Ok(())
}

/// A part of a packet is incomplete, never something else; an error found early stays that error.
fn prefixes(input: &[u8], whole: &Decoded<'_>, version: Version, executions: &mut u64) -> Result<(), String> {
    let end = whole.as_ref().ok().and_then(|some| some.as_ref()).map_or(input.len(), |(_, size)| *size);
    for cut in cuts(input, end) {
        *executions += 1;
        let part = decode(&input[..cut], version, LIMIT);
        let fine = match (&part, whole) {
            (Ok(None), _) => true,
            (Err(early), Err(late)) => early == late,
            _ => false,
        };
        ensure!(fine, "the first {cut} of {} bytes are {part:?}, all are {whole:?}", input.len());
    }
    // What follows a packet does not change it.
    if let Ok(Some((_, size))) = whole
        && *size < input.len()
    {
        *executions += 1;
        ensure!(decode(&input[..*size], version, LIMIT) == *whole, "the bytes behind the packet change it");
    }
    Ok(())
}

/// Every place to cut a short input at, some places of a long one.
fn cuts(input: &[u8], end: usize) -> impl Iterator<Item = usize> {
    let mut rng = Rng::with_seed(input.iter().take(64).fold(7, |sum, byte| sum * 31 % 1_000_003 + u64::from(*byte)));
    let few = end <= 24;
    let every = if few { 0..end } else { 0..6 };
    let some = if few { 0 } else { 3 };
    every.chain((0..some).map(move |_| rng.usize(..end))).chain(end.checked_sub(1))
}

/// Bytes the packet holds on the heap.
fn footprint(packet: &Packet<'_>) -> usize {
    let boxed = |some: &Option<Box<Properties<'_>>>| some.as_deref().map_or(0, of_properties);
    match packet {
        Packet::Connect(it) => {
            size_of_val(&**it) + boxed(&it.properties) + it.will.as_ref().map_or(0, |will| boxed(&will.properties))
        }
        Packet::Connack(it) => boxed(&it.properties),
        Packet::Publish(it) => boxed(&it.properties),
        Packet::Puback(it) | Packet::Pubrec(it) | Packet::Pubrel(it) | Packet::Pubcomp(it) => boxed(&it.properties),
        Packet::Subscribe(it) => boxed(&it.properties) + it.filters.capacity() * size_of::<(&str, Options)>(),
        Packet::Unsubscribe(it) => boxed(&it.properties) + it.filters.capacity() * size_of::<&str>(),
        Packet::Suback(it) | Packet::Unsuback(it) => boxed(&it.properties) + it.reasons.capacity(),
        Packet::Disconnect(it) | Packet::Auth(it) => boxed(&it.properties),
        Packet::Pingreq | Packet::Pingresp => 0,
    }
}

fn of_properties(properties: &Properties<'_>) -> usize {
    let ids = &properties.subscription_ids;
    size_of_val(properties) + properties.user.capacity() * size_of::<(&str, &str)>() + ids.capacity() * size_of::<u32>()
}
