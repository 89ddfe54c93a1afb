//! One sensor's loop: tick, deadline, filters, publish, strikes.
//!
//! Invariant: a failed round publishes nothing. It is a strike on the health board, and after
//! [`Sensor::strikes`] of them in a row the loop ends, so that its supervisor opens the device anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use crate::bus::Buses;
use crate::config::units::Every;
use crate::drivers::{Driver, Open};
use crate::filters::{Chain, Recipe};
use crate::format;
use crate::hub::{Delivery, Hub, Subscription};
use crate::model::{Fault, Filter, Format, Message, Name, Qos, Quality, Reading, Sample, Source, Stamp, Topic};
use crate::runtime::{Clock, Health};

/// The shortest interval a command may ask for.
const FASTEST: Duration = Duration::from_millis(100);
/// The longest interval a command may ask for.
const SLOWEST: Duration = Duration::from_secs(86_400);
/// Commands that may wait for a sensor that is in the middle of a round.
const COMMANDS: usize = 8;

/// What to read, how often, and how to publish it.
pub struct Sensor {
    /// The gateway's name, first level of every topic.
    pub gateway: Name,
    /// The sensor's name, second level.
    pub name: Name,
    /// Opens the device.
    pub open: Open,
    /// The interval of a polled sensor; nothing for one that speaks by itself.
    pub every: Option<Duration>,
    /// How long one round may take.
    pub patience: Duration,
    /// How many failed rounds in a row make the device be opened anew.
    pub strikes: u32,
    /// Filter chains by measure.
    pub recipes: HashMap<String, Recipe>,
    /// QoS of the readings.
    pub qos: Qos,
    /// Whether the hub keeps the last reading.
    pub retain: bool,
    /// The payload.
    pub format: Format,
    /// Whether a simulated chip makes the readings.
    pub simulated: bool,
}

/// What became of the readings of one measure since the start: `taken` = `published` + the sum of `filtered`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The measure.
    pub measure: String,
    /// Readings that the device gave.
    pub taken: u64,
    /// Those that went to the hub.
    pub published: u64,
    /// Of those: outside what the device or the `range` filter holds possible.
    pub suspect: u64,
    /// Those that were held back, by filter.
    pub filtered: Vec<(&'static str, u64)>,
}

/// What outlives a reopening.
#[derive(Default)]
struct Memory {
    sequences: HashMap<String, u64>,
    suspect: HashMap<String, u64>,
    last: HashMap<String, Sample>,
    chains: HashMap<String, Chain>,
}

/// A sensor with everything its loop leans on.
pub struct Sampler {
    sensor: Sensor,
    buses: Buses,
    hub: Hub,
    clock: Clock,
    health: Health,
    memory: Mutex<Memory>,
}

impl Sampler {
    /// A sampler that has not read yet.
    pub fn new(sensor: Sensor, buses: Buses, hub: Hub, clock: Clock, health: Health) -> Arc<Self> {
        Arc::new(Self { sensor, buses, hub, clock, health, memory: Mutex::default() })
    }

    /// Opens the device and samples it until `stop`.
    ///
    /// # Errors
    /// The fault after which only reopening can help.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), Fault> {
        let mut driver = (self.sensor.open)(&self.buses)?;
        let mut rounds = Rounds::new(&self);
        let mut commands = self.listen();
        let mut ticks = self.sensor.every.map(|every| Ticks::new(interval(every)));
        loop {
            let end = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                Some(delivery) = commands.recv() => match self.obey(&delivery, &mut ticks) {
                    true => stop.run_until_cancelled(self.sample(&mut *driver)).await,
                    false => continue,
                },
                () = tick(&mut ticks, &self.health) => stop.run_until_cancelled(self.sample(&mut *driver)).await,
                end = driver.sample(), if self.sensor.every.is_none() => Some(end),
            };
            match end {
                Some(end) => rounds.take(end).await?,
                None => return Ok(()),
            }
        }
    }

    async fn sample(&self, driver: &mut dyn Driver) -> Result<Vec<Reading>, Fault> {
        timeout(self.sensor.patience, driver.sample()).await.unwrap_or(Err(Fault::Timeout))
    }

    fn listen(&self) -> Subscription {
        let filter = |verb| {
            let text = format!("{}/cmd/{}/{verb}", self.sensor.gateway, self.sensor.name);
            Filter::new(&text).expect("names are safe topic levels")
        };
        let filters = if self.sensor.every.is_some() { vec![filter("every"), filter("read")] } else { Vec::new() };
        self.hub.subscribe(filters, COMMANDS)
    }

    /// Obeys a command; true when a round is due now.
    fn obey(&self, delivery: &Delivery, ticks: &mut Option<Ticks>) -> bool {
        let message = &delivery.message;
        if message.topic.as_str().ends_with("/read") {
            return !delivery.retained;
        }
        let text = String::from_utf8_lossy(&message.payload);
        match Every::parse(text.trim()) {
            Ok(Every(every)) if (FASTEST..=SLOWEST).contains(&every) => {
                tracing::info!(sensor = %self.sensor.name, every_ms = every.as_millis() as u64, "interval changed");
                *ticks = Some(Ticks::new(interval_at(Instant::now() + every, every)));
            }
            Ok(_) => tracing::warn!(sensor = %self.sensor.name, "an interval goes from 100ms to 1d, not {text}"),
            Err(why) => tracing::warn!(sensor = %self.sensor.name, "interval not changed: {why}"),
        }
        false
    }

    async fn publish(&self, sample: Sample) {
        self.memory(|memory| memory.last.insert(sample.reading.measure.name.clone().into_owned(), sample.clone()));
        self.hub.publish_and_forget(self.message(sample)).await;
    }

    fn message(&self, sample: Sample) -> Message {
        let Sensor { gateway, name, qos, retain, .. } = &self.sensor;
        let topic = Topic::new(&format!("{gateway}/{name}/{}", sample.reading.measure.name))
            .expect("names and measures are safe topic levels");
        let source = Source { sample, format: self.sensor.format };
        let payload = format::payload(&source, topic.as_str());
        Message { retain: *retain, source: Some(Arc::new(source)), ..Message::own(topic, payload).with_qos(*qos) }
    }

    /// Publishes the last readings again, marked as stale: the sensor has died, and a retained
    /// value must not look alive.
    pub async fn tell_stale(&self) {
        if !self.sensor.retain {
            return;
        }
        let last: Vec<_> = self.memory(|memory| memory.last.drain().map(|(_, sample)| sample).collect());
        for sample in last {
            self.hub.publish_and_forget(self.message(Sample { quality: Quality::Stale, ..sample })).await;
        }
    }

    /// What became of all readings, by measure.
    pub fn accounts(&self) -> Vec<Account> {
        self.memory(|memory| {
            let account = |(measure, chain): (&String, &Chain)| {
                let (counts, suspect) = (chain.counts(), memory.suspect.get(measure).copied().unwrap_or_default());
                Account {
                    measure: measure.clone(),
                    taken: counts.taken,
                    published: counts.passed,
                    suspect,
                    filtered: chain.filtered_by().collect(),
                }
            };
            memory.chains.iter().map(account).collect()
        })
    }

    /// The sensor's name.
    pub fn name(&self) -> &Name {
        &self.sensor.name
    }

    fn memory<T>(&self, act: impl FnOnce(&mut Memory) -> T) -> T {
        act(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The interval, and when it last ticked, to count the ticks that were skipped.
struct Ticks {
    interval: Interval,
    last: Option<Instant>,
}

impl Ticks {
    fn new(mut interval: Interval) -> Self {
        interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self { interval, last: None }
    }

    /// Waits for the next tick; gives how many were skipped before it.
    async fn next(&mut self) -> u64 {
        let tick = self.interval.tick().await;
        let period = self.interval.period().as_millis().max(1);
        let passed = self.last.map_or(0, |last| tick.duration_since(last).as_millis() / period);
        self.last = Some(tick);
        (passed as u64).saturating_sub(1)
    }
}

async fn tick(ticks: &mut Option<Ticks>, health: &Health) {
    match ticks {
        Some(ticks) => match ticks.next().await {
            0 => {}
            skipped => health.skipped(skipped),
        },
        None => std::future::pending().await,
    }
}

/// What happens to the outcome of each round, from one opening of the device to its end.
struct Rounds<'s> {
    sampler: &'s Sampler,
    strikes: u32,
}

impl<'s> Rounds<'s> {
    fn new(sampler: &'s Sampler) -> Self {
        // The sensor was away: what the filters remember is of another time.
        sampler.memory(|memory| memory.chains.values_mut().for_each(Chain::reset));
        Self { sampler, strikes: 0 }
    }

    async fn take(&mut self, end: Result<Vec<Reading>, Fault>) -> Result<(), Fault> {
        let readings = match end {
            Ok(readings) => readings,
            Err(fault) => return self.strike(fault),
        };
        self.strikes = 0;
        self.sampler.health.good();
        let (stamp, mut filtered) = (self.sampler.clock.now(), 0);
        for reading in readings {
            match self.filter(reading, stamp) {
                Some(sample) => self.sampler.publish(sample).await,
                None => filtered += 1,
            }
        }
        self.sampler.health.filtered(filtered);
        Ok(())
    }

    fn strike(&mut self, fault: Fault) -> Result<(), Fault> {
        self.strikes += 1;
        self.sampler.health.strike(&fault);
        tracing::debug!(sensor = %self.sampler.sensor.name, fault = fault.word(), strikes = self.strikes, "{fault}");
        if self.strikes >= self.sampler.sensor.strikes { Err(fault) } else { Ok(()) }
    }

    fn filter(&self, reading: Reading, stamp: Stamp) -> Option<Sample> {
        let measure = reading.measure.name.clone();
        let sensor = &self.sampler.sensor;
        let possible = (reading.measure.min..=reading.measure.max).contains(&reading.value);
        let quality = match (sensor.simulated, possible) {
            (_, false) => Quality::Suspect,
            (true, true) => Quality::Simulated,
            (false, true) => Quality::Ok,
        };
        let raw = Sample { sensor: sensor.name.clone(), reading, stamp, quality, sequence: 0 };
        let fresh = || sensor.recipes.get(&*measure).map(Recipe::chain).unwrap_or_default();
        self.sampler.memory(|memory| {
            let passed = memory.chains.entry(measure.to_string()).or_insert_with(fresh).apply(raw)?;
            let count = memory.sequences.entry(measure.to_string()).or_default();
            *count += 1;
            let sequence = *count;
            if passed.quality == Quality::Suspect {
                *memory.suspect.entry(measure.to_string()).or_default() += 1;
            }
            Some(Sample { sequence, ..passed })
        })
    }
}
