//! The task that keeps a budget: it counts, writes and tells.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::{Budget, file};
use crate::bridge::core::Core;
use crate::model::{Message, Qos};

/// How often the meter is read.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often the budget is told while nothing happens to it.
const TELL_EVERY: Duration = Duration::from_secs(3600);

/// Counts, writes and tells for ever; without a budget it does nothing.
pub(in crate::bridge) async fn keep(core: &Core) -> Infallible {
    let Some(budget) = &core.budget else { pending().await };
    let mut tell_at = Instant::now();
    loop {
        let changed = budget.look(core.outbox.clock.now());
        if changed {
            let status = budget.status();
            let (name, used) = (&core.settings.name, status.used);
            tracing::info!(bridge = %name, used, projected = status.projected, "budget: {}", status.state);
        }
        budget.write(false).await;
        if changed || Instant::now() >= tell_at {
            let message = Message::own(core.outbox.rules.budget(), budget.status().encode());
            core.hub.publish_and_forget(message.with_qos(Qos::AtLeastOnce).retained()).await;
            tell_at = Instant::now() + TELL_EVERY;
        }
        sleep(LOOK_EVERY).await;
    }
}

impl Budget {
    /// Writes what is spent, when it is time or there is no later.
    pub(in crate::bridge) async fn write(&self, last: bool) {
        let (Some(spent), Some(path)) = (self.to_write(Instant::now(), last), self.file.clone()) else { return };
        match spawn_blocking(move || file::write(&path, spent)).await {
            Ok(Ok(())) => self.wrote(spent),
            Ok(Err(error)) => tracing::warn!("what is spent of the budget cannot be written: {error}"),
            Err(error) => tracing::warn!("what is spent of the budget cannot be written: {error}"),
        }
    }

    /// Counts to the end, and writes.
    pub(in crate::bridge) async fn close(&self, core: &Core) {
        self.look(core.outbox.clock.now());
        self.write(true).await;
    }
}
