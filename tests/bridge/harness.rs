//! A hub, a store on a real disk and one bridge in this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use weir::bridge::{
    Bridge, Class, Condition, Connect, Counters, Endpoint, Forward, Options, Receive, Replay, Settings, Timing, Tls,
    Version,
};
use weir::hub::{self, Hub};
use weir::model::{Fault, Filter, Message, Name, Qos, Receipt, Topic};
use weir::store::disk::RealDisk;
use weir::store::{self, Store, WhenFull};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// One filter at QoS 1, telemetry, below `up/` at the cloud.
pub(crate) fn forward(topics: &str) -> Forward {
    Forward {
        topics: vec![Filter::new(topics).unwrap()],
        except: vec![],
        prefix: "up/".into(),
        qos: Qos::AtLeastOnce,
        class: Class::Telemetry,
        ack_from_memory: false,
        batch: None,
        ttl: None,
        fresh: false,
    }
}

/// One filter at QoS 1, with something to strip.
pub(crate) fn receive(topics: &str, strip: &str) -> Receive {
    let topics = vec![Filter::new(topics).unwrap()];
    Receive { topics, strip: strip.into(), prefix: String::new(), qos: Qos::AtLeastOnce }
}

/// A bridge named `cloud` that forwards everything below `shed/dev` to `broker`, in plain TCP.
pub(crate) fn settings(broker: SocketAddr) -> Settings {
    Settings {
        name: name("cloud"),
        endpoints: vec![Endpoint::plain(broker)],
        client_id: "shed-gw".into(),
        username: None,
        password: None,
        tls: Tls::default(),
        proxy: None,
        version: Version::V5,
        keepalive: Duration::from_secs(60),
        in_flight: 256,
        session_expiry: Duration::from_secs(3600),
        clock_wait: Duration::from_secs(600),
        replay: Replay { rate_per_s: 0, ..Replay::default() },
        budget: None,
        connect: Connect::Always,
        forward: vec![forward("shed/dev/#")],
        receive: vec![],
    }
}

/// Deadlines short enough for tests; half a second of silence is death.
pub(crate) fn quick() -> Options {
    let timing = Timing { silence: Duration::from_millis(500), ..Timing::default() };
    Options { timing, ..Options::default() }
}

/// Everything between a local publisher and the cloud.
pub(crate) struct Gateway {
    pub(crate) hub: Hub,
    pub(crate) store: Store,
    pub(crate) bridge: Arc<Bridge>,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<Result<(), Fault>>,
    _dir: Option<TempDir>,
}

impl Gateway {
    /// With a store of its own.
    pub(crate) async fn start(settings: Settings, options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let gateway = Self::start_in(dir.path(), settings, options).await;
        Self { _dir: Some(dir), ..gateway }
    }

    /// With the store in `dir`.
    pub(crate) async fn start_in(dir: &Path, settings: Settings, options: Options) -> Self {
        Self::start_on(open_store(dir), settings, options).await
    }

    /// With this store.
    pub(crate) async fn start_on(store: Store, settings: Settings, options: Options) -> Self {
        let stop = CancellationToken::new();
        let hub = Hub::start(hub_settings(), stop.clone()).await.unwrap();
        let bridge = Arc::new(Bridge::attach(settings, &name("shed"), &hub, &store, options));
        let task = run(&bridge, &stop);
        Self { hub, store, bridge, stop, task, _dir: None }
    }

    /// Waits until the session is open, or not.
    pub(crate) async fn until_condition(&self, what: &str, is: impl Fn(&Condition) -> bool) -> Condition {
        let mut watch = self.bridge.watch();
        let found = timeout(PATIENCE, watch.wait_for(is)).await;
        found.unwrap_or_else(|_| panic!("{what}: {:?}", self.bridge.status())).unwrap().clone()
    }

    pub(crate) async fn until_up(&self) {
        self.until_condition("a session", Condition::is_up).await;
    }

    /// Publishes at QoS 1, as a client would.
    pub(crate) async fn publish(&self, topic: &str, payload: &str) -> Receipt {
        self.hub.publish(message(topic, payload)).await
    }

    /// Publishes `numbers` on `topic` and waits until each is acknowledged.
    pub(crate) async fn acknowledged(&self, topic: &str, numbers: impl IntoIterator<Item = u32>) {
        let mut receipts = Vec::new();
        for number in numbers {
            receipts.push(self.publish(topic, &number.to_string()).await);
        }
        for receipt in receipts {
            safe(receipt).await;
        }
    }

    /// Waits until the cloud has acknowledged so many records.
    pub(crate) async fn until_delivered(&self, records: u64) {
        self.until_counted("delivered", |counters| counters.delivered >= records).await;
    }

    /// Waits until the counters are as wanted.
    pub(crate) async fn until_counted(&self, what: &str, enough: impl Fn(&Counters) -> bool) {
        let counted = async {
            while !enough(&self.bridge.status().counters) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, counted).await.unwrap_or_else(|_| panic!("{what}: {:?}", self.bridge.status()));
    }

    /// Waits until nothing waits for the cloud.
    pub(crate) async fn until_drained(&self) {
        let drained = async {
            while self.bridge.status().backlog > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, drained).await.unwrap_or_else(|_| panic!("not drained: {:?}", self.bridge.status()));
    }

    /// Stops the bridge, then the store.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
        drop(self.bridge);
        self.store.close().await.unwrap();
    }
}

/// Runs a bridge until `stop`.
pub(crate) fn run(bridge: &Arc<Bridge>, stop: &CancellationToken) -> JoinHandle<Result<(), Fault>> {
    let (running, until) = (Arc::clone(bridge), stop.clone());
    tokio::spawn(async move { running.run(until).await })
}

/// The publisher's word that a message is safe.
pub(crate) async fn safe(receipt: Receipt) {
    let verdict = timeout(PATIENCE, receipt).await.expect("an acknowledgement");
    assert_eq!(verdict, weir::model::Verdict::Safe);
}

pub(crate) fn message(topic: &str, payload: &str) -> Message {
    Message::own(Topic::new(topic).unwrap(), payload.as_bytes()).with_qos(Qos::AtLeastOnce)
}

pub(crate) fn open_store(dir: &Path) -> Store {
    open_store_as(store_settings(dir.to_owned()))
}

pub(crate) fn open_store_as(settings: store::Settings) -> Store {
    let disk = RealDisk::new(&settings.dir).unwrap();
    Store::open_labelled(Box::new(disk), settings, weir::bridge::labelled).unwrap()
}

pub(crate) fn store_settings(dir: PathBuf) -> store::Settings {
    store::Settings {
        dir,
        max_size: 64 << 20,
        segment_size: 1 << 20,
        max_loss: Duration::from_millis(100),
        when_full: WhenFull::DropOldest,
        max_commits_per_s: 20,
    }
}

fn hub_settings() -> hub::Settings {
    hub::Settings {
        listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
        own: vec![name("bridge"), name("gateway")],
        ..hub::Settings::new(name("shed"))
    }
}
