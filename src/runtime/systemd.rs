//! What systemd is told: ready, status, alive, stopping. Without systemd every call does nothing.

use std::future::Future;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use super::Board;

/// The gateway serves: `Type=notify` units are started from now on.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The gateway reads its configuration again; [`ready`] says that it has done so.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        // systemd tells by the time which of several reloads this is.
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The gateway stops.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd cannot be told");
    }
}

/// Keeps `STATUS=` up to date and feeds the watchdog, as long as `beat` answers in time.
///
/// `beat` asks hub and store; sensors do not count, because a dead sensor must not restart the gateway.
pub async fn report<F, Fut>(board: Board, beat: F, stop: CancellationToken)
where
    F: Fn() -> Fut,
    Fut: Future<Output = bool>,
{
    let watchdog = sd_notify::watchdog_enabled();
    let period = watchdog.map_or(Duration::from_secs(10), |deadline| deadline / 3);
    let (mut ticks, mut changes) = (interval(period), board.changes());
    loop {
        tell(&[NotifyState::Status(&board.summary())]);
        tokio::select! {
            () = stop.cancelled() => return,
            Ok(()) = changes.changed() => continue,
            _ = ticks.tick() => {}
        }
        if watchdog.is_some() && timeout(period, beat()).await.unwrap_or(false) {
            tell(&[NotifyState::Watchdog]);
        }
    }
}
