//! A GPIO line as an input: its level, and how often it has changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};

use super::options::choice;
use super::{Claim, Configured, Driver, Kind, Recognise, Simulate, Spec};
use crate::bus::gpio::{Edge, Edges, Input, InputSettings, LineName, Pull};
use crate::config::Fields;
use crate::config::units::Every;
use crate::model::{Fault, Measure, Reading};

const LEVEL: Measure = Measure::fixed("level", "", 0.0, 1.0, 0).exact();
/// Up to the largest whole number that a reading holds exactly.
const COUNT: Measure = Measure::fixed("count", "", 0.0, 9_007_199_254_740_992.0, 0).exact();

/// The driver.
pub(super) static SPEC: Spec = Spec {
    name: "gpio-in",
    summary: "GPIO line as an input: buttons, contacts, pulses",
    measures: &[LEVEL, COUNT],
    kind: Kind::Pushed,
    options: &[
        ("line", "", "\"GPIO17\", or chip and number as in \"gpiochip0:17\""),
        ("active", "\"high\"", "the level that reads 1: \"high\" or \"low\""),
        ("pull", "\"as-is\"", "the resistor: \"as-is\", \"up\", \"down\" or \"off\""),
        ("debounce", "\"5ms\"", "how long a new level must last to count; \"0ms\" for fast pulses"),
        ("edges", "\"both\"", "what is counted and told: \"both\", \"rising\" (to active) or \"falling\""),
        ("min_gap", "\"20ms\"", "the shortest time between two messages; edges in between are counted"),
    ],
    example: "line = \"GPIO17\"\npull = \"up\"\nactive = \"low\"",
    configure,
    simulate: Simulate::Gpio,
    recognise: Recognise::No,
    captures: &[],
};

fn configure(fields: &mut Fields<'_, '_>) -> Option<Configured> {
    let missing = !fields.has("line");
    let line = fields.text("line", LineName::parse);
    if missing {
        fields.wrong("line", "`line` is missing here", None);
    }
    let active_low = choice(fields, "active", &[("high", false), ("low", true)]);
    let pulls = [("as-is", Pull::AsIs), ("up", Pull::Up), ("down", Pull::Down), ("off", Pull::Off)];
    let pull = choice(fields, "pull", &pulls);
    let edges = [("both", Edges::Both), ("rising", Edges::Rising), ("falling", Edges::Falling)];
    let edges = choice(fields, "edges", &edges);
    let debounce = fields.or("debounce", Every(Duration::from_millis(5))).0;
    let min_gap = fields.or("min_gap", Every(Duration::from_millis(20))).0;
    if debounce > Duration::from_secs(60) {
        fields.wrong("debounce", "`debounce` can be one minute at most", None);
    }
    let settings = InputSettings { line: line?, pull, active_low, debounce, edges };
    // Counts on when the line is opened anew.
    let count = Arc::new(AtomicU64::new(0));
    Some(Configured {
        measures: SPEC.measures.to_vec(),
        claims: vec![Claim::Gpio { line: settings.line.to_string() }],
        open: Box::new(move |buses| {
            let input = buses.gpio_input(&settings)?;
            let count = count.clone();
            Ok(Box::new(GpioIn { input, edges, min_gap, count, level: None, waiting: true, quiet_until: None }))
        }),
    })
}

struct GpioIn {
    input: Input,
    edges: Edges,
    min_gap: Duration,
    count: Arc<AtomicU64>,
    /// The level after the last edge; nothing when only the line itself can tell.
    level: Option<bool>,
    /// Whether there is something to tell; true at first, so that the level is known from the start.
    waiting: bool,
    quiet_until: Option<Instant>,
}

#[async_trait]
impl Driver for GpioIn {
    async fn sample(&mut self) -> Result<Vec<Reading>, Fault> {
        loop {
            let due = self.quiet_until.unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                // Telling comes first: a storm of edges must not silence the line.
                () = sleep_until(due), if self.waiting => return self.tell().await,
                edge = self.input.edge() => {
                    let edge = edge?;
                    self.take(edge);
                }
            }
        }
    }
}

impl GpioIn {
    fn take(&mut self, edge: Edge) {
        self.count.fetch_add(1 + edge.missed, Ordering::Relaxed);
        self.level = (self.edges == Edges::Both).then_some(edge.active);
        self.waiting = true;
    }

    async fn tell(&mut self) -> Result<Vec<Reading>, Fault> {
        let level = match self.level {
            Some(level) => level,
            None => self.input.level().await?,
        };
        self.waiting = false;
        self.quiet_until = Some(Instant::now() + self.min_gap);
        let count = self.count.load(Ordering::Relaxed);
        Ok(vec![LEVEL.is(f64::from(u8::from(level))), COUNT.is(count as f64)])
    }
}
