//! What the cloud got: a subscriber with a session of its own, so that it misses nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use weir::format::batch::{self, Content};

/// One message as it arrived at the cloud.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) payload: Vec<u8>,
    /// The dedupe key, as the user properties carry it.
    pub(crate) key: String,
    pub(crate) at: Instant,
}

/// Everything that arrived, by topic, in order.
pub(crate) type Arrivals = Arc<Mutex<BTreeMap<String, Vec<Arrival>>>>;

/// Subscribes to everything at the broker, for ever; reconnects to the same session. What is published after this
/// returns is collected.
pub(crate) async fn collect(address: SocketAddr, filter: &str) -> (Arrivals, tokio::task::JoinHandle<()>) {
    let arrivals = Arrivals::default();
    let mut options = MqttOptions::new("cloud-collector", address.ip().to_string(), address.port());
    options.set_clean_start(false).set_keep_alive(Duration::from_secs(30));
    let mut connect = rumqttc::v5::mqttbytes::v5::ConnectProperties::new();
    connect.session_expiry_interval = Some(3600);
    connect.receive_maximum = Some(1000);
    options.set_connect_properties(connect);
    let (client, mut events) = AsyncClient::new(options, 100);
    let (into, filter) = (Arc::clone(&arrivals), filter.to_owned());
    let (subscribed, mut subscription) = mpsc::channel(1);
    let task = tokio::spawn(async move {
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    client.subscribe(&filter, QoS::AtLeastOnce).await.expect("the loop runs");
                }
                // Nobody waits for a later one.
                Ok(Event::Incoming(Packet::SubAck(_))) => drop(subscribed.try_send(())),
                Ok(Event::Incoming(Packet::Publish(publish))) => {
                    let topic = String::from_utf8(publish.topic.to_vec()).expect("topics are UTF-8");
                    let user = publish.properties.map(|properties| properties.user_properties).unwrap_or_default();
                    let key = user.iter().map(|(name, value)| format!("{name}={value};")).collect();
                    let arrival = Arrival { payload: publish.payload.to_vec(), key, at: Instant::now() };
                    let mut into = into.lock().expect("no panic in here");
                    for (topic, arrival) in unpacked(topic, arrival) {
                        into.entry(topic).or_default().push(arrival);
                    }
                }
                Ok(_) => {}
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    });
    timeout(Duration::from_secs(30), subscription.recv()).await.expect("the broker answers");
    (arrivals, task)
}

/// The messages in a batch, each with its own topic and key; any other message as it came.
fn unpacked(topic: String, arrival: Arrival) -> Vec<(String, Arrival)> {
    if !topic.contains("/batch/") {
        return vec![(topic, arrival)];
    }
    let entries = batch::decode(&arrival.payload, None).expect("a whole batch");
    let message = |entry: batch::Entry| {
        let payload = match entry.content {
            Content::Payload(payload) => payload,
            Content::Reading { value, .. } => value.to_string().into_bytes(),
        };
        let key = format!("batch={}", entry.key.expect("every record has its key"));
        (entry.topic.to_string(), Arrival { payload, key, at: arrival.at })
    };
    entries.into_iter().map(message).collect()
}
