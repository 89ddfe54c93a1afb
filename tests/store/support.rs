//! What the tests of the store share.

use std::time::Duration;

use tokio::sync::oneshot;
use weir::model::Name;
use weir::store::disk::Disk;
use weir::store::{Chain, ChainKey, Record, Settings, Settle, Settled, Store, WhenFull};

/// Long enough for a loaded machine; nothing waits for it to pass.
const DEADLINE: Duration = Duration::from_secs(20);

/// Small segments, a small quota, and commits without a limit that a test would feel.
pub(crate) fn settings() -> Settings {
    Settings {
        dir: std::path::PathBuf::new(),
        max_size: 128 * 1024 + 6 * 64 * 1024,
        segment_size: 64 * 1024,
        max_loss: Duration::from_millis(100),
        when_full: WhenFull::DropOldest,
        max_commits_per_s: 10_000,
    }
}

pub(crate) fn open(disk: impl Disk + 'static, settings: Settings) -> Store {
    Store::open(Box::new(disk), settings).unwrap()
}

pub(crate) fn chain(store: &Store, queue: &str, class: u8) -> Chain {
    store.chain(ChainKey { queue: Name::new(queue).unwrap(), class })
}

/// A callback, and what it will say.
pub(crate) fn settle() -> (Settle, oneshot::Receiver<Settled>) {
    let (tell, told) = oneshot::channel();
    (Box::new(move |outcome| tell.send(outcome).unwrap()), told)
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it takes too long")
}

/// Offers a record and waits for what becomes of it.
pub(crate) async fn put(chain: &Chain, record: &[u8]) -> Settled {
    let (settle, told) = settle();
    chain.offer(record.to_vec(), Some(settle)).unwrap();
    soon(told).await.unwrap()
}

/// Everything unacknowledged.
pub(crate) async fn all(chain: &Chain) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    loop {
        let from = records.last().map_or(chain.first_unacked(), |record| record.sequence + 1);
        let more = soon(chain.read(from, 10_000)).await.unwrap();
        if more.is_empty() {
            return records;
        }
        records.extend(more);
    }
}

/// Asks until `condition` holds.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}
