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
    let words = [("drop-oldest", Some(WhenFull::DropOldest)), ("reject", Some(WhenFull::Reject)), ("thin", None)];
    let when_full = fields.word_or_later("when_full", &words).unwrap_or(WhenFull::DropOldest);
    let max_commits_per_s = fields.within("max_commits", 20, 1..=1000);
    let least = 2 * segment_size * chains(bridges);
    if max_size < least {
        let message = format!("`max_size` must hold two segments for each of {} queues", chains(bridges));
        let help = format!("raise it to {}MiB, or make `segment` smaller", least.div_ceil(MIB));
        fields.wrong("max_size", message, Some(help));
    }
    fields.finish();
    let dir = gateway?.state_dir.join("store");
    Some(Settings { dir, max_size, segment_size, max_loss, when_full, max_commits_per_s })
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
