//! Certificates that are not valid now: nobody's fault but a clock's, or an owner's.

use std::fmt;
use std::time::Duration;

use rustls::CertificateError;
use rustls::pki_types::UnixTime;

use crate::format::Time;
use crate::model::TimeQuality;
use crate::runtime::Clock;

/// A certificate and why it is not valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    host: String,
    here: Time,
    why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It begins later, if known when; and whether the clock here was ever set.
    Early(Option<Time>, bool),
    /// It has ended, if known when.
    Late(Option<Time>),
}

impl Invalid {
    /// `None` when the time is not what is wrong.
    pub(super) fn new(host: &str, error: &CertificateError, clock: &Clock) -> Option<Self> {
        let is_set = || clock.now().quality == TimeQuality::Synced;
        let why = match error {
            CertificateError::NotValidYet => Why::Early(None, is_set()),
            CertificateError::NotValidYetContext { not_before, .. } => Why::Early(Some(time(*not_before)), is_set()),
            CertificateError::Expired => Why::Late(None),
            CertificateError::ExpiredContext { not_after, .. } => Why::Late(Some(time(*not_after))),
            _ => return None,
        };
        Some(Self { host: host.to_owned(), here: Time(clock.wall_ms()), why })
    }

    /// Whether a later time would make it good.
    pub fn is_early(&self) -> bool {
        matches!(self.why, Why::Early(..))
    }
}

fn time(at: UnixTime) -> Time {
    Time(i64::try_from(Duration::from_secs(at.as_secs()).as_millis()).unwrap_or(i64::MAX))
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the certificate of {} ", self.host)?;
        match self.why {
            Why::Early(Some(from), _) => write!(f, "is not valid before {from}")?,
            Why::Early(None, _) => f.write_str("is not valid yet")?,
            Why::Late(Some(until)) => write!(f, "has expired at {until}")?,
            Why::Late(None) => f.write_str("has expired")?,
        }
        write!(f, ", and the clock here says {}", self.here)?;
        match self.why {
            Why::Early(_, false) => f.write_str(": waiting for the clock to be set"),
            Why::Early(_, true) => f.write_str(": is it right?"),
            Why::Late(_) => Ok(()),
        }
    }
}
