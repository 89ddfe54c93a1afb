//! A bridge with the addresses of a cluster's nodes, while the nodes are killed one at a time.
//!
//! A subscriber at each node, with a session of its own, gets everything, and one more that moves on when its node
//! dies. To that one the cluster hands what it had handed to the dead node again, behind newer messages: that is the
//! cluster's redelivery. What the bridge itself had sent in another order would be out of order at all of them.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectProperties, Packet};
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::common::mosquitto::free_address;
use crate::kit::cloud::{Arrival, PREFIX};
use crate::kit::device::{Device, Promised};
use crate::kit::judge::{judge, late, missing};
use crate::kit::machine::{Ground, Machine, weir};
use crate::kit::note::Note;
use crate::kit::now_us;

/// 200 messages per second.
const DEVICES: usize = 4;
const EVERY: Duration = Duration::from_millis(20);
/// With all nodes there, and with one away.
const WHOLE: Duration = Duration::from_secs(10);
const LAME: Duration = Duration::from_secs(20);
/// For a client whose node may just be dead.
const RETRY: Duration = Duration::from_millis(200);

type Arrivals = Arc<Mutex<HashMap<String, Vec<Arrival>>>>;

/// Runs against `nodes`; `control kill N` and `control start N` end and start the Nth of them, from 1 on.
pub(crate) async fn run(control: &str, nodes: &[&str]) {
    let nodes: Vec<SocketAddr> = nodes.iter().map(|node| node.parse().unwrap()).collect();
    let places: Vec<Vec<SocketAddr>> = nodes.iter().map(|node| vec![*node]).chain([nodes.clone()]).collect();
    let all: Vec<Arrivals> = places.iter().map(|_| Arrivals::default()).collect();
    let collectors: JoinSet<()> =
        (1..).zip(&places).zip(&all).map(|((n, nodes), it)| collect(n, nodes.clone(), it.clone())).collect();
    let hub = free_address();
    let urls: Vec<String> = nodes.iter().map(|node| format!("\"mqtt://{node}\"")).collect();
    let urls = urls.join(", ");
    let configure = move |state: &Path| {
        format!(
            "[gateway]\nname = \"shed\"\nstate_dir = {state:?}\n[hub]\nlisten = [\"{hub}\"]\n\
             [[bridge]]\nname = \"cloud\"\nurl = [{urls}]\nclient_id = \"shed\"\n\
             [[bridge.forward]]\ntopics = [\"bench/#\"]\nprefix = \"{PREFIX}\"\n"
        )
    };
    // Only what comes after the subscribers have subscribed counts.
    sleep(Duration::from_secs(3)).await;
    let mut machine = Machine::start(Ground::dir(), hub, weir(configure)).await;
    let stop = CancellationToken::new();
    let device = |n| Device { topic: format!("bench/d{n}"), every: EVERY, window: 1000 };
    let devices: JoinSet<Promised> = (0..DEVICES).map(|n| device(n).run(hub, stop.clone())).collect();
    sleep(WHOLE).await;
    for node in 1..=nodes.len() {
        order(control, "kill", node).await;
        // At another node.
        let (killed_us, seen) = (now_us(), &all[node % nodes.len()]);
        let before = count(seen);
        sleep(LAME).await;
        println!(
            "node {node} killed: the first message behind it after {:.2} s, {} in {LAME:?}",
            first_after_s(seen, killed_us),
            count(seen) - before
        );
        order(control, "start", node).await;
        sleep(WHOLE).await;
    }
    stop.cancel();
    let promised = devices.join_all().await;
    let began = Instant::now();
    let missing = || all.iter().any(|it| missing(&promised, &it.lock().unwrap()) > 0);
    while missing() && began.elapsed() < Duration::from_secs(120) {
        sleep(RETRY).await;
    }
    println!(
        "{:.1} MB RSS; the last arrived {:.1} s after the devices ended",
        machine.peak_kib() as f64 * 1024.0 / 1e6,
        began.elapsed().as_secs_f64()
    );
    drop(collectors);
    let verdicts = all.iter().map(|it| judge(&promised, &it.lock().unwrap())).collect::<Vec<_>>();
    let names = (1..).map(|node| format!("at node {node}")).take(nodes.len()).chain(["moving".to_owned()]);
    names.zip(&verdicts).for_each(|(place, verdict)| println!("{place}: {verdict:?}"));
    let late: Vec<_> = all.iter().map(|it| late(&it.lock().unwrap())).collect();
    let everywhere: HashSet<_> = late[0].iter().filter(|it| late.iter().all(|late| late.contains(*it))).collect();
    println!("out of order everywhere: {}", everywhere.len());
    let lost: usize = verdicts.iter().map(|verdict| verdict.lost).sum();
    assert_eq!((lost, everywhere.len()), (0, 0), "the gateway says:\n{}", machine.log());
}

async fn order(control: &str, what: &str, node: usize) {
    let mut command = Command::new(control);
    command.arg(what).arg(node.to_string());
    let status = spawn_blocking(move || command.status()).await.unwrap().unwrap();
    assert!(status.success(), "{what} {node}: {status}");
}

fn count(arrivals: &Arrivals) -> usize {
    arrivals.lock().unwrap().values().map(Vec::len).sum()
}

/// When the first message arrived that was sent after `moment_us`.
fn first_after_s(arrivals: &Arrivals, moment_us: u64) -> f64 {
    let arrivals = arrivals.lock().unwrap();
    let later = arrivals.values().flatten().filter(|it| it.note.sent_us > moment_us).map(|it| it.at_us);
    later.min().map_or(f64::INFINITY, |at_us| (at_us - moment_us) as f64 / 1e6)
}

/// A subscriber with a session; when its node goes, it goes on at the next one of `nodes`.
async fn collect(number: usize, nodes: Vec<SocketAddr>, arrivals: Arrivals) {
    for node in nodes.iter().cycle() {
        let mut options = MqttOptions::new(format!("subscriber{number}"), node.ip().to_string(), node.port());
        options.set_clean_start(false).set_keep_alive(Duration::from_secs(5));
        let connect = ConnectProperties { session_expiry_interval: Some(3600), ..ConnectProperties::new() };
        options.set_connect_properties(connect);
        let (client, mut events) = AsyncClient::new(options, 100);
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    client.subscribe(format!("{PREFIX}bench/#"), QoS::AtLeastOnce).await.unwrap();
                }
                Ok(Event::Incoming(Packet::Publish(publish))) => {
                    let topic = String::from_utf8_lossy(&publish.topic).into_owned();
                    let Some(topic) = topic.strip_prefix(PREFIX) else { continue };
                    let user = publish.properties.map(|properties| properties.user_properties).unwrap_or_default();
                    let key = user.into_iter().find(|(name, _)| name == weir::bridge::DEDUPE_KEY);
                    let note = Note::of(&publish.payload).unwrap();
                    let arrival = Arrival { note, at_us: now_us(), key: key.map(|(_, value)| value.into()) };
                    arrivals.lock().unwrap().entry(topic.to_owned()).or_default().push(arrival);
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        sleep(RETRY).await;
    }
}
