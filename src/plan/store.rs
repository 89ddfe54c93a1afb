//! `[store]`.

use std::collections::HashSet;
use std::time::Duration;

use super::Gateway;
use crate::bridge;
use crate::config::units::{Bytes, Every};
use crate::config::{Problems, Table};
use crate::store::{Settings, WhenFull};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// Segments are made of whole disk blocks.
const BLOCK: u64 = 4 * KIB;

pub(super) fn read(
    table: Option<&Table<'_>>,
    gateway: Option<&Gateway>,
    bridges: &[Option<bridge::Settings>],
    problems: &mut Problems,
) -> Option<Settings> {
    let table = table.cloned().unwrap_or_else(Table::empty);
    let mut fields = table.fields(problems);
    let max_size = fields.within("max_size", Bytes(512 * MIB), Bytes(MIB)..=Bytes(MIB * MIB)).0;
    let default = Bytes(if max_size < 128 * MIB { MIB } else { 8 * MIB });
    let segment_size = fields.within("segment", default, Bytes(64 * KIB)..=Bytes(256 * MIB)).0;
    if !segment_size.is_multiple_of(BLOCK) {
        fields.wrong("segment", "`segment` must be a multiple of 4KiB", None);
    }
    let loss = Every(Duration::from_millis(10))..=Every(Duration::from_secs(3600));
    let max_loss = fields.within("max_loss", Every(Duration::from_secs(1)), loss).0;
    let words = [("thin", WhenFull::Thin), ("drop-oldest", WhenFull::DropOldest), ("reject", WhenFull::Reject)];
    let wanted = fields.word("when_full", &words);
    let when_full = wanted.unwrap_or(WhenFull::Thin);
    let max_commits_per_s = fields.within("max_commits", 20, 1..=1000);
    let least = 2 * segment_size * chains(bridges);
    let enough = |size: u64| format!("raise it to {}MiB, or make `segment` smaller", size.div_ceil(MIB));
    if max_size < least {
        let message = format!("`max_size` must hold two segments for each of {} queues", chains(bridges));
        fields.wrong("max_size", message, Some(enough(least)));
    }
    // Thinning keeps the room of one segment free.
    let narrow = max_size >= least && max_size < least + segment_size;
    let when_full = match when_full {
        WhenFull::Thin if narrow && !thins_anything(bridges) => WhenFull::DropOldest,
        WhenFull::Thin if narrow => {
            let (place, help) = (fields.place("max_size"), Some(enough(least + segment_size)));
            let message = "`max_size` has no room for thinning, which needs one segment more";
            match wanted {
                Some(_) => fields.wrong("max_size", message, help),
                None => fields.problems.warn(place, format!("{message}: the oldest is dropped at once"), help),
            }
            WhenFull::DropOldest
        }
        other => other,
    };
    fields.finish();
    let dir = gateway?.state_dir.join("store");
    Some(Settings { dir, max_size, segment_size, max_loss, when_full, max_commits_per_s })
}

/// Whether any rule puts something into the store that may be thinned.
fn thins_anything(bridges: &[Option<bridge::Settings>]) -> bool {
    let mut rules = bridges.iter().flatten().flat_map(|bridge| &bridge.forward);
    rules.any(|rule| rule.class >= bridge::Class::Telemetry)
}

/// Warns when a message that the hub takes for a bridge does not fit into a segment of the store.
pub(super) fn fits(
    table: Option<&Table<'_>>,
    store: Option<&Settings>,
    hub: Option<&crate::hub::Settings>,
    bridges: &[Option<bridge::Settings>],
    problems: &mut Problems,
) {
    let (Some(store), Some(hub)) = (store, hub) else { return };
    let packet = hub.limits.packet_size as u64;
    let forwards = bridges.iter().flatten().any(|bridge| !bridge.forward.is_empty());
    if forwards && packet > store.segment_size {
        let segment = Bytes(store.segment_size);
        let message =
            format!("a packet of {} does not fit into a segment of {segment}: no bridge would take it", Bytes(packet));
        let place = table.map(|table| table.get("segment").map_or_else(|| table.place(), |value| value.place()));
        problems.warn(place, message, Some("make `segment` larger, or `packet_size` in [hub.limits] smaller".into()));
    }
}

/// How many chains there will be: one of the hub, and one per class that a bridge forwards.
fn chains(bridges: &[Option<bridge::Settings>]) -> u64 {
    let classes = bridges.iter().flatten().map(|bridge| {
        let classes: HashSet<_> = bridge.forward.iter().map(|rule| rule.class).collect();
        classes.len() as u64
    });
    1 + classes.sum::<u64>()
}
