//! What time does to a hub: sessions and retained messages expire, delayed wills and figures are due.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Shared;
use super::sys::Figures;

/// Sessions and wills are as exact as this.
const TICK: Duration = Duration::from_secs(1);
/// Ticks between two looks at the retained messages, which are checked when they are read anyway.
const SWEEP: u64 = 60;

/// Looks after the hub until it stops.
pub(super) async fn run(hub: Arc<Shared>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count: u64 = 0;
    let mut figures = Figures::default();
    while hub.stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let now = Instant::now();
        for will in hub.sessions.sweep(&hub.router, now) {
            hub.publish_later(will);
        }
        figures.tell(&hub, now);
        count += 1;
        if count.is_multiple_of(SWEEP) {
            hub.router.sweep_retained(now);
        }
    }
}
