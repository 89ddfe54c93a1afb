//! The way to each cloud: DNS, TCP, proxy, TLS and its certificates, WebSocket.
//!
//! Nobody logs in: a second client with the bridge's client id would throw the running gateway out, and another id may
//! not be allowed or may look like an intruder. What the cloud says at a login, its Receive Maximum, is known from the
//! running gateway.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::{Finding, Grade, Machine};
use crate::bridge::uplink::{DialError, Dialer, Validity, Way};
use crate::bridge::{Endpoint, Settings};
use crate::format::Time;
use crate::runtime::{Clock, Network};

const SUBJECT: &str = "cloud";
/// A certificate that ends sooner is worth a warning.
const SOON_MS: i64 = 14 * DAY_MS;
const DAY_MS: i64 = 86_400_000;

/// How long each endpoint is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience(pub Duration);

/// How the look at an endpoint ended.
enum End {
    Open,
    Failed(DialError),
    TooLong(Duration),
}

pub(super) async fn findings(machine: &Machine) -> Vec<Finding> {
    let Some(plan) = machine.setup.plan().filter(|_| machine.is_here()) else { return Vec::new() };
    let clock = Clock::system();
    let of_bridges = plan.bridges.iter().map(|bridge| of_bridge(bridge, &clock, machine.patience.0));
    let mut findings: Vec<_> = join_all(of_bridges).await.concat();
    findings.extend(plan.bridges.iter().filter_map(|bridge| own_certificate(bridge, clock.wall_ms())));
    findings
}

/// All endpoints of a bridge at once, and what their distance means for its rate.
async fn of_bridge(bridge: &Settings, clock: &Clock, patience: Duration) -> Vec<Finding> {
    let dialer = Dialer::new(bridge, None, clock.clone(), Network::default());
    let looks = bridge.endpoints.iter().map(|endpoint| look(&dialer, endpoint, patience));
    let looks = join_all(looks).await;
    let any_open = looks.iter().any(|(_, end)| matches!(end, End::Open));
    let judged = bridge.endpoints.iter().zip(&looks);
    judged.map(|(endpoint, (way, end))| judge(bridge, endpoint, way, end, any_open, clock.wall_ms())).collect()
}

async fn look(dialer: &Dialer, endpoint: &Endpoint, patience: Duration) -> (Way, End) {
    let mut way = Way::default();
    let end = match timeout(patience, dialer.look(endpoint, &mut way)).await {
        Ok(Ok(())) => End::Open,
        Ok(Err(error)) => End::Failed(error),
        Err(_) => End::TooLong(patience),
    };
    (way, end)
}

fn judge(bridge: &Settings, endpoint: &Endpoint, way: &Way, end: &End, any_open: bool, now_ms: i64) -> Finding {
    let named = |what: String| format!("bridge {}: {endpoint}: {what}", bridge.name);
    // With another endpoint that answers the bridge works.
    let grade = if any_open { Grade::Warning } else { Grade::Problem };
    match end {
        End::Open => open(way, now_ms, named),
        End::Failed(error) => Finding::new(SUBJECT, grade, named(error.to_string())).advise(advice(error)),
        End::TooLong(patience) => {
            let what = named(format!("{} within {} s", way.step, patience.as_secs_f64()));
            Finding::new(SUBJECT, grade, what).advise("is the line up? A firewall may drop the port without a word")
        }
    }
}

fn open(way: &Way, now_ms: i64, named: impl Fn(String) -> String) -> Finding {
    let away = way.round_trip.map(|time| format!(" in {} ms", time.as_millis().max(1))).unwrap_or_default();
    let Some(certificate) = way.certificate else { return Finding::ok(SUBJECT, named(format!("answers{away}"))) };
    let days = (certificate.until_ms - now_ms) / DAY_MS;
    let what = named(format!("answers{away}; its certificate is valid for {days} more days"));
    match certificate.until_ms - now_ms {
        left_ms if left_ms < SOON_MS => {
            Finding::warning(SUBJECT, what).advise("whoever runs the broker should renew it")
        }
        _ => Finding::ok(SUBJECT, what),
    }
}

fn advice(error: &DialError) -> &'static str {
    match error {
        DialError::Name(..) => {
            "is the name in `url` right, and the line up? `resolvectl query` or `getent hosts` asks for it"
        }
        DialError::Tcp(_) => "is the port in `url` right, and does the broker run?",
        DialError::Proxy(_) => "look at `proxy` in the bridge's table",
        DialError::Certificates(_) => "look at `tls` in the bridge's table",
        DialError::Validity(invalid) if invalid.is_early() => "set the clock: see what is said about it here",
        DialError::Validity(_) => "whoever runs the broker must renew it",
        DialError::Tls(_) => {
            "the host in `url` must be one of the names in the certificate, and `tls.ca` (without it the system's \
             ca-certificates) must hold the authority that signed it"
        }
        DialError::Ws(_) => "is the path in `url` right? Most brokers want /mqtt",
    }
}

/// The certificate that a bridge shows.
fn own_certificate(bridge: &Settings, now_ms: i64) -> Option<Finding> {
    let path = bridge.tls.cert.as_deref()?;
    Some(judge_own(bridge.name.as_str(), path, Validity::in_file(path), now_ms))
}

fn judge_own(bridge: &str, path: &Path, validity: Option<Validity>, now_ms: i64) -> Finding {
    let path = path.display();
    let Some(Validity { from_ms, until_ms }) = validity else {
        return Finding::problem(SUBJECT, format!("bridge {bridge}: {path} holds no certificate"));
    };
    let renew = "get a new one, put it in its place, and `systemctl reload weir`";
    match until_ms - now_ms {
        _ if now_ms < from_ms => {
            Finding::problem(SUBJECT, format!("bridge {bridge}: {path} is not valid before {}", Time(from_ms)))
                .advise("set the clock: see what is said about it here")
        }
        ..0 => Finding::problem(SUBJECT, format!("bridge {bridge}: {path} has expired at {}", Time(until_ms)))
            .advise(renew),
        left_ms => {
            let what = format!("bridge {bridge}: {path} is valid for {} more days", left_ms / DAY_MS);
            if left_ms < SOON_MS { Finding::warning(SUBJECT, what).advise(renew) } else { Finding::ok(SUBJECT, what) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_that_end_soon_are_told() {
        let way = |until_ms| Way {
            round_trip: Some(Duration::from_millis(23)),
            certificate: Some(Validity { from_ms: 0, until_ms }),
            ..Way::default()
        };
        let told = |days: i64| open(&way(days * DAY_MS), 0, |what| what);
        assert_eq!((told(13).grade, told(15).grade), (Grade::Warning, Grade::Ok));
        assert_eq!(told(15).what, "answers in 23 ms; its certificate is valid for 15 more days");
        assert_eq!(open(&Way::default(), 0, |what| what).what, "answers");
    }

    #[test]
    fn our_own_certificate_has_its_dates() {
        let told = |now_days: i64| {
            let validity = Validity { from_ms: 10 * DAY_MS, until_ms: 100 * DAY_MS };
            judge_own("cloud", Path::new("gw.pem"), Some(validity), now_days * DAY_MS).grade
        };
        assert_eq!(
            [told(9), told(11), told(99), told(101)],
            [Grade::Problem, Grade::Ok, Grade::Warning, Grade::Problem]
        );
        assert_eq!(judge_own("cloud", Path::new("gw.pem"), None, 0).grade, Grade::Problem);
    }
}
