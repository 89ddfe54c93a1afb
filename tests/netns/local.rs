//! The gateway, and a local client that publishes numbers to it and hears them back, whatever happens to the cloud.

use std::path::Path;
use std::process::Stdio;
use std::thread::JoinHandle;
use std::time::Duration;

use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use tempfile::TempDir;
use tokio::time::{Instant, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::cloud::{Owned, PATIENCE};
use crate::world::{CLOUD, World};

/// Between two numbers.
const EVERY: Duration = Duration::from_millis(20);

/// What the local client saw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// The last number; all up to it were acknowledged, and heard back.
    pub(crate) last: u32,
    /// The longest a number took from here to here.
    pub(crate) slowest: Duration,
}

/// A gateway process with a client.
pub(crate) struct Local {
    gateway: Owned,
    stop: CancellationToken,
    client: JoinHandle<Seen>,
    dir: TempDir,
}

impl Local {
    pub(crate) fn start(world: &World) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("weir.toml");
        std::fs::write(&config, configuration(dir.path())).unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let gateway = world
            .at_gateway(env!("CARGO_BIN_EXE_weir"))
            .args(["run", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let (enter, stop) = (world.entrance(), CancellationToken::new());
        let until = stop.clone();
        let client = std::thread::spawn(move || {
            enter();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(chat(until))
        });
        Self { gateway: Owned(gateway), stop, client, dir }
    }

    /// What the gateway has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Publishes nothing more, waits for what is on its way, and gives what the client saw. The gateway goes on.
    pub(crate) fn finish(self) -> (Seen, Owned, TempDir) {
        self.stop.cancel();
        (self.client.join().unwrap(), self.gateway, self.dir)
    }
}

fn configuration(dir: &Path) -> String {
    format!(
        "[gateway]\nname = \"shed\"\nstate_dir = \"{}\"\n[store]\nmax_loss = \"100ms\"\n\
         [[bridge]]\nname = \"cloud\"\nurl = \"mqtt://{CLOUD}\"\n[[bridge.forward]]\ntopics = [\"shed/dev/#\"]\n",
        dir.join("state").display()
    )
}

/// Publishes numbers until `stop`, and then waits for the last of them.
async fn chat(stop: CancellationToken) -> Seen {
    let (client, mut events) = connect().await;
    let (mut sent, mut acknowledged, mut heard) = (Vec::new(), 0, 0);
    let (mut slowest, mut ticks) = (Duration::ZERO, interval(EVERY));
    let mut patience: Option<Instant> = None;
    while !(stop.is_cancelled() && acknowledged >= sent.len() && heard >= sent.len()) {
        tokio::select! {
            _ = ticks.tick(), if !stop.is_cancelled() => {
                sent.push(Instant::now());
                client.try_publish("shed/dev/n", QoS::AtLeastOnce, false, sent.len().to_string()).unwrap();
            }
            event = events.poll() => match event.unwrap() {
                Event::Incoming(Packet::PubAck(_)) => acknowledged += 1,
                Event::Incoming(Packet::Publish(publish)) => {
                    let number: usize = String::from_utf8_lossy(&publish.payload).parse().unwrap();
                    heard = heard.max(number);
                    slowest = slowest.max(sent[number - 1].elapsed());
                }
                _ => {}
            },
            () = stop.cancelled(), if patience.is_none() => patience = Some(Instant::now() + PATIENCE),
        }
        assert!(patience.is_none_or(|until| Instant::now() < until), "{acknowledged}/{heard} of {}", sent.len());
    }
    Seen { last: u32::try_from(sent.len()).unwrap(), slowest }
}

/// A client with a subscription to its own numbers, as soon as the gateway is there.
async fn connect() -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new("pair", "127.0.0.1", 1883);
    options.set_keep_alive(Duration::from_secs(60)).set_inflight(1000);
    let (client, mut events) = AsyncClient::new(options, 1000);
    let began = Instant::now();
    client.subscribe("shed/dev/n", QoS::AtMostOnce).await.unwrap();
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::SubAck(_))) => return (client, events),
            Ok(_) => {}
            Err(error) => {
                assert!(began.elapsed() < PATIENCE, "the gateway listens: {error}");
                sleep(Duration::from_millis(20)).await;
            }
        }
    }
}
