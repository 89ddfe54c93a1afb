//! With the link up the disk is spared; in the same run cable and power are cut, and nothing is lost.

use std::io::Write as _;
use std::time::Duration;

use tokio::time::sleep;

use crate::common::image::Image;
use crate::kit::machine::Ground;
use crate::site::{Fault, Site};

/// Bytes on the disk for each message that passes with the link up, at most.
const BYTES: f64 = 5.0;
/// The file system writes back what the start has made within 5 s (ext4(5), commit), and the store its own
/// acknowledgements; then it is quiet.
const SETTLES: Duration = Duration::from_secs(8);
const WATCHED: Duration = Duration::from_secs(12);
const ONE_WAY: Duration = Duration::from_millis(50);

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
    let mut site = Site::start(Ground::Image(image), ONE_WAY, 10, Duration::from_millis(20)).await;
    sleep(SETTLES).await;
    let look = |site: &Site| (site.machine.ground.traffic().expect("it is an image"), site.cloud.book().count());
    let (before, messages) = look(&site);
    sleep(WATCHED).await;
    let (after, more) = look(&site);
    let (traffic, messages) = (after.since(before), more - messages);
    let each = traffic.bytes as f64 / messages as f64;
    println!("{messages} messages, {} bytes and {} flushes on the disk", traffic.bytes, traffic.flushes);

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
    assert!(messages > 1000, "only {messages} messages passed");
    assert!(each < BYTES, "{each:.1} bytes for each message");
}
