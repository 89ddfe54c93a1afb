use proptest::prelude::*;

use super::*;
use crate::model::{Format, Measure, Name, Payload, Qos, Source};

const BOOT: BootId = BootId([7; 16]);

fn stamp(mono_ms: u64, quality: TimeQuality) -> Stamp {
    Stamp { wall_ms: 1_795_342_440_000 + mono_ms as i64, mono_ms, boot: BOOT, quality }
}

fn record(topic: &str, stamp: Stamp, body: Body) -> Record {
    let topic = Topic::new(topic).unwrap();
    Record { topic, prefix_len: 0, qos: Qos::AtLeastOnce, retain: true, stamp, body }
}

fn reading(topic: &str, mono_ms: u64, value: f64, quality: Quality, exact: bool) -> Record {
    let stamp = stamp(mono_ms, TimeQuality::Synced);
    let measure = Measure { exact, ..Measure::named("t", "°C", 2) };
    let sensor = Name::new("s").unwrap();
    let sample = Sample { sensor, reading: measure.is(value), stamp, quality, sequence: mono_ms };
    record(topic, stamp, Body::Sample(Source { sample, format: Format::Json }))
}

fn foreign(topic: &str, mono_ms: u64) -> Record {
    let payload: Payload = mono_ms.to_le_bytes().to_vec().into();
    record(topic, stamp(mono_ms, TimeQuality::Synced), Body::Publish { payload, properties: None })
}

fn thinned(records: &[Record], window: Duration) -> Vec<Record> {
    let mut reducer = Reducer::new(window);
    records.iter().for_each(|record| reducer.take(&record.encode()));
    reducer.done().iter().map(|bytes| Record::decode(bytes).unwrap()).collect()
}

/// Value and spread of a reading.
fn shown(record: &Record) -> (f64, Option<Spread>) {
    let sample = sample(record).unwrap();
    (sample.reading.value, sample.reading.spread)
}

#[test]
fn the_readings_of_a_window_become_one_with_the_last_ones_time() {
    let values = [(0, 20.0), (10_000, 23.0), (59_999, 26.0), (60_000, 30.0)];
    let records: Vec<_> = values.iter().map(|&(at, value)| reading("a", at, value, Quality::Ok, false)).collect();
    let thin = thinned(&records, WINDOWS[0]);
    assert_eq!(thin.len(), 2);
    let spread = Spread { min: 20.0, max: 26.0, count: 3, over_ms: 59_999 };
    assert_eq!(shown(&thin[0]), (23.0, Some(spread)));
    assert_eq!((thin[0].stamp, sample(&thin[0]).unwrap().sequence), (records[2].stamp, 59_999));
    assert_eq!(thin[1], records[3], "alone in its window, it stays as it was");
}

#[test]
fn what_is_not_an_average_of_anything_stays_as_it_is() {
    let records = vec![
        reading("counter", 0, 1.0, Quality::Ok, true),
        foreign("a", 1),
        reading("a", 2, 5.0, Quality::Stale, false),
        reading("counter", 3, 2.0, Quality::Ok, true),
        reading("a", 4, 5.0, Quality::Stale, false),
    ];
    assert_eq!(thinned(&records, WINDOWS[3]), records);
    let strange: [&[u8]; 3] = [b"", b"\x09newer", &[1, 1, 0xff]];
    let mut reducer = Reducer::new(WINDOWS[3]);
    strange.iter().for_each(|bytes| reducer.take(bytes));
    assert_eq!((reducer.bytes(), reducer.done()), (9, strange.map(<[u8]>::to_vec).to_vec()));
}

#[test]
fn suspect_readings_are_not_mixed_with_good_ones_and_unset_clocks_count_from_the_boot() {
    let unset = |at, value| {
        let mut record = reading("b", at, value, Quality::Ok, false);
        record.stamp.quality = TimeQuality::Unsynced;
        record.stamp.wall_ms = 5;
        if let Body::Sample(source) = &mut record.body {
            source.sample.stamp = record.stamp;
        }
        record
    };
    let records = vec![
        reading("a", 0, 10.0, Quality::Ok, false),
        reading("a", 1, 900.0, Quality::Suspect, false),
        reading("a", 2, 12.0, Quality::Ok, false),
        unset(0, 1.0),
        unset(59_000, 2.0),
        unset(61_000, 3.0),
    ];
    let thin = thinned(&records, WINDOWS[0]);
    let values: Vec<_> = thin.iter().map(|record| shown(record).0).collect();
    assert_eq!(values, [900.0, 11.0, 1.5, 3.0], "the good mean is as late as its last reading");
}

#[derive(Debug, Clone)]
struct Step {
    topic: usize,
    pause_ms: u64,
    value: f64,
    kind: u8,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..3_usize, 0..40_000_u64, -1e6..1e6, 0..12_u8);
    prop::collection::vec(step.prop_map(|(topic, pause_ms, value, kind)| Step { topic, pause_ms, value, kind }), 1..300)
}

fn story(steps: &[Step]) -> Vec<Record> {
    let mut now = 0;
    let record = |step: &Step| {
        now += step.pause_ms;
        let topic = ["a/x", "b/x", "c/x"][step.topic];
        match step.kind {
            0 => foreign(topic, now),
            1 => reading(topic, now, step.value, Quality::Ok, true),
            2 => reading(topic, now, step.value, Quality::Stale, false),
            3 => reading(topic, now, step.value, Quality::Suspect, false),
            _ => reading(topic, now, step.value, Quality::Ok, false),
        }
    };
    steps.iter().map(record).collect()
}

/// Count, sum, least and most of everything of one topic and quality.
fn total(records: &[Record], topic: &Topic, quality: Quality) -> (u64, f64, f64, f64) {
    let mut total = (0, 0.0, f64::INFINITY, f64::NEG_INFINITY);
    for record in records.iter().filter(|record| record.topic == *topic && is_thinnable(record)) {
        let sample = sample(record).unwrap();
        if sample.quality == quality {
            let spread = spread(sample);
            total.0 += u64::from(spread.count);
            total.1 += sample.reading.value * f64::from(spread.count);
            (total.2, total.3) = (total.2.min(spread.min), total.3.max(spread.max));
        }
    }
    total
}

proptest! {
    #[test]
    fn nothing_is_lost_but_detail(steps in steps(), often in prop::collection::vec(0..WINDOWS.len(), 1..4)) {
        let records = story(&steps);
        let mut thin = records.clone();
        for window in often {
            thin = thinned(&thin, WINDOWS[window]);
        }
        let untouched = |records: &[Record]| records.iter().filter(|record| !is_thinnable(record)).cloned().collect::<Vec<_>>();
        prop_assert_eq!(untouched(&thin), untouched(&records));
        for topic in ["a/x", "b/x", "c/x"].map(|topic| Topic::new(topic).unwrap()) {
            for quality in [Quality::Ok, Quality::Suspect] {
                let (all, left) = (total(&records, &topic, quality), total(&thin, &topic, quality));
                prop_assert_eq!((all.0, all.2, all.3), (left.0, left.2, left.3));
                prop_assert!((all.1 - left.1).abs() <= 1e-6 * (1.0 + all.0 as f64 * 1e6), "{} {}", all.1, left.1);
            }
            let times: Vec<_> = thin.iter().filter(|it| it.topic == topic).map(|it| it.stamp.mono_ms).collect();
            prop_assert!(times.is_sorted(), "{:?}", times);
        }
    }

    #[test]
    fn one_reading_of_each_window_is_left(steps in steps(), window in 0..WINDOWS.len()) {
        let records = story(&steps);
        let thin = thinned(&records, WINDOWS[window]);
        let mut seen = std::collections::HashSet::new();
        for record in thin.iter().filter(|record| is_thinnable(record)) {
            let (quality, at) = (sample(record).unwrap().quality, record.stamp.wall_ms / WINDOWS[window].as_millis() as i64);
            prop_assert!(seen.insert((record.topic.clone(), quality, at)), "two of one window");
        }
        // The same again changes nothing.
        prop_assert_eq!(thinned(&thin, WINDOWS[window]), thin);
    }
}

#[test]
fn many_readings_of_few_topics_take_little_memory_on_the_way() {
    let mut reducer = Reducer::new(WINDOWS[0]);
    let mut most = 0;
    for n in 0..50_000_u64 {
        let record = reading(["a", "b"][n as usize % 2], n * 100, n as f64, Quality::Ok, false);
        reducer.take(&record.encode());
        most = most.max(reducer.slots.len());
    }
    assert!(most < 10_000, "{most} slots");
    assert_eq!(reducer.done().len(), 2 * 84, "50,000 readings of 5,000 s in windows of a minute");
}
