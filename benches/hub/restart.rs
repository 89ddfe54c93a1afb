//! How long the hub takes to start with many retained messages on the disk.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use weir::hub::{Hub, Settings};
use weir::model::{Message, Name, Origin, Qos, Topic, Verdict};
use weir::store::disk::RealDisk;
use weir::store::{self, Store, WhenFull};

/// Messages on their way to the disk at once.
const BATCH: usize = 1000;

/// Stores `count` retained messages of 64 bytes, then starts on them some times and tells how long that took.
pub(crate) async fn measure(count: usize) {
    let dir = tempfile::tempdir().unwrap();
    let (store, hub) = start(dir.path().to_owned()).await;
    for first in (0..count).step_by(BATCH) {
        let mut receipts = Vec::new();
        for number in first..count.min(first + BATCH) {
            let topic = Topic::new(&format!("device/{}/value/{number}", number % 500)).unwrap();
            let message = Message { origin: Origin::Client("bench".into()), ..Message::own(topic, [7; 64]) };
            receipts.push(hub.publish(message.with_qos(Qos::AtLeastOnce).retained()).await);
        }
        for receipt in receipts {
            assert_eq!(receipt.await, Verdict::Safe);
        }
    }
    stop(store, hub).await;
    for _ in 0..5 {
        let began = Instant::now();
        let (store, hub) = start(dir.path().to_owned()).await;
        let took = began.elapsed();
        println!("{count} retained messages are there after {:.1} ms", took.as_secs_f64() * 1000.0);
        assert_eq!(hub.counters().retained, count as u64);
        stop(store, hub).await;
    }
}

async fn start(dir: PathBuf) -> (Store, Hub) {
    let settings = store::Settings {
        dir: dir.clone(),
        max_size: 512 << 20,
        segment_size: 8 << 20,
        max_loss: Duration::from_secs(1),
        when_full: WhenFull::DropOldest,
        max_commits_per_s: 20,
    };
    let store = Store::open(Box::new(RealDisk::new(&dir).unwrap()), settings).unwrap();
    let name = Name::new("bench").unwrap();
    let hub = Hub::bind(Settings::new(name), Some(&store), CancellationToken::new()).await.unwrap();
    (store, hub)
}

async fn stop(store: Store, hub: Hub) {
    hub.finish();
    drop(hub);
    store.close().await.unwrap();
}
