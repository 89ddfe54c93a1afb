//! A hub to test.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};
use weir::hub::{Hub, Limits, Rule, Settings};
use weir::model::Name;
use weir::store::disk::sim::SimDisk;
use weir::store::{self, Store, WhenFull};

use crate::client::Client;
use crate::connect::Connect;
use crate::packet::Version;

/// Nothing in these tests takes longer than this, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A hub of the test's own, which stops with it.
pub(crate) struct Bench {
    pub(crate) hub: Hub,
    pub(crate) address: SocketAddr,
    _stop: DropGuard,
}

/// Listens on a free port of the loopback address; the gateway is called `shed`, `shed/gateway` is its own.
pub(crate) fn settings() -> Settings {
    Settings {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        own: vec![Name::new("gateway").unwrap()],
        ..Settings::new(Name::new("shed").unwrap())
    }
}

impl Bench {
    /// With default limits.
    pub(crate) async fn start() -> Self {
        Self::with(settings()).await
    }

    pub(crate) async fn limited(limits: Limits) -> Self {
        Self::with(Settings { limits, ..settings() }).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let stop = CancellationToken::new();
        let hub = Hub::start(settings, stop.clone()).await.unwrap();
        Self::of(hub, stop)
    }

    fn of(hub: Hub, stop: CancellationToken) -> Self {
        let address = hub.local_addrs()[0];
        Self { hub, address, _stop: stop.drop_guard() }
    }

    /// One that keeps its state on this disk.
    pub(crate) async fn on(disk: &SimDisk) -> Self {
        let small = store::Settings {
            dir: PathBuf::new(),
            max_size: 64 << 20,
            segment_size: 64 << 10,
            max_loss: Duration::from_millis(200),
            when_full: WhenFull::DropOldest,
            max_commits_per_s: 1000,
        };
        let store = Store::open(Box::new(disk.clone()), small).unwrap();
        let stop = CancellationToken::new();
        let hub = Hub::bind(settings(), Some(&store), stop.clone()).await.unwrap();
        hub.serve();
        Self::of(hub, stop)
    }

    /// A socket that has said nothing.
    pub(crate) async fn open(&self, version: Version) -> Client {
        Client::open(self.address, version).await
    }

    /// A client with a clean session and without keep-alive.
    pub(crate) async fn client(&self, version: Version, id: &str) -> Client {
        self.connect(&Connect::new(version, id)).await.0
    }

    /// The hub must accept this CONNECT; the second value is Session Present.
    pub(crate) async fn connect(&self, connect: &Connect<'_>) -> (Client, bool) {
        let mut client = self.open(connect.version).await;
        client.send(&connect.bytes()).await;
        let connack = client.connack().await;
        assert_eq!(connack.code, 0, "the hub refuses {connect:?}");
        (client, connack.session_present)
    }

    /// Waits until exactly `count` clients are connected.
    pub(crate) async fn clients(&self, count: u64) {
        until(|| self.hub.counters().clients == count).await;
    }
}

/// Waits for `what` to be true, which something else brings about.
pub(crate) async fn until(mut what: impl FnMut() -> bool) {
    let wait = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    soon(wait).await;
}

/// The result of `future`, which must come soon.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("what the test waits for does not happen")
}

/// What everybody may do: everything but these.
pub(crate) fn all_but(deny_publish: &[&str], deny_subscribe: &[&str]) -> Settings {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let rule = Rule {
        user: "*".to_owned(),
        publish: texts(&["#"]),
        subscribe: texts(&["#"]),
        deny_publish: texts(deny_publish),
        deny_subscribe: texts(deny_subscribe),
    };
    Settings { acl: vec![rule], ..settings() }
}
