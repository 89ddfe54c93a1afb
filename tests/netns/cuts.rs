//! Cables pulled, packets swallowed, addresses taken away, and links that are merely bad.

use std::io::Write as _;
use std::time::Duration;

use tokio::time::Instant;

use crate::cloud::Cloud;
use crate::local::Local;
use crate::world::World;

/// How soon after the link's return something arrives. Two seconds are promised; a machine that is busy with
/// other tests gets one more.
const BACK: Duration = Duration::from_secs(3);

/// How long a local message may take: less than any deadline of the link, so that one that waited for the
/// link would be seen.
const LOCAL: Duration = Duration::from_secs(2);

/// One gateway, one cloud, and the road between them.
struct Story {
    world: World,
    cloud: Cloud,
    local: Local,
}

impl Story {
    /// Begins when the first number has arrived; `None` where there can be no namespaces, which it says.
    fn begin(what: &str) -> Option<Self> {
        let world = match World::new() {
            Ok(world) => world,
            Err(why) => {
                skip(what, &why);
                return None;
            }
        };
        let mut cloud = Cloud::start(&world);
        let local = Local::start(&world);
        cloud.next_after(Instant::now());
        Some(Self { world, cloud, local })
    }

    /// Says how long after `since` something arrived.
    fn came_back(&mut self, what: &str, since: Instant) {
        let took = self.cloud.next_after(since);
        writeln!(std::io::stderr(), "{what}: something arrives after {} ms", took.as_millis())
            .expect("standard error is there");
        assert!(took < BACK, "{what}: {took:?}\n{}", self.local.log());
    }

    /// Everything has arrived, in order, and nothing local has noticed.
    fn end(self) {
        let Self { world, mut cloud, local } = self;
        let (seen, _gateway, _dir) = local.finish();
        cloud.until(seen.last);
        let mut firsts = cloud.got.clone();
        let mut known = std::collections::HashSet::new();
        firsts.retain(|number| known.insert(*number));
        let wanted: Vec<_> = (1..=seen.last).collect();
        assert!(firsts == wanted, "lost or out of order: {} of {}", firsts.len(), wanted.len());
        writeln!(std::io::stderr(), "{} numbers, slowest {:?} here", seen.last, seen.slowest)
            .expect("standard error is there");
        assert!(seen.slowest < LOCAL, "something local waited: {:?}", seen.slowest);
        drop(world);
    }
}

fn skip(what: &str, why: &str) {
    // Past the test's captured output: a skip must be seen.
    writeln!(std::io::stderr(), "SKIPPED: {what}: {why}").expect("standard error is there");
}

/// How long a long outage is: longer than the patience with a peer that does not acknowledge.
fn long() -> Duration {
    let seconds = std::env::var("WEIR_NETNS_OUTAGE_S").ok().map(|text| text.parse().expect("seconds"));
    Duration::from_secs(seconds.unwrap_or(13))
}

#[test]
fn a_cable_that_is_pulled_loses_nothing_and_is_used_at_once_when_it_is_back() {
    let Some(mut story) = Story::begin("a pulled cable") else { return };
    for outage in [Duration::from_secs(4), long()] {
        story.world.plug(false);
        story.cloud.until_silence();
        story.cloud.stays_silent(outage);
        story.world.plug(true);
        story.came_back(&format!("cable out for {outage:?}"), Instant::now());
    }
    story.end();
}

#[test]
fn packets_that_are_swallowed_without_a_word_are_noticed_and_lose_nothing() {
    let Some(mut story) = Story::begin("swallowed packets") else { return };
    story.world.forward(false).unwrap();
    story.cloud.until_silence();
    story.cloud.stays_silent(long());
    story.world.forward(true).unwrap();
    story.came_back("packets swallowed", Instant::now());
    story.end();
}

#[test]
fn an_address_that_is_taken_away_is_left_at_once() {
    let Some(mut story) = Story::begin("a changed address") else { return };
    story.world.move_gateway();
    story.came_back("another address", Instant::now());
    let until = story.cloud.got.len() as u32 + 100;
    story.cloud.until(until);
    let log = story.local.log();
    assert!(log.contains("this machine has lost the address 10.77.0.2"), "{log}");
    story.end();
}

#[test]
fn a_slow_and_lossy_link_loses_nothing() {
    let Some(mut story) = Story::begin("delay and loss") else { return };
    match story.world.trouble("100ms", "5%") {
        Ok(()) => {
            let until = story.cloud.got.len() as u32 + 300;
            story.cloud.until(until);
            story.end();
        }
        Err(why) => skip("delay and loss", &why),
    }
}
