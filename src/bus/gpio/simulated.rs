//! Simulated lines: a push button that bounces on each input, outputs that can be looked at.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::super::simulated::seed_of;
use super::{Edge, Initial, InputSettings, OutputSettings, Pull};
use crate::model::Fault;

/// All simulated lines; a cheap handle. Levels are those of the wire: `true` is high.
#[derive(Clone, Default)]
pub struct SimulatedGpio {
    lines: Arc<Mutex<BTreeMap<String, Wire>>>,
    changed: Arc<Notify>,
    seed: u64,
}

/// One line.
#[derive(Default)]
struct Wire {
    level: bool,
    /// Changes to come, in order.
    coming: VecDeque<(Instant, bool)>,
    /// Who presses the button, until somebody else drives the line.
    finger: Option<fastrand::Rng>,
    gone: bool,
}

impl SimulatedGpio {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    fn wires(&self) -> MutexGuard<'_, BTreeMap<String, Wire>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The level of a line that is open or was driven.
    pub fn level(&self, line: &str) -> Option<bool> {
        self.wires().get(line).map(|wire| wire.level)
    }

    /// Drives a line from now on: one change after each pause, counted from the change before.
    pub fn drive(&self, line: &str, changes: &[(Duration, bool)]) {
        let mut wires = self.wires();
        let wire = wires.entry(line.to_owned()).or_default();
        if wire.finger.take().is_some() {
            wire.coming.clear();
        }
        let mut at = wire.coming.back().map_or_else(Instant::now, |(at, _)| *at);
        for (pause, level) in changes {
            at += *pause;
            wire.coming.push_back((at, *level));
        }
        self.changed.notify_waiters();
    }

    /// Takes a line away, or puts it back.
    pub fn unplug(&self, line: &str, gone: bool) {
        self.wires().entry(line.to_owned()).or_default().gone = gone;
        self.changed.notify_waiters();
    }

    fn wire<R>(&self, line: &str, act: impl FnOnce(&mut Wire) -> R) -> Result<R, Fault> {
        let mut wires = self.wires();
        let wire = wires.entry(line.to_owned()).or_default();
        if wire.gone {
            return Err(Fault::NotPresent(format!("the simulated line {line} is unplugged")));
        }
        Ok(act(wire))
    }

    pub(super) fn input(&self, settings: &InputSettings) -> Result<Input, Fault> {
        let name = settings.line.to_string();
        let fresh = !self.wires().contains_key(&name);
        let level = self.wire(&name, |wire| {
            if fresh {
                // A button to ground on a pull-up, to the supply otherwise.
                wire.level = settings.pull == Pull::Up;
                wire.finger = Some(fastrand::Rng::with_seed(seed_of(self.seed, &name)));
            }
            wire.level
        })?;
        Ok(Input { gpio: self.clone(), name, settings: settings.clone(), stable: level, candidate: None })
    }

    pub(super) fn output(&self, settings: &OutputSettings) -> Result<Output, Fault> {
        let mut output =
            Output { gpio: self.clone(), name: settings.line.to_string(), active_low: settings.active_low };
        let fresh = !self.wires().contains_key(&output.name);
        match settings.initial {
            Initial::Set(active) => output.set(active)?,
            Initial::Keep if fresh => output.set(false)?,
            Initial::Keep => self.wire(&output.name, |_| ())?,
        }
        Ok(output)
    }
}

impl Wire {
    /// The next change; the finger plans a press or a release when none is left.
    fn peek(&mut self) -> Option<(Instant, bool)> {
        if self.coming.is_empty()
            && let Some(finger) = &mut self.finger
        {
            self.coming = presses(finger, Instant::now(), self.level);
        }
        self.coming.front().copied()
    }

    fn pass(&mut self) {
        if let Some((_, level)) = self.coming.pop_front() {
            self.level = level;
        }
    }
}

/// A press after 3 to 15 s and its release after 0.1 to 0.6 s, each with 0 to 6 bounces within 3 ms.
fn presses(finger: &mut fastrand::Rng, now: Instant, idle: bool) -> VecDeque<(Instant, bool)> {
    let mut changes = VecDeque::new();
    let mut at = now + Duration::from_millis(finger.u64(3000..15_000));
    for level in [!idle, idle] {
        for bounce in 0..2 * finger.u32(0..4) + 1 {
            changes.push_back((at, level ^ (bounce % 2 == 1)));
            at += Duration::from_micros(finger.u64(50..500));
        }
        at += Duration::from_millis(finger.u64(100..600));
    }
    changes
}

/// An input line.
pub(super) struct Input {
    gpio: SimulatedGpio,
    name: String,
    settings: InputSettings,
    /// The level that has lasted long enough.
    stable: bool,
    /// A level that has not, and since when.
    candidate: Option<(Instant, bool)>,
}

impl Input {
    pub(super) fn level(&self) -> Result<bool, Fault> {
        self.gpio.wire(&self.name, |_| self.stable != self.settings.active_low)
    }

    /// Debounces as the kernel does: each change starts the period anew.
    pub(super) async fn edge(&mut self) -> Result<Edge, Fault> {
        loop {
            let gpio = self.gpio.clone();
            let changed = gpio.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let next = self.gpio.wire(&self.name, Wire::peek)?;
            let settles = self.candidate.map(|(since, _)| since + self.settings.debounce);
            let settling = settles.is_some_and(|at| next.is_none_or(|(change, _)| at <= change));
            let Some(at) = (if settling { settles } else { next.map(|(at, _)| at) }) else {
                changed.await;
                continue;
            };
            tokio::select! {
                biased;
                () = &mut changed => continue,
                () = sleep_until(at) => {}
            }
            match settling {
                true => {
                    if let Some(edge) = self.settle() {
                        return Ok(edge);
                    }
                }
                false => {
                    self.gpio.wire(&self.name, Wire::pass)?;
                    self.candidate = next;
                }
            }
        }
    }

    /// The candidate has lasted long enough.
    fn settle(&mut self) -> Option<Edge> {
        let (_, level) = self.candidate.take().filter(|(_, level)| *level != self.stable)?;
        self.stable = level;
        let active = level != self.settings.active_low;
        self.settings.edges.include(active).then_some(Edge { active, missed: 0 })
    }
}

/// An output line.
pub(super) struct Output {
    gpio: SimulatedGpio,
    name: String,
    active_low: bool,
}

impl Output {
    pub(super) fn set(&mut self, active: bool) -> Result<(), Fault> {
        self.gpio.wire(&self.name, |wire| wire.level = active != self.active_low)
    }
}
