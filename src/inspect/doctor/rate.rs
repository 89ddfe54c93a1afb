//! Whether the cloud takes as many messages at once as a bridge could send.

use super::{Finding, Machine};
use crate::bridge::Settings;
use crate::gateway::report::Report;

/// What the running gateway was told by each cloud.
pub(super) fn findings(machine: &Machine) -> Vec<Finding> {
    let (Some(plan), Some(running)) = (machine.setup.plan(), &machine.running) else { return Vec::new() };
    plan.bridges.iter().filter_map(|bridge| judge(bridge, takes(running, bridge)?)).collect()
}

fn takes(running: &Report, bridge: &Settings) -> Option<u16> {
    running.costs.iter().find(|costs| costs.bridge == bridge.name.as_str())?.takes
}

/// A message is acknowledged after a round trip: at 100 ms, 20 at once are 200 a second.
fn judge(bridge: &Settings, takes: u16) -> Option<Finding> {
    let Settings { name, in_flight, .. } = bridge;
    (takes < *in_flight).then(|| {
        let most = u32::from(takes) * 10;
        let what = format!(
            "bridge {name}: the cloud takes {takes} messages at once, and `in_flight` is {in_flight}: \
             with a round trip of 100 ms that is at most {most} a second"
        );
        let advice = "for more, raise its Receive Maximum (mosquitto: `max_inflight_messages`, 20 unless it is set)";
        match bridge.replay.rate_per_s {
            0 => Finding::warning("cloud", what).advise(advice),
            rate if rate > most => Finding::warning("cloud", what).advise(advice),
            _ => Finding::ok("cloud", what),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::Grade;
    use super::*;
    use crate::config::Sources;

    #[test]
    fn a_small_window_is_told_when_it_limits_the_replay() {
        let bridge = |replay: &str| {
            let text = format!(
                "[gateway]\nname = \"x\"\n[[bridge]]\nname = \"cloud\"\nurl = \"mqtt://192.0.2.1\"\nreplay = {{ rate = {replay:?} }}\n"
            );
            let checked = crate::plan::check(Sources::from_text("weir.toml", &text));
            checked.map_err(|report| report.to_string()).unwrap().0.bridges.remove(0)
        };
        assert_eq!(judge(&bridge("600/s"), 20).unwrap().grade, Grade::Warning);
        assert_eq!(judge(&bridge("100/s"), 20).unwrap().grade, Grade::Ok);
        assert_eq!(judge(&bridge("0"), 255).unwrap().grade, Grade::Warning);
        assert_eq!(judge(&bridge("600/s"), 256), None);
    }
}
