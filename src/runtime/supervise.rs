//! Keeps one task alive for ever: rebuilt from its factory after every end, panics included.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{Backoff, Health};
use crate::model::Fault;

// A panic in one driver must not end the broker; this rests on unwinding.
#[cfg(not(panic = "unwind"))]
compile_error!("weir must be built with panic = \"unwind\"");

/// A run that lasted this long was calm: the failure after it is a new one.
const CALM: Duration = Duration::from_secs(60);

/// Runs `start` again and again until `stop`, with pauses after failures. The task watches the
/// token it is given and leaves when it is cancelled.
///
/// It never gives up: sensors and links come back.
pub async fn supervise<F, Fut>(health: &Health, mut backoff: Backoff, stop: CancellationToken, mut start: F)
where
    F: FnMut(CancellationToken) -> Fut,
    Fut: Future<Output = Result<(), Fault>>,
{
    while !stop.is_cancelled() {
        let began = Instant::now();
        let end = AssertUnwindSafe(start(stop.clone())).catch_unwind().await;
        if stop.is_cancelled() {
            break;
        }
        let fault = match end {
            Ok(Err(fault)) => fault,
            Ok(Ok(())) => Fault::Ended,
            Err(_) => Fault::Panicked,
        };
        if began.elapsed() >= CALM {
            backoff.reset();
        }
        let pause = backoff.pause(Instant::now(), fastrand::f64());
        tracing::warn!(part = %health.part(), fault = fault.word(), retry_ms = pause.as_millis() as u64, "{fault}");
        health.dead(&fault);
        stop.run_until_cancelled(sleep(pause)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::model::Name;
    use crate::runtime::{Board, Clock, Part, State};

    #[tokio::test(start_paused = true)]
    async fn a_fault_a_panic_and_an_early_end_are_all_survived() {
        let board = Board::new(Clock::system());
        let part = Part::Sensor(Name::new("x").unwrap());
        let health = board.health(part.clone());
        let stop = CancellationToken::new();
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        supervise(&health, Backoff::for_devices(), stop.clone(), |stop| {
            let run = counted.fetch_add(1, Ordering::Relaxed);
            async move {
                match run {
                    0 => Err(Fault::Nack),
                    1 => panic!("on purpose"),
                    2 => Ok(()),
                    _ => {
                        stop.cancel();
                        Ok(())
                    }
                }
            }
        })
        .await;
        assert_eq!(runs.load(Ordering::Relaxed), 4);
        let status = board.status(&part).unwrap();
        assert_eq!(status.state, State::Dead);
        assert_eq!(status.faults.get("nack"), Some(&1));
        assert_eq!(status.faults.get("panicked"), Some(&1));
        assert_eq!(status.faults.get("ended"), Some(&1));
    }
}
