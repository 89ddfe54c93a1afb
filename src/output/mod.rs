//! One output's loop: commands, interlocks, safe states, outcome.
//!
//! Invariant: the line is at `boot` before the first command is heard and after the loop has left;
//! every command gets exactly one outcome.

mod command;
mod guard;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bus::Buses;
use crate::drivers::{Driver, Open};
use crate::format::{OutputState, Time};
use crate::hub::{Delivery, Hub};
use crate::model::{Fault, Filter, Message, Name, Qos, Topic};
use crate::runtime::{Clock, Health};

use command::{Command, Refused, Seen};
use guard::{Guard, Reason};

/// Commands that may wait while the line is being set.
const COMMANDS: usize = 16;
/// How long setting the line may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What to drive, and what keeps it safe.
pub struct Output {
    /// The gateway's name, first level of every topic.
    pub gateway: Name,
    /// The output's name, second level.
    pub name: Name,
    /// Opens the device.
    pub open: Open,
    /// The state at start, after SIGTERM, and until the first command.
    pub boot: bool,
    /// After how long without a link which state is set.
    pub on_link_lost: Option<(Duration, bool)>,
    /// The longest time it may stay on.
    pub max_on: Option<Duration>,
    /// The oldest command that is obeyed.
    pub command_ttl: Option<Duration>,
}

/// An output with everything its loop leans on.
pub struct Driven {
    output: Output,
    buses: Buses,
    hub: Hub,
    clock: Clock,
    health: Health,
    /// Whether any bridge is up.
    link: watch::Receiver<bool>,
}

impl Driven {
    /// An output that is not driven yet.
    pub fn new(
        output: Output,
        buses: Buses,
        hub: Hub,
        clock: Clock,
        health: Health,
        link: watch::Receiver<bool>,
    ) -> Arc<Self> {
        Arc::new(Self { output, buses, hub, clock, health, link })
    }

    /// Opens the line, sets `boot` and obeys commands until `stop`; then sets `boot` again.
    ///
    /// # Errors
    /// The fault after which only reopening can help.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), Fault> {
        let driver = (self.output.open)(&self.buses)?;
        let mut line = Line { driven: &self, driver, seen: Seen::default(), guard: Guard::new(&self.output) };
        let filter = self.topic_text("cmd", "set");
        let filter = Filter::new(&filter).expect("names are safe topic levels");
        let mut commands = self.hub.subscribe(vec![filter], COMMANDS);
        let mut link = self.link.clone();
        line.set(self.output.boot, Reason::Boot).await?;
        loop {
            let up = *link.borrow_and_update();
            line.guard.link(up, Instant::now());
            tokio::select! {
                biased;
                () = stop.cancelled() => return line.set(self.output.boot, Reason::Stop).await,
                (on, reason) = line.guard.due() => line.set(on, reason).await?,
                Some(delivery) = commands.recv() => line.obey(&delivery).await?,
                Ok(()) = link.changed() => {}
            }
        }
    }

    /// `<gateway>/cmd/<output>/set` and the like: `cmd` goes before the name, the rest behind it.
    fn topic_text(&self, kind: &str, leaf: &str) -> String {
        let Output { gateway, name, .. } = &self.output;
        if kind == "cmd" { format!("{gateway}/cmd/{name}/{leaf}") } else { format!("{gateway}/{name}/{leaf}") }
    }

    async fn tell<T: Serialize>(&self, leaf: &str, retain: bool, document: &T) {
        let topic = Topic::new(&self.topic_text("", leaf)).expect("names are safe topic levels");
        let payload = serde_json::to_vec(document).expect("a plain struct is JSON");
        let message = Message { retain, ..Message::own(topic, payload).with_qos(Qos::AtLeastOnce) };
        self.hub.publish_and_forget(message).await;
    }
}

/// `<output>/outcome`, one for each command.
#[derive(Serialize)]
struct Outcome<'a> {
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    time: Time,
}

fn word(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// The open line and what keeps it safe.
struct Line<'d> {
    driven: &'d Driven,
    driver: Box<dyn Driver>,
    seen: Seen,
    guard: Guard,
}

impl Line<'_> {
    async fn set(&mut self, on: bool, reason: Reason) -> Result<(), Fault> {
        tokio::time::timeout(PATIENCE, self.driver.set(on)).await.unwrap_or(Err(Fault::Timeout))?;
        self.guard.is(on, Instant::now());
        self.driven.health.good();
        tracing::info!(output = %self.driven.output.name, state = word(on), reason = reason.word(), "set");
        let since = Time(self.driven.clock.wall_ms());
        let document = OutputState { state: word(on), since, reason: reason.word() };
        self.driven.tell("state", true, &document).await;
        Ok(())
    }

    /// Obeys or refuses one command. A fault of the line is the outcome too, before it ends the loop.
    async fn obey(&mut self, delivery: &Delivery) -> Result<(), Fault> {
        let parsed = Command::read(delivery);
        let id = parsed.as_ref().ok().and_then(|command| command.id.clone());
        let set = parsed.as_ref().ok().map(|command| word(command.on));
        let judged = parsed.and_then(|command| self.judge(delivery, command));
        let (outcome, reason, end) = match judged {
            Err(refused) => ("refused", Some(refused.to_string()), Ok(())),
            Ok(on) => match self.set(on, Reason::Command).await {
                Ok(()) => ("done", None, Ok(())),
                Err(fault) => ("failed", Some(fault.to_string()), Err(fault)),
            },
        };
        let time = Time(self.driven.clock.wall_ms());
        self.driven.tell("outcome", false, &Outcome { outcome, set, id: id.as_deref(), reason, time }).await;
        end
    }

    fn judge(&mut self, delivery: &Delivery, command: Command) -> Result<bool, Refused> {
        command.judge(delivery, self.driven.clock.wall_ms(), self.driven.output.command_ttl)?;
        self.seen.once(&command)?;
        self.guard.allows(command.on, Instant::now())?;
        Ok(command.on)
    }
}
