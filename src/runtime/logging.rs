//! Where events go: the journal when systemd started us, a live view when there is one, the terminal otherwise.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _};
use std::sync::{Arc, Mutex, PoisonError};

use systemd_journal_logger::{JournalLog, connected_to_journal};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer as _, fmt};

use super::journal::Journal;

/// How many lines a [`Tail`] keeps.
const LINES: usize = 6;
/// What is told when nothing else is said. rustls warns of what any peer may send, as often as it likes.
const DEFAULT: &str = "info,rustls=error";

/// The last few lines that were logged, for a view that owns the terminal.
#[derive(Debug, Clone, Default)]
pub struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    /// The last lines, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.lock(|lines| lines.iter().cloned().collect())
    }

    fn lock<T>(&self, act: impl FnOnce(&mut VecDeque<String>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl io::Write for Tail {
    /// The formatter hands over one event at a time, with its end of line.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.lock(|lines| {
            lines.extend(text.lines().map(str::to_owned));
            let surplus = lines.len().saturating_sub(LINES);
            lines.drain(..surplus);
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Tail {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// Starts logging, into `tail` if there is one. `WEIR_LOG` sets levels, as in `debug` or
/// `info,weir::hub=trace`; the default is `info`, without rustls' warnings. The journal shows `info` as notice, `debug` as info, `trace` as debug.
///
/// # Errors
/// When logging was started before.
pub fn start(tail: Option<Tail>) -> Result<(), TryInitError> {
    let filter = filter(std::env::var("WEIR_LOG").ok().as_deref());
    let journal = connected_to_journal().then(|| JournalLog::new().ok()).flatten();
    let sink = match (tail, journal) {
        (Some(tail), _) => fmt::layer().with_writer(tail).with_ansi(false).with_target(false).boxed(),
        (None, Some(journal)) => Journal(journal.with_syslog_identifier("weir".into())).boxed(),
        (None, None) => {
            let terminal = io::stderr().is_terminal();
            fmt::layer().with_writer(io::stderr).with_ansi(terminal).with_target(false).boxed()
        }
    };
    tracing_subscriber::registry().with(sink.with_filter(filter)).try_init()
}

/// What is told: what was asked for, or the default if that cannot be read.
fn filter(asked: Option<&str>) -> Targets {
    let parsed = asked.and_then(|asked| asked.parse().ok());
    parsed.unwrap_or_else(|| DEFAULT.parse().expect("the default can be read"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn levels_are_set_for_all_or_for_a_part() {
        use tracing::Level;
        let of = |asked| filter(asked);
        assert!(of(None).would_enable("weir::hub", &Level::INFO) && !of(None).would_enable("rustls", &Level::WARN));
        assert!(of(Some("debug")).would_enable("rustls", &Level::DEBUG));
        let part = of(Some("warn,weir::hub=trace"));
        assert!(part.would_enable("weir::hub::session", &Level::TRACE) && !part.would_enable("weir", &Level::INFO));
        assert!(of(Some("=a=b")).would_enable("weir", &Level::INFO), "what cannot be read is the default");
    }

    #[test]
    fn the_tail_keeps_the_last_lines() {
        let mut tail = Tail::default();
        for n in 0..10 {
            tail.write_all(format!("line {n}\n").as_bytes()).unwrap();
        }
        assert_eq!(tail.lines().len(), LINES);
        assert_eq!(tail.lines().last().unwrap(), "line 9");
    }
}
