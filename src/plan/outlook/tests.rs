//! The arithmetic against what it stands for: the real store, the real filters, a measured wire.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::bridge::Class;
use crate::config::Sources;
use crate::model::Name;
use crate::store::disk::sim::SimDisk;
use crate::store::{ChainKey, Refused, Settled, Store, WhenFull};

fn worked_out(text: &str, lan: &[Lan]) -> Outlook {
    let text = format!("[gateway]\nname = \"shed\"\n{text}");
    let plan = crate::plan::check(Sources::from_text("weir.toml", &text)).map_err(|report| report.to_string());
    outlook(&plan.unwrap().0, &Assumptions { lan: lan.to_vec(), ..Assumptions::default() })
}

fn sensor(every: &str, filter: &str) -> String {
    format!(
        "[[sensor]]\nname = \"s\"\ndriver = \"sht4x\"\nevery = \"{every}\"\noptions = {{ bus = \"i2c-1\" }}\n[sensor.filter]\n{filter}\n"
    )
}

fn published(every: &str, filter: &str) -> Span {
    worked_out(&sensor(every, &format!("temperature = {filter}")), &[]).sensors[0].measures[0].messages_per_day.unwrap()
}

#[test]
fn the_real_filters_say_how_much_passes() {
    let day = 8640.0;
    let cases = [
        ("[]", day, day),
        ("[{ deadband = 0.1 }]", 0.0, day),
        // The heartbeat may come up to a tenth early.
        ("[{ deadband = 0.1, at_least = \"5m\" }]", 320.0, day),
        ("[{ throttle = \"1m\" }]", 1440.0, 1440.0),
        ("[{ throttle = \"2h\" }]", 12.0, 12.0),
        ("[{ range = [19, 21] }, { deadband = 0.5 }]", 0.0, 0.0),
        ("[{ average = 10 }, { deadband = 0.5 }]", 0.0, day),
    ];
    for (filter, least, most) in cases {
        let found = published("10s", filter);
        assert!((found.least - least).abs() < 0.02 * day.min(least + 1.0), "{filter}: {found:?}");
        assert!((found.most - most).abs() <= 0.15 * most, "{filter}: {found:?}");
    }
}

/// Bytes of the store that is filled: room for the ledger and six segments.
const QUOTA: u64 = 512 << 10;

/// Offers `count` records at once and waits until they are on the disk; says what became of the last one.
async fn commit(chain: &crate::store::Chain, count: usize, len: usize) -> Settled {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    for _ in 1..count {
        if let Err(full) = chain.offer(vec![7; len], None) {
            return Settled::Refused(full.why);
        }
    }
    match chain.offer(vec![7; len], Some(Box::new(move |settled| sender.send(settled).expect("somebody waits")))) {
        Ok(_) => receiver.await.expect("every record is settled"),
        Err(full) => Settled::Refused(full.why),
    }
}

fn store_settings(max_size: u64) -> crate::store::Settings {
    crate::store::Settings {
        dir: std::path::PathBuf::new(),
        max_size,
        segment_size: 64 << 10,
        max_loss: Duration::from_millis(1),
        when_full: WhenFull::Reject,
        max_commits_per_s: 1000,
    }
}

/// Rounds of `count` records of `len` bytes until the quota is used up.
async fn fill(count: usize, len: usize) -> (u64, u64) {
    let store = Store::open(Box::new(SimDisk::new(1)), store_settings(QUOTA)).unwrap();
    let chain = store.chain(ChainKey { queue: Name::new("cloud").unwrap(), class: 2 });
    let rounds = AtomicU64::new(0);
    while commit(&chain, count, len).await != Settled::Refused(Refused::Quota) {
        rounds.fetch_add(1, Ordering::Relaxed);
    }
    let totals = store.status().totals;
    (rounds.into_inner(), totals.bytes_written / totals.commits)
}

#[tokio::test]
async fn as_much_fits_into_the_quota_as_the_real_store_takes() {
    for (count, len) in [(1, 600), (3, 300), (20, 130), (1, 3000), (60, 150)] {
        let (rounds, written) = fill(count, len).await;
        // The same as an outlook: so many rounds a day, one commit each.
        let mut flow = disk::Flow::default();
        let per_day = Span::exactly(1000.0);
        for _ in 0..count {
            let message = crate::model::Message::own(Topic::new("t").unwrap(), []);
            flow.add(&stream::Stream { message, source: 0, per_day: Some(per_day), waits: false }, per_day, len);
        }
        let load = bridge::Load { flows: BTreeMap::from([(Class::Telemetry, flow)]), ..bridge::Load::default() };
        // In the store no other segment is the hub's.
        let settings = store_settings(QUOTA + (64 << 10));
        let days = disk::days_offline(&settings, Class::Telemetry, &[load]).most;
        let expected = days * 1000.0;
        let off = (rounds as f64 - expected).abs() / expected;
        assert!(off < 0.08, "{count} of {len}: {rounds} rounds fit, {expected:.0} were expected");
        let blocks = ((48 + count * (len + 2)) as u64).div_ceil(4096) * 4096;
        assert!(written.abs_diff(blocks) <= blocks / 8, "{count} of {len}: {written} bytes a commit, not {blocks}");
    }
}

#[test]
fn the_wire_is_the_measured_one() {
    // JSON of 83 bytes on a topic of 21, TLS, QoS 1, no properties: 314 bytes were counted.
    let bridge =
        "[[bridge]]\nname = \"cloud\"\nurl = \"mqtts://x\"\nversion = 4\n[[bridge.forward]]\ntopics = [\"#\"]\n";
    let topic = Some(Topic::new("shed/lan/device/21byt").unwrap());
    let lan = [Lan { per_s: 1.0, payload: 83, topic }];
    let found = worked_out(bridge, &lan);
    let link = &found.bridges[0].link;
    let sent = link.mb_per_month.most - link.keeping.most;
    assert!((sent - 314.0 * 86_400.0 * 30.0 / 1e6).abs() < 0.1, "{sent}");
}

#[test]
fn what_is_less_important_gives_way_first() {
    let rule = |topic, class| format!("[[bridge.forward]]\ntopics = [\"{topic}\"]\nclass = \"{class}\"\n");
    let bridge = format!(
        "[[bridge]]\nname = \"cloud\"\nurl = \"mqtts://x\"\n{}{}",
        rule("shed/s/temperature", "alarm"),
        rule("#", "bulk")
    );
    let found = worked_out(&(sensor("10s", "") + &bridge + "[store]\nwhen_full = \"drop-oldest\"\n"), &[]);
    let [alarm, bulk] = &found.bridges[0].classes[..] else { panic!("{found:?}") };
    assert_eq!((alarm.class, bulk.class), ("alarm", "bulk"));
    // Both are alike, so alarms have twice the time: all of the quota is theirs in the end, and a tenth of it from the start.
    let ratio = alarm.days_offline.least / bulk.days_offline.least;
    assert!((2.1..2.3).contains(&ratio), "{ratio}");
    let rejecting = worked_out(&(sensor("10s", "") + &bridge + "[store]\nwhen_full = \"reject\"\n"), &[]);
    let [alarm, bulk] = &rejecting.bridges[0].classes[..] else { panic!("{rejecting:?}") };
    let ratio = alarm.days_offline.least / bulk.days_offline.least;
    assert!((1.0..1.2).contains(&ratio), "{ratio}");
}

#[test]
fn what_is_thinned_lasts_longer_and_only_that() {
    let bridge = "[[bridge]]\nname = \"cloud\"\nurl = \"mqtts://x\"\n[[bridge.forward]]\ntopics = [\"#\"]\n";
    let class = |text: &str, lan: &[Lan]| worked_out(&(text.to_owned() + bridge), lan).bridges[0].classes[0].clone();
    // Two readings each 10 seconds; in the end two each hour, a little longer than they were.
    let own = class(&sensor("10s", ""), &[]);
    let factor = own.days_offline.least / own.days_whole.unwrap().least;
    assert!((200.0..400.0).contains(&factor), "{factor}");
    let foreign = class("", &[Lan { per_s: 1.0, payload: 64, topic: None }]);
    assert_eq!(Some(foreign.days_offline), foreign.days_whole);
    // A reading each hour is not thinned.
    let slow = class(&sensor("1h", ""), &[]);
    assert_eq!(Some(slow.days_offline), slow.days_whole);
    let dropping = class(&(sensor("10s", "") + "[store]\nwhen_full = \"drop-oldest\"\n"), &[]);
    let ratio = dropping.days_offline.least / own.days_whole.unwrap().least;
    assert!(dropping.days_whole.is_none() && (1.0..1.05).contains(&ratio), "one segment more: {ratio}");
}

#[test]
fn what_thinning_writes_is_worn_too() {
    let bridge = "[[bridge]]\nname = \"cloud\"\nurl = \"mqtts://x\"\n[[bridge.forward]]\ntopics = [\"#\"]\n";
    let store = |every: &str, full: &str| {
        let full = format!("[store]\nwhen_full = \"{full}\"\n");
        worked_out(&(sensor(every, "") + bridge + &full), &[]).store
    };
    let written = |every| [store(every, "thin"), store(every, "drop-oldest")].map(|it| it.offline.written_per_day);
    // Ten rounds of two readings are one commit of a block, of which they take less than half.
    let [thinning, dropping] = written("100ms");
    assert!((1.02..1.2).contains(&(thinning / dropping)), "{thinning} {dropping}");
    let [thinning, dropping] = written("1h");
    assert_eq!(thinning, dropping, "nothing is thinned");
    assert_eq!(store("100ms", "thin").online, store("100ms", "drop-oldest").online);
}

#[test]
fn who_waits_for_the_disk_costs_commits() {
    let bridge = "[[bridge]]\nname = \"cloud\"\nurl = \"mqtts://x\"\n[[bridge.forward]]\ntopics = [\"#\"]\n";
    let commits = |per_s| worked_out(bridge, &[Lan { per_s, payload: 64, topic: None }]).store.offline.commits_per_day;
    let per_s = |commits: f64| (commits / 86_400.0 * 10.0).round() / 10.0;
    assert_eq!(per_s(commits(10.0)), 10.0, "each by itself, because the next one comes 100 ms later");
    assert_eq!(per_s(commits(100.0)), 1.0, "one for each max_loss");
    assert_eq!(per_s(commits(5000.0)), 8.9, "one for each 64 kB of records of 117 bytes");
    let none = worked_out(bridge, &[]).store;
    assert_eq!((none.offline.years, none.online.years), (None, None));
}

#[test]
fn sensors_wait_for_nothing_whatever_their_qos() {
    let bridge = "[[bridge]]\nname = \"cloud\"\nurl = \"mqtts://x\"\n[[bridge.forward]]\ntopics = [\"#\"]\n";
    let commits = |qos| {
        let text = sensor("100ms", "") + &format!("[sensor.publish]\nqos = {qos}\n") + bridge;
        worked_out(&text, &[]).store.offline.commits_per_day
    };
    assert_eq!((commits(0), commits(1)), (86_400.0, 86_400.0), "one for each max_loss, not ten");
}

#[test]
fn a_backlog_that_grows_faster_than_it_is_sent_is_told() {
    let bridge = "[[bridge]]\nname = \"cloud\"\nurl = \"mqtts://x\"\nreplay = { rate = \"50/s\" }\n[[bridge.forward]]\ntopics = [\"#\"]\n";
    let drain = |per_s| {
        let found = worked_out(bridge, &[Lan { per_s, payload: 64, topic: None }]);
        (found.bridges[0].drains[0].seconds, found.warnings.join("\n"))
    };
    let (seconds, _) = drain(10.0);
    // A day at 10 per second, drained with 50 while 10 go on coming.
    assert!((seconds.unwrap() - 21_600.0).abs() < 1.0, "{seconds:?}");
    let (seconds, warnings) = drain(60.0);
    assert!(seconds.is_none() && warnings.contains("a backlog never ends"), "{warnings}");
}

#[test]
fn topics_and_payloads_are_those_of_the_sampler() {
    let found = worked_out(&sensor("10s", ""), &[]);
    let topics: Vec<_> = found.sensors[0].measures.iter().map(|measure| measure.topic.as_str()).collect();
    assert_eq!(topics, ["shed/s/temperature", "shed/s/humidity"]);
    assert!(found.sensors[0].measures.iter().all(|measure| measure.payload > 80));
}
