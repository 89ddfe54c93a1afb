//! With the link up the disk is spared; in the same run cable and power are cut, and nothing is lost.

use std::io::Write as _;
use std::time::Duration;

use tokio::time::sleep;

use crate::common::image::Image;
use crate::kit::machine::Ground;
use crate::site::{Fault, Line, Site};

/// Bytes on the disk for each message that passes with the link up, at most.
const BYTES: f64 = 5.0;
/// The file system writes back what the start has made within 5 s (ext4(5), commit), and the store its own
/// acknowledgements; then it is quiet.
const SETTLES: Duration = Duration::from_secs(8);
const WATCHED: Duration = Duration::from_secs(12);

/// 500 messages per second over a link with a round trip of 100 ms.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_the_cloud_has_at_once_is_not_written_and_what_it_has_not_survives() {
    let image = match Image::new() {
        Ok(image) => image,
        Err(why) => {
            // Past the test's captured output: a skip must be seen.
            writeln!(std::io::stderr(), "SKIPPED: wear is not measured: {why}").expect("standard error is there");
            return;
        }
    };
    let line = Line { one_way: Duration::from_millis(50), replay_per_s: 5000 };
    let mut site = Site::start(Ground::Image(image), line, 10, Duration::from_millis(20)).await;
    let fresh = bytes_per_message(&site).await;
    site.fault(Fault::Cut, true);
    sleep(Duration::from_secs(3)).await;
    site.fault(Fault::Cut, false);
    site.caught_up().await;
    let drained = bytes_per_message(&site).await;

    sleep(Duration::from_millis(fastrand::u64(..500))).await;
    site.fault(Fault::Cut, true);
    sleep(Duration::from_millis(fastrand::u64(..2000))).await;
    site.machine.cut_power();
    site.machine.switch_on();
    site.machine.listens().await;
    site.fault(Fault::Cut, false);
    let (verdict, _) = site.end().await;
    println!("{verdict:?}");
    assert_eq!((verdict.lost, verdict.reordered, verdict.rekeyed), (0, 0, 0), "{verdict:?}");
    assert!(fresh < BYTES && drained < BYTES, "{fresh:.1} bytes for each message, {drained:.1} after an outage");
}

/// When all has come to rest.
async fn bytes_per_message(site: &Site) -> f64 {
    sleep(SETTLES).await;
    let look = || (site.machine.ground.traffic().expect("it is an image"), site.cloud.book().count());
    let (before, messages) = look();
    sleep(WATCHED).await;
    let (after, more) = look();
    let (traffic, messages) = (after.since(before), more - messages);
    println!("{messages} messages, {} bytes and {} flushes on the disk", traffic.bytes, traffic.flushes);
    assert!(messages > 1000, "only {messages} messages passed");
    traffic.bytes as f64 / messages as f64
}
