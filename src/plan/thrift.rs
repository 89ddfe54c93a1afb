//! `budget` and `connect` of a bridge: links that cost money.

use std::time::Duration;

use crate::bridge::{Budget, Connect};
use crate::config::units::{Bytes, Every};
use crate::config::{Fields, Problems, Table};

/// What a PINGREQ, its answer and the acknowledgement of that cost in TLS, in bytes.
const PING_BYTES: u64 = 204;

const DAY: Duration = Duration::from_secs(86_400);
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// `budget`; nothing when it is not there, or `per_month` is wrong.
pub(super) fn read_budget(table: &Table<'_>, problems: &mut Problems) -> Option<Budget> {
    let mut fields = table.fields(problems);
    let least = Bytes(100_000);
    let per_month = if fields.has("per_month") {
        fields.maybe_within("per_month", least..=Bytes(1_000_000_000_000_000)).map(|bytes| bytes.0)
    } else {
        fields.need::<Bytes>("per_month").map(|bytes| bytes.0)
    };
    let resets_on_day = fields.within("resets_on_day", 1, 1..=28);
    let percent = fields.text("reserve", percent).unwrap_or(10);
    fields.finish();
    let per_month = per_month?;
    Some(Budget { per_month, resets_on_day, reserve: per_month / 100 * percent })
}

/// Understands `"10%"`.
fn percent(text: &str) -> Result<u64, String> {
    let percent = text.strip_suffix('%').and_then(|number| number.trim_end().parse().ok());
    percent.filter(|percent| *percent <= 90).ok_or_else(|| format!("{text:?} is not a share from \"0%\" to \"90%\""))
}

/// `connect`.
pub(super) fn read_connect(table: &Table<'_>, problems: &mut Problems) -> Connect {
    let mut fields = table.fields(problems);
    let scheduled = fields.word("mode", &[("always", false), ("scheduled", true)]).unwrap_or(fields.has("every"));
    let every =
        fields.within("every", Every(Duration::from_secs(3600)), Every(Duration::from_secs(60))..=Every(7 * DAY)).0;
    if !scheduled && fields.has("every") {
        fields.wrong("every", "`every` is for mode = \"scheduled\"", None);
    }
    fields.finish();
    if scheduled { Connect::Scheduled(every) } else { Connect::Always }
}

/// Warns of what does not fit together.
pub(super) fn note(
    fields: &mut Fields<'_, '_>,
    budget: Option<Budget>,
    connect: Connect,
    keepalive: Duration,
    session_expiry: Duration,
) {
    match connect {
        Connect::Scheduled(every) if session_expiry <= every => {
            let message = format!(
                "`session_expiry` must outlive the time between two sessions, or the cloud forgets what it has for us: \
                 it is {}, and `every` is {}",
                Every(session_expiry),
                Every(every)
            );
            let place = fields.place("session_expiry");
            fields.problems.warn(place, message, None);
        }
        Connect::Scheduled(_) => {}
        Connect::Always => {
            let pings = MONTH.as_secs() / keepalive.as_secs().max(1) * PING_BYTES;
            if let Some(budget) = budget.filter(|budget| pings > budget.per_month / 10) {
                let message = format!(
                    "keeping an idle session alive takes up to {:.1} of {:.1} MB a month",
                    pings as f64 / 1e6,
                    budget.per_month as f64 / 1e6
                );
                let place = fields.place("keepalive");
                let help = "make `keepalive` longer, or `connect` by schedule";
                fields.problems.warn(place, message, Some(help.into()));
            }
        }
    }
}
