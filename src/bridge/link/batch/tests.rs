use super::*;
use crate::bridge::record::Body;
use crate::model::{BootId, Qos, Stamp, TimeQuality, Topic};

const LIMITS: Limits = Limits { count: 3, bytes: 100 };
const AGE: Duration = Duration::from_secs(30);

fn held(sequence: u64, bytes: usize) -> Held {
    let stamp = Stamp { wall_ms: 0, mono_ms: 0, boot: BootId::default(), quality: TimeQuality::Synced };
    let body = Body::Publish { payload: (*b"x").into(), properties: None };
    let topic = Topic::new("a").unwrap();
    let record = Record { topic, prefix_len: 0, qos: Qos::AtLeastOnce, retain: false, stamp, body };
    Held { sequence, start: 1, hash: 0, record, bytes }
}

/// The sequence numbers of all parcels that are ready.
fn ready(batches: &mut Batches) -> Vec<Vec<u64>> {
    let parcels = std::iter::from_fn(|| batches.take());
    parcels.map(|parcel| parcel.records.iter().map(|held| held.sequence).collect()).collect()
}

#[tokio::test]
async fn a_batch_is_full_by_count_or_by_bytes() {
    let now = Instant::now();
    let mut batches = Batches::default();
    for sequence in 1..=7 {
        batches.hold(0, held(sequence, 1), LIMITS, now + AGE, now);
    }
    assert_eq!(ready(&mut batches), [[1, 2, 3], [4, 5, 6]]);
    batches.hold(0, held(8, 60), LIMITS, now + AGE, now);
    assert_eq!(ready(&mut batches), [[0; 0]; 0]);
    batches.hold(0, held(9, 60), LIMITS, now + AGE, now);
    assert_eq!(ready(&mut batches), [[7, 8]], "9 would have been too much");
    batches.hold(0, held(10, 200), LIMITS, now + AGE, now);
    assert_eq!(ready(&mut batches), [[9], [10]], "10 alone is too much");
}

#[tokio::test]
async fn the_oldest_record_says_when_and_what_is_there_may_still_fill_the_batch_up() {
    let now = Instant::now();
    let mut batches = Batches::default();
    batches.hold(0, held(1, 1), LIMITS, now + AGE, now);
    batches.hold(1, held(2, 1), LIMITS, now + 2 * AGE, now);
    batches.hold(0, held(3, 1), LIMITS, now + 3 * AGE, now);
    assert_eq!(batches.next_ripe(true), Some(now + AGE));
    assert!(!batches.ripen(true, now + AGE - GRACE));
    assert!(batches.ripen(true, now + AGE));
    assert_eq!(ready(&mut batches), [[1, 3]], "the other rule has time");
    batches.close_all();
    assert_eq!(ready(&mut batches), [[2]]);
    batches.hold(0, held(4, 1), LIMITS, now, now);
    assert!(!batches.ripen(false, now), "overdue, but more is there");
    assert_eq!(batches.next_ripe(false), Some(now + GRACE));
    assert!(batches.ripen(false, now + GRACE));
    assert_eq!(ready(&mut batches), [[4]]);
    assert_eq!(batches.next_ripe(true), None);
}

#[tokio::test]
async fn a_parcel_splits_into_halves_in_order() {
    let parcel = Parcel { rule: 7, records: (1..=5).map(|sequence| held(sequence, 1)).collect() };
    let (first, second) = parcel.split();
    let mut batches = Batches::default();
    batches.put_first(second);
    batches.put_first(first);
    assert_eq!(batches.ready().map(|parcel| parcel.rule), Some(7));
    assert_eq!(ready(&mut batches), [vec![1, 2, 3], vec![4, 5]]);
}
