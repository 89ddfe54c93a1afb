//! Whether the time can be believed, now and after the next power cut.

use super::{Finding, Machine};
use crate::bus::kernel::Files;
use crate::format::Time;
use crate::runtime::clock::EARLIEST_MS;

const SUBJECT: &str = "clock";

/// What is known about the clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Facts {
    wall_ms: i64,
    service: Service,
    /// The clock that runs without power.
    rtc: Option<String>,
}

/// Who sets the clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Service {
    #[default]
    Nobody,
    /// One that does not say in a file whether it has done it.
    Other(&'static str),
    /// systemd-timesyncd, and whether it has set the clock since the start.
    Timesync(bool),
}

pub(super) fn findings(machine: &Machine) -> Vec<Finding> {
    let wall_ms = crate::runtime::Clock::system().wall_ms();
    vec![judge(&gather(&machine.files(), wall_ms))]
}

fn gather(files: &dyn Files, wall_ms: i64) -> Facts {
    let is_there = |path: &str| files.rights(path).is_ok();
    let others = [("chrony", "run/chrony/chronyd.pid"), ("ntpd", "run/ntpd.pid"), ("ntpd", "run/ntp.pid")];
    let other = others.iter().find(|(_, pid)| is_there(pid)).map(|(name, _)| Service::Other(name));
    let timesync =
        || is_there("run/systemd/timesync").then(|| Service::Timesync(is_there("run/systemd/timesync/synchronized")));
    Facts {
        wall_ms,
        service: other.or_else(timesync).unwrap_or_default(),
        rtc: files.read("sys/class/rtc/rtc0/name").ok(),
    }
}

fn judge(facts: &Facts) -> Finding {
    let now = Time(facts.wall_ms);
    let kept = match &facts.rtc {
        Some(rtc) => format!("{rtc} keeps it through power cuts"),
        None => "after a power cut it is wrong until the network answers".to_owned(),
    };
    if facts.wall_ms < EARLIEST_MS {
        return Finding::problem(SUBJECT, format!("it says {now}: it was never set"))
            .advise("let the machine reach a time server, or add a clock chip (DS3231); until then certificates are refused and readings wait");
    }
    match facts.service {
        Service::Timesync(true) => Finding::ok(SUBJECT, format!("set by systemd-timesyncd; {kept}")),
        Service::Timesync(false) => {
            Finding::warning(SUBJECT, format!("systemd-timesyncd has not reached a time server; it says {now}"))
                .advise("`timedatectl timesync-status` says why; readings wait for it up to `clock_wait`")
        }
        Service::Other(name) => Finding::ok(SUBJECT, format!("{name} runs; {kept}")),
        Service::Nobody => {
            Finding::warning(SUBJECT, "nobody is known to set it").advise("`sudo apt install systemd-timesyncd`")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Grade;
    use super::*;
    use crate::bus::kernel::Tree;

    #[test]
    fn services_are_found_by_their_files() {
        let set = |tree: Tree| gather(&tree, EARLIEST_MS);
        let timesync = Tree::default().with("run/systemd/timesync#rights", "755 0 0");
        assert_eq!(set(timesync).service, Service::Timesync(false));
        let synced = Tree::default()
            .with("run/systemd/timesync#rights", "755 0 0")
            .with("run/systemd/timesync/synchronized#rights", "644 0 0")
            .with("sys/class/rtc/rtc0/name", "rtc-ds1307 1-0068\n");
        let facts = set(synced);
        assert_eq!((facts.service, facts.rtc.as_deref()), (Service::Timesync(true), Some("rtc-ds1307 1-0068")));
        assert_eq!(
            set(Tree::default().with("run/chrony/chronyd.pid#rights", "644 0 0")).service,
            Service::Other("chrony")
        );
        assert_eq!(set(Tree::default()).service, Service::Nobody);
    }

    #[test]
    fn verdicts() {
        let facts = |service, wall_ms| Facts { wall_ms, service, rtc: None };
        for (service, wall_ms, grade, words) in [
            (Service::Timesync(true), EARLIEST_MS, Grade::Ok, "until the network answers"),
            (Service::Timesync(false), EARLIEST_MS, Grade::Warning, "has not reached"),
            (Service::Nobody, EARLIEST_MS, Grade::Warning, "nobody is known"),
            (Service::Other("chrony"), EARLIEST_MS, Grade::Ok, "chrony runs"),
            (Service::Timesync(true), 0, Grade::Problem, "1970-01-01"),
        ] {
            let told = judge(&facts(service, wall_ms));
            assert!(told.grade == grade && told.what.contains(words), "{told:?}");
        }
    }
}
