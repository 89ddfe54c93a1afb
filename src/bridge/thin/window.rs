//! Readings of one window of time become one: pure.

use std::collections::HashMap;
use std::time::Duration;

use crate::bridge::record::{Body, Record};
use crate::model::{BootId, Quality, Sample, Spread, Stamp, TimeQuality, Topic};

/// The lengths of windows, one after the other as more room is needed.
pub const WINDOWS: [Duration; 4] =
    [Duration::from_secs(60), Duration::from_secs(300), Duration::from_secs(900), Duration::from_secs(3600)];

/// Which readings become one: of one topic, of one quality.
type Stream = (Topic, Quality);

/// A window of time; before the clock was set, by the time since the boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    Wall(i64),
    Boot(BootId, u64),
}

/// The readings of one window so far.
struct Open {
    window: Window,
    /// Where in the output it will be: behind everything that came before its last reading.
    slot: usize,
    /// The last reading, as it came.
    bytes: Vec<u8>,
    /// The same, with the mean of all and what it stands for.
    record: Record,
}

/// Takes records in order, and makes the readings of each window one. What cannot be read stays as it is.
pub struct Reducer {
    window_ms: u64,
    /// Bytes in `slots`.
    bytes: usize,
    /// Bytes of readings that were taken, whatever became of them.
    readings: usize,
    /// `None` where a reading has moved into a later one.
    slots: Vec<Option<Vec<u8>>>,
    gone: usize,
    open: HashMap<Stream, Open>,
}

impl Reducer {
    /// One for windows of this length.
    pub fn new(window: Duration) -> Self {
        let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX).max(1);
        Self { window_ms, bytes: 0, readings: 0, slots: Vec::new(), gone: 0, open: HashMap::new() }
    }

    /// Bytes of what is left so far, without windows that are not over.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of what was taken that longer windows may make fewer.
    pub fn readings(&self) -> usize {
        self.readings
    }

    /// Takes the next record.
    pub fn take(&mut self, bytes: &[u8]) {
        match Record::decode(bytes) {
            Ok(record) if is_thinnable(&record) => {
                self.readings += bytes.len();
                self.merge(bytes, record);
            }
            _ => {
                self.bytes += bytes.len();
                self.slots.push(Some(bytes.to_vec()));
            }
        }
    }

    fn merge(&mut self, bytes: &[u8], record: Record) {
        let Some(sample) = sample(&record) else { return };
        let (stream, window) = ((record.topic.clone(), sample.quality), self.window_of(sample.stamp));
        let slot = self.slots.len();
        self.slots.push(None);
        self.gone += 1;
        let next = match self.open.remove(&stream) {
            // The one before has lost its slot for good.
            Some(before) if before.window == window => {
                Open { window, slot, record: joined(before.record, record), bytes: Vec::new() }
            }
            before => {
                before.into_iter().for_each(|before| self.close(before));
                Open { window, slot, record, bytes: bytes.to_vec() }
            }
        };
        self.open.insert(stream, next);
        self.tidy();
    }

    fn close(&mut self, open: Open) {
        // A reading that is alone in its window stays as it is.
        let bytes = if open.bytes.is_empty() { open.record.encode() } else { open.bytes };
        self.bytes += bytes.len();
        self.slots[open.slot] = Some(bytes);
        self.gone -= 1;
    }

    /// Gives empty slots back when they are many.
    fn tidy(&mut self) {
        if self.gone < 4096 || self.gone < self.slots.len() / 2 + self.open.len() {
            return;
        }
        let waiting: HashMap<usize, Stream> =
            self.open.iter().map(|(stream, open)| (open.slot, stream.clone())).collect();
        let mut kept = Vec::with_capacity(self.slots.len() - self.gone + self.open.len());
        for (old, slot) in std::mem::take(&mut self.slots).into_iter().enumerate() {
            match waiting.get(&old) {
                Some(stream) => {
                    if let Some(open) = self.open.get_mut(stream) {
                        open.slot = kept.len();
                        kept.push(None);
                    }
                }
                None if slot.is_some() => kept.push(slot),
                None => {}
            }
        }
        (self.slots, self.gone) = (kept, self.open.len());
    }

    /// What is left, encoded, in order.
    pub fn done(mut self) -> Vec<Vec<u8>> {
        for (_, open) in std::mem::take(&mut self.open) {
            self.close(open);
        }
        self.slots.into_iter().flatten().collect()
    }

    fn window_of(&self, stamp: Stamp) -> Window {
        match stamp.quality {
            TimeQuality::Unsynced => Window::Boot(stamp.boot, stamp.mono_ms / self.window_ms),
            TimeQuality::Synced | TimeQuality::Corrected => {
                Window::Wall(stamp.wall_ms.div_euclid(i64::try_from(self.window_ms).unwrap_or(i64::MAX)))
            }
        }
    }
}

fn sample(record: &Record) -> Option<&Sample> {
    match &record.body {
        Body::Sample(source) => Some(&source.sample),
        Body::Publish { .. } => None,
    }
}

fn is_thinnable(record: &Record) -> bool {
    sample(record).is_some_and(Sample::averages)
}

/// Two readings, or what stands for several, as one: the later, with the mean of all.
fn joined(before: Record, mut after: Record) -> Record {
    if let (Body::Sample(first), Body::Sample(last)) = (&before.body, &mut after.body) {
        let (first, last) = (&first.sample, &mut last.sample);
        let (earlier, later) = ((first.reading.value, spread(first)), (last.reading.value, spread(last)));
        let (mean, joined) = Spread::joined(earlier, later, elapsed_ms(first.stamp, last.stamp));
        (last.reading.value, last.reading.spread) = (mean, Some(joined));
    }
    after
}

/// What a reading stands for: itself, unless it is told.
fn spread(sample: &Sample) -> Spread {
    sample.reading.spread.unwrap_or(Spread::of(sample.reading.value))
}

/// From one reading to a later one of the same window.
fn elapsed_ms(first: Stamp, last: Stamp) -> u64 {
    if first.boot == last.boot {
        return last.mono_ms.saturating_sub(first.mono_ms);
    }
    u64::try_from(last.wall_ms.saturating_sub(first.wall_ms)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
