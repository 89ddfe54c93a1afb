//! `batch` of a forward rule: several records in one message.

use std::time::Duration;

use crate::bridge::Batch;
use crate::config::units::{Bytes, Every};
use crate::config::{Problems, Table};
use crate::format::batch::{Compress, Encoding};
use crate::model::Topic;

/// Bytes of a KiB.
const KIB: u64 = 1024;

/// The batches that `table` describes; every key has a default.
pub(super) fn read(table: &Table<'_>, problems: &mut Problems) -> Batch {
    let mut fields = table.fields(problems);
    let max_count = fields.within("max_count", 50, 1..=1000);
    let max_bytes = fields.within("max_bytes", Bytes(32 * KIB), Bytes(KIB)..=Bytes(256 * KIB)).0;
    let ages = Every(Duration::from_millis(10))..=Every(Duration::from_secs(86_400));
    let max_age = fields.within("max_age", Every(Duration::from_secs(30)), ages).0;
    let encoding = fields.word("format", &Encoding::ALL).unwrap_or_default();
    let compress = fields.word("compress", &Compress::ALL).unwrap_or_default();
    let topic = fields.text("topic", |text| Topic::new(text).map_err(|why| format!("{text:?} is not a topic: {why}")));
    fields.finish();
    Batch { max_count, max_bytes: max_bytes as usize, max_age, encoding, compress, topic }
}
