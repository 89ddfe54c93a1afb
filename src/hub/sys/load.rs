//! Moving averages per minute, as load averages are known from Unix. Pure.

use std::time::Duration;

use super::super::Counters;

/// What is averaged: its topic below `$SYS/broker/load/`, what it counts, and where it is read.
type Rate = (&'static str, &'static str, fn(&Counters) -> u64);

const RATES: [Rate; 9] = [
    ("connections", "CONNECT packets received", |it| it.connects),
    ("sockets", "Connections opened", |it| it.connections),
    ("messages/received", "Packets of every kind received", |it| it.packets_in),
    ("messages/sent", "Packets of every kind sent", |it| it.packets_out),
    ("bytes/received", "Bytes received", |it| it.bytes_in),
    ("bytes/sent", "Bytes sent", |it| it.bytes_out),
    ("publish/received", "PUBLISH packets received", |it| it.messages_in),
    ("publish/sent", "PUBLISH packets sent", |it| it.messages_out),
    ("publish/dropped", "Messages dropped", |it| it.dropped),
];

/// The periods, with their minutes.
const PERIODS: [(&str, f64); 3] = [("1min", 1.0), ("5min", 5.0), ("15min", 15.0)];

/// One counter's averages.
#[derive(Debug, Default, Clone, Copy)]
struct Average {
    last: u64,
    per_minute: [f64; PERIODS.len()],
}

impl Average {
    /// Moves on to `count`, `minutes` after the last time: each average keeps exp(-minutes / period) of itself.
    fn pass(&mut self, count: u64, minutes: f64) {
        let rate = count.saturating_sub(self.last) as f64 / minutes;
        for (average, (_, period)) in self.per_minute.iter_mut().zip(PERIODS) {
            *average = rate + (*average - rate) * libm::exp(-minutes / period);
        }
        self.last = count;
    }
}

/// All averages.
#[derive(Debug, Default)]
pub(super) struct Loads([Average; RATES.len()]);

impl Loads {
    /// Every topic below `$SYS/` with its value, `passed` after the last time; the first time with zeros.
    pub(super) fn pass(&mut self, counters: &Counters, passed: Duration) -> Vec<(String, String)> {
        let minutes = passed.as_secs_f64() / 60.0;
        let mut all = Vec::with_capacity(RATES.len() * PERIODS.len());
        for (average, (name, _, read)) in self.0.iter_mut().zip(RATES) {
            if minutes > 0.0 {
                average.pass(read(counters), minutes);
            }
            let named = average.per_minute.iter().zip(PERIODS);
            all.extend(
                named.map(|(value, (period, _))| (format!("broker/load/{name}/{period}"), format!("{value:.2}"))),
            );
        }
        all
    }
}

/// The topics with what they say.
pub(super) fn topics() -> impl Iterator<Item = (String, String)> {
    RATES.iter().flat_map(|(name, what, _)| {
        PERIODS.iter().map(move |(period, minutes)| {
            let about = format!("{what} per minute, as a moving average over {minutes} min.");
            (format!("$SYS/broker/load/{name}/{period}"), about)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(all: &[(String, String)], topic: &str) -> String {
        all.iter().find(|(name, _)| name == topic).unwrap().1.clone()
    }

    /// What mosquitto 2.0.11 said with `sys_interval 1` after one client had sent 27 bytes in a 2 s interval,
    /// and 2 s of silence later.
    #[test]
    fn averages_move_as_those_of_mosquitto() {
        let mut loads = Loads::default();
        let mut counters = Counters::default();
        let all = loads.pass(&counters, Duration::ZERO);
        assert_eq!(value(&all, "broker/load/bytes/received/1min"), "0.00");
        (counters.bytes_in, counters.connects) = (27, 1);
        let all = loads.pass(&counters, Duration::from_secs(2));
        for (topic, wanted) in [
            ("bytes/received/1min", "26.55"),
            ("bytes/received/5min", "5.38"),
            ("bytes/received/15min", "1.80"),
            ("connections/1min", "0.98"),
            ("connections/15min", "0.07"),
        ] {
            assert_eq!(value(&all, &format!("broker/load/{topic}")), wanted, "{topic}");
        }
        let all = loads.pass(&counters, Duration::from_secs(2));
        assert_eq!(value(&all, "broker/load/bytes/received/1min"), "25.68");
        assert_eq!(value(&all, "broker/load/bytes/received/5min"), "5.35");
    }

    #[test]
    fn a_steady_rate_is_reached() {
        let mut loads = Loads::default();
        let mut counters = Counters::default();
        let mut all = Vec::new();
        for _ in 0..600 {
            counters.messages_in += 100;
            all = loads.pass(&counters, Duration::from_secs(10));
        }
        assert_eq!(value(&all, "broker/load/publish/received/1min"), "600.00");
        assert_eq!(value(&all, "broker/load/publish/received/15min"), "599.24");
    }
}
