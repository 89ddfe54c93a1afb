//! What lies in the store that nobody will send any more.

use std::io;

use super::{Finding, Machine};
use crate::model::Name;
use crate::plan::Plan;
use crate::store::{ChainInfo, inspect};

const SUBJECT: &str = "store";
/// The queue of the hub itself.
const HUB: &str = "hub";

pub(super) fn findings(machine: &Machine) -> Vec<Finding> {
    let Some(plan) = machine.setup.plan().filter(|plan| machine.is_here() && plan.store.dir.exists()) else {
        return Vec::new();
    };
    match inspect(&plan.store.dir) {
        Ok(listing) => judge(&listing.chains, plan),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            vec![Finding::unknown(SUBJECT, format!("{} may not be read: ask as root", plan.store.dir.display()))]
        }
        Err(error) => vec![
            Finding::problem(SUBJECT, format!("{}: {error}", plan.store.dir.display()))
                .advise("`weir store verify` says more"),
        ],
    }
}

fn judge(chains: &[ChainInfo], plan: &Plan) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_known = |queue: &Name| queue.as_str() == HUB || plan.bridges.iter().any(|bridge| bridge.name == *queue);
    let mut orphans: Vec<_> = chains.iter().map(|chain| &chain.key.queue).filter(|queue| !is_known(queue)).collect();
    orphans.dedup();
    for queue in orphans {
        let of_queue = chains.iter().filter(|chain| chain.key.queue == *queue);
        let waiting: u64 = of_queue.map(|chain| chain.backlog).sum();
        if waiting > 0 {
            let what = format!("{waiting} messages wait for the bridge {queue}, which is not in the configuration");
            findings
                .push(Finding::warning(SUBJECT, what).advise(format!(
                    "put the bridge back to send them, or delete them with `weir store drop {queue}`"
                )));
        }
    }
    if findings.is_empty() {
        let waiting: u64 =
            chains.iter().filter(|chain| chain.key.queue.as_str() != HUB).map(|chain| chain.backlog).sum();
        findings.push(Finding::ok(SUBJECT, format!("{waiting} messages wait on the disk")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::Grade;
    use super::*;
    use crate::config::Sources;
    use crate::store::ChainKey;

    fn chain(queue: &str, class: u8, backlog: u64) -> ChainInfo {
        let key = ChainKey { queue: Name::new(queue).unwrap(), class };
        ChainInfo { key, ack: 0, backlog, dropped: crate::store::Dropped::default(), gaps: Vec::new() }
    }

    #[test]
    fn what_a_removed_bridge_left_is_told() {
        let text = "[gateway]\nname = \"x\"\n[[bridge]]\nname = \"cloud\"\nurl = \"mqtt://192.0.2.1\"\n";
        let (plan, _) = crate::plan::check(Sources::from_text("weir.toml", text)).map_err(|it| it.to_string()).unwrap();
        let told = judge(&[chain("cloud", 2, 7), chain("hub", 0, 3)], &plan);
        assert_eq!((told[0].grade, told[0].what.as_str()), (Grade::Ok, "7 messages wait on the disk"));
        let told = judge(&[chain("cloud", 2, 7), chain("old", 0, 2), chain("old", 2, 40), chain("older", 0, 0)], &plan);
        assert!(told.len() == 1 && told[0].grade == Grade::Warning, "{told:?}");
        assert!(told[0].what.starts_with("42 messages wait for the bridge old"), "{told:?}");
    }
}
