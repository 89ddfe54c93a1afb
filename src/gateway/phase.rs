//! Tasks that start and stop together.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long one phase may take to stop; with the store's closing all fit in systemd's `TimeoutStopSec`.
const STOPPING: Duration = Duration::from_secs(4);

/// Tasks with one stop signal.
pub(super) struct Phase {
    name: &'static str,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Phase {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, stop: CancellationToken::new(), tasks: JoinSet::new() }
    }

    /// The signal at which the phase's tasks leave.
    pub(super) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    pub(super) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Asks all tasks to leave and waits for them, at most [`STOPPING`].
    pub(super) async fn end(&mut self) {
        self.stop.cancel();
        let all_left = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(STOPPING, all_left).await.is_err() {
            tracing::warn!(phase = self.name, left = self.tasks.len(), "did not stop in time, goes on without");
        }
    }
}
