//! What is known of a backlog after a SIGKILL: which topics wait in it, and in which class.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use crate::cloud::{Arrivals, collect};
use crate::common::mosquitto::{Mosquitto, free_address};
use crate::process::Weir;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Files small enough that a backlog has several of them; messages leave slowly enough for others to pass.
fn configuration(dir: &Path, hub: SocketAddr, cloud: SocketAddr, class: &str) -> String {
    format!(
        "[gateway]\nname = \"shed\"\nstate_dir = \"{}\"\n[hub]\nlisten = [\"{hub}\"]\n\
         [store]\nmax_size = \"16MiB\"\nsegment = \"64KiB\"\n\
         [[bridge]]\nname = \"cloud\"\nurl = \"mqtt://{cloud}\"\nclient_id = \"shed-gw\"\nreplay = {{ rate = \"100/s\" }}\n\
         [[bridge.forward]]\ntopics = [\"lan/fire\"]\nclass = \"alarm\"\n\
         [[bridge.forward]]\ntopics = [\"lan/#\"]\nclass = \"{class}\"\n",
        dir.join("state").display()
    )
}

/// A gateway whose cloud cannot be reached, and everything that arrives there once it can.
struct Site {
    dir: TempDir,
    hub: SocketAddr,
    cloud: Mosquitto,
    arrivals: Arrivals,
    weir: Weir,
}

impl Site {
    async fn start(class: &str) -> Self {
        let dir = tempfile::tempdir().expect("a scratch directory");
        let mut cloud = Mosquitto::start().await;
        let (arrivals, _) = collect(cloud.address(), "lan/#").await;
        let hub = free_address();
        let config = configure(dir.path(), hub, cloud.address(), class);
        // The collector's session is there before the gateway's.
        let there = collected(&cloud, &arrivals).await;
        assert!(there, "the collector hears what comes");
        cloud.stop();
        let weir = Weir::start(&config, hub).await;
        Self { dir, hub, cloud, arrivals, weir }
    }

    /// SIGKILL, and a start with another class for what is not an alarm.
    async fn kill_and_start_with(&mut self, class: &str) {
        configure(self.dir.path(), self.hub, self.cloud.address(), class);
        self.weir.kill_and_start().await;
    }

    /// Publishes numbers on a topic; all of them are acknowledged.
    async fn publish(&self, topic: &str, numbers: std::ops::RangeInclusive<u32>) {
        publish(self.hub, topic, numbers).await;
    }

    /// Waits until so many different messages of a topic have arrived.
    async fn until_arrived(&self, topic: &str, count: usize) {
        let all = async {
            while self.firsts(topic).len() < count {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let arrived = timeout(PATIENCE, all).await;
        assert!(arrived.is_ok(), "{} of {count} on {topic}", self.firsts(topic).len());
    }

    /// The first arrival of each message of a topic: number, dedupe key, when.
    fn firsts(&self, topic: &str) -> Vec<(u32, String, Instant)> {
        let arrivals = self.arrivals.lock().expect("no panic in there");
        let mut firsts: Vec<(u32, String, Instant)> = Vec::new();
        for arrival in arrivals.get(topic).into_iter().flatten() {
            let number = String::from_utf8_lossy(&arrival.payload).trim().parse().expect("a number");
            if firsts.iter().all(|(other, _, _)| *other != number) {
                firsts.push((number, arrival.key.clone(), arrival.at));
            }
        }
        firsts
    }

    /// When a message first arrived.
    fn at(&self, topic: &str, number: u32) -> Instant {
        let firsts = self.firsts(topic);
        firsts.iter().find(|(other, _, _)| *other == number).unwrap_or_else(|| panic!("{topic} {number}")).2
    }
}

fn configure(dir: &Path, hub: SocketAddr, cloud: SocketAddr, class: &str) -> PathBuf {
    let config = dir.join("weir.toml");
    std::fs::write(&config, configuration(dir, hub, cloud, class)).expect("the scratch directory is writable");
    config
}

/// Whether a message gets through to the collector.
async fn collected(cloud: &Mosquitto, arrivals: &Arrivals) -> bool {
    let heard = async {
        while !arrivals.lock().expect("no panic in there").contains_key("lan/probe") {
            publish(cloud.address(), "lan/probe", 0..=0).await;
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, heard).await.is_ok()
}

async fn publish(address: SocketAddr, topic: &str, numbers: std::ops::RangeInclusive<u32>) {
    let mut options = MqttOptions::new("device", address.ip().to_string(), address.port());
    options.set_keep_alive(Duration::from_secs(30));
    let (client, mut events) = AsyncClient::new(options, 1000);
    let mut open = numbers.clone().count();
    for number in numbers {
        client.try_publish(topic, QoS::AtLeastOnce, false, format!("{number:>600}")).expect("there is room");
    }
    let acknowledged = async {
        while open > 0 {
            if let Event::Incoming(Packet::PubAck(_)) = events.poll().await.expect("the broker is there") {
                open -= 1;
            }
        }
    };
    timeout(PATIENCE, acknowledged).await.expect("all are acknowledged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_what_is_new_passes_the_backlog_of_other_topics() {
    let mut site = Site::start("telemetry").await;
    site.publish("lan/old", 1..=400).await;
    site.weir.kill_and_start().await;
    site.cloud.start_again().await;
    site.until_arrived("lan/old", 1).await;
    site.publish("lan/new", 1..=10).await;
    site.publish("lan/old", 401..=405).await;
    site.until_arrived("lan/old", 405).await;
    site.until_arrived("lan/new", 10).await;
    assert!(site.at("lan/new", 10) < site.at("lan/old", 400), "it waits for nothing");
    for (topic, last) in [("lan/old", 405), ("lan/new", 10)] {
        let numbers: Vec<u32> = site.firsts(topic).into_iter().map(|(number, _, _)| number).collect();
        assert_eq!(numbers, (1..=last).collect::<Vec<u32>>(), "{topic}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_whose_class_changes_drains_its_old_chain_first() {
    let mut site = Site::start("bulk").await;
    site.publish("lan/moved", 1..=200).await;
    site.kill_and_start_with("command").await;
    site.publish("lan/moved", 201..=240).await;
    site.publish("lan/fresh", 1..=5).await;
    // Once more: now something of it waits from two runs.
    site.kill_and_start_with("telemetry").await;
    site.publish("lan/moved", 241..=280).await;
    site.publish("lan/fire", 1..=5).await;
    site.cloud.start_again().await;
    site.until_arrived("lan/moved", 280).await;
    site.until_arrived("lan/fresh", 5).await;
    let moved = site.firsts("lan/moved");
    assert!(moved.iter().map(|(number, _, _)| *number).eq(1..=280), "{moved:?}");
    let chain = |key: &str| key.split('/').find_map(|part| part.strip_prefix("cloud.")).map(str::to_owned);
    let is_bulk = |key: &str| matches!(chain(key).as_deref(), Some("3" | "11"));
    assert!(moved.iter().all(|(_, key, _)| is_bulk(key)), "{moved:?}");
    let fresh = site.firsts("lan/fresh");
    assert!(fresh.iter().all(|(_, key, _)| chain(key).as_deref() == Some("1")), "{fresh:?}");
    assert!(site.at("lan/fire", 5) < site.at("lan/moved", 100), "alarms wait for nobody's class");
    // Nothing of it waits any more: it goes where the rules say.
    let mut last = 280;
    let home = async {
        while is_bulk(&site.firsts("lan/moved").last().expect("it arrived").1) {
            last += 1;
            site.publish("lan/moved", last..=last).await;
            site.until_arrived("lan/moved", last as usize).await;
        }
    };
    timeout(PATIENCE, home).await.expect("it comes home");
    let moved = site.firsts("lan/moved");
    assert!(moved.iter().map(|(number, _, _)| *number).eq(1..=last), "{moved:?}");
    assert!(matches!(chain(&moved.last().expect("it arrived").1).as_deref(), Some("2" | "10")), "{moved:?}");
}
