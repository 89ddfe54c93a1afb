//! Where events go: the journal when systemd started us, the terminal otherwise.

use std::io::IsTerminal as _;

use systemd_journal_logger::{JournalLog, connected_to_journal};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use super::journal::Journal;

/// Starts logging. `WEIR_LOG` sets levels in the syntax of `RUST_LOG`; the default is `quiet`
/// (warnings) or `info`. The journal shows `info` as notice, `debug` as info, `trace` as debug.
///
/// # Errors
/// When logging was started before.
pub fn start(quiet: bool) -> Result<(), TryInitError> {
    let usual = if quiet { "warn" } else { "info" };
    let filter = EnvFilter::try_from_env("WEIR_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    let journal = connected_to_journal().then(|| JournalLog::new().ok()).flatten();
    let sink = match journal {
        Some(journal) => Journal(journal.with_syslog_identifier("weir".into())).boxed(),
        None => {
            let terminal = std::io::stderr().is_terminal();
            fmt::layer().with_writer(std::io::stderr).with_ansi(terminal).with_target(false).boxed()
        }
    };
    tracing_subscriber::registry().with(sink.with_filter(filter)).try_init()
}
