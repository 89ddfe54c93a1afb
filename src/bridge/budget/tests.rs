use jiff::Timestamp;

use super::*;
use crate::bridge::uplink::Metered;
use crate::model::BootId;

const MONTH: settings::Budget = settings::Budget { per_month: 40_000_000, resets_on_day: 1, reserve: 4_000_000 };

fn at(text: &str, quality: TimeQuality) -> Stamp {
    let wall_ms = text.parse::<Timestamp>().unwrap().as_millisecond();
    Stamp { wall_ms, mono_ms: 0, boot: BootId::default(), quality }
}

fn synced(text: &str) -> Stamp {
    at(text, TimeQuality::Synced)
}

/// Makes the meter show so many connections more, each 380 bytes.
fn spend(meter: &Arc<Meter>, connections: u64) {
    (0..connections).for_each(|_| drop(Metered::new((), false, Arc::clone(meter))));
}

fn level(budget: &Budget) -> Level {
    *budget.level.borrow()
}

#[tokio::test(start_paused = true)]
async fn what_is_spent_survives_a_restart_and_ends_with_the_month() {
    let dir = tempfile::tempdir().unwrap();
    let (file, meter) = (dir.path().join("budget-cloud.json"), Arc::new(Meter::default()));
    let now = synced("2026-11-10T12:00:00Z");
    let budget = Budget::new(MONTH, Arc::clone(&meter), Some(file.clone()), now);
    spend(&meter, 1000);
    budget.look(now);
    budget.write(false).await;
    assert_eq!(budget.status().used, 380_000);
    spend(&meter, 100);
    budget.look(now);
    budget.write(false).await;
    drop(budget);
    let again = |now| Budget::new(MONTH, Arc::default(), Some(file.clone()), now);
    assert_eq!(again(now).status().used, 380_000, "a power cut forgets what was too little to be written");
    assert_eq!(again(at("1970-01-01T00:01:00Z", TimeQuality::Unsynced)).status().used, 380_000, "no clock, no month");
    let december = again(synced("2026-12-01T00:00:00Z"));
    let status = december.status();
    assert_eq!((status.used, status.resets), (0, Some(Time(synced("2027-01-01T00:00:00Z").wall_ms))));
    december.look(now);
    assert_eq!(december.status().resets, status.resets, "the clock stepped back, the month does not");
}

#[tokio::test(start_paused = true)]
async fn little_is_written_after_an_hour_and_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (file, meter) = (dir.path().join("budget-cloud.json"), Arc::new(Meter::default()));
    let now = synced("2026-11-10T12:00:00Z");
    let budget = Budget::new(MONTH, Arc::clone(&meter), Some(file.clone()), now);
    let used = || file::read(&file).used;
    budget.write(false).await;
    assert!(file.exists(), "a new month is written at once");
    spend(&meter, 20);
    budget.look(now);
    budget.write(false).await;
    assert_eq!(used(), 0);
    tokio::time::advance(LONGEST_UNWRITTEN).await;
    budget.write(false).await;
    assert_eq!(used(), 7600);
    spend(&meter, 1);
    budget.look(now);
    budget.write(true).await;
    assert_eq!(used(), 7980);
}

#[tokio::test]
async fn the_level_follows_the_projection_and_falls_again_with_time() {
    let meter = Arc::new(Meter::default());
    let budget = Budget::new(MONTH, Arc::clone(&meter), None, synced("2026-11-01T00:00:00Z"));
    let (_, levels) = budget.levels();
    assert_eq!(level(&budget), Level::Normal);
    // 19 of 36 MB by the tenth.
    spend(&meter, 50_000);
    assert!(budget.look(synced("2026-11-10T00:00:00Z")));
    assert_eq!((level(&budget), levels.has_changed().unwrap()), (Level::Urgent, true));
    assert!(!budget.look(synced("2026-11-10T00:00:01Z")));
    let mut seen = Vec::new();
    for day in 11..=20 {
        budget.look(synced(&format!("2026-11-{day}T00:00:00Z")));
        seen.push(level(&budget));
    }
    seen.dedup();
    assert_eq!(seen, [Level::Urgent, Level::Summaries, Level::Longer, Level::Normal]);
    // The purse is empty: only the reserve is left.
    spend(&meter, 45_000);
    budget.look(synced("2026-11-30T00:00:00Z"));
    assert_eq!(budget.status().state, "urgent-only");
    assert!(budget.look(synced("2026-12-01T00:00:00Z")), "a new month");
    assert_eq!((level(&budget), budget.status().used), (Level::Normal, 0));
}

#[tokio::test(start_paused = true)]
async fn who_begins_to_watch_knows_the_level_and_hears_of_the_next_one() {
    let meter = Arc::new(Meter::default());
    let now = synced("2026-11-15T12:00:00Z");
    let budget = Budget::new(MONTH, Arc::clone(&meter), None, now);
    spend(&meter, 100_000);
    budget.look(now);
    let (known, changes) = budget.levels();
    assert!(known == Level::Urgent && !changes.has_changed().unwrap(), "{known:?}");
    budget.look(synced("2026-12-01T00:00:00Z"));
    assert!(changes.has_changed().unwrap() && level(&budget) == Level::Normal);
}
