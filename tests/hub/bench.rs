//! A hub to test, and messages for it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};
use weir::hub::{Hub, Settings};
use weir::model::{Filter, Message, Name, Topic};

/// Nothing in these tests takes longer than this, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Bench {
    pub(crate) hub: Hub,
    pub(crate) address: SocketAddr,
    _stop: DropGuard,
}

pub(crate) fn settings() -> Settings {
    Settings {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        own: ["greenhouse", "bridge", "gateway"].map(|name| Name::new(name).unwrap()).to_vec(),
        ..Settings::new(Name::new("shed").unwrap())
    }
}

pub(crate) async fn start(settings: Settings) -> Bench {
    let stop = CancellationToken::new();
    let hub = Hub::start(settings, stop.clone()).await.unwrap();
    Bench::of(hub, stop)
}

impl Bench {
    /// A hub that stops with the bench.
    pub(crate) fn of(hub: Hub, stop: CancellationToken) -> Self {
        let address = hub.local_addrs()[0];
        Self { hub, address, _stop: stop.drop_guard() }
    }
}

/// A hub with default limits.
pub(crate) async fn hub() -> Bench {
    start(settings()).await
}

pub(crate) fn topic(text: &str) -> Topic {
    Topic::new(text).unwrap()
}

pub(crate) fn filters(texts: &[&str]) -> Vec<Filter> {
    texts.iter().map(|text| Filter::new(text).unwrap()).collect()
}

pub(crate) fn message(name: &str, payload: &str) -> Message {
    Message::own(topic(name), payload.as_bytes())
}

/// Waits for `what` to be true, which something else brings about.
pub(crate) async fn until(mut what: impl FnMut() -> bool) {
    let wait = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("what the test waits for does not happen");
}

/// The result of `future`, which must come soon.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("what the test waits for does not happen")
}
