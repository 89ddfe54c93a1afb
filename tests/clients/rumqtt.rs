//! rumqttc, an independent client, at every QoS in both versions. Plain TCP only: its own TLS comes with
//! libraries that nobody maintains any more.

use std::time::Duration;

use rumqttc::v5::mqttbytes as five;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS, v5};

use crate::bench::{self, Bench, soon};

const COUNT: usize = 300;

fn texts() -> Vec<String> {
    (0..COUNT).map(|n| n.to_string()).collect()
}

async fn over_v4(bench: &Bench, qos: QoS) -> Vec<String> {
    let mut options = MqttOptions::new("rumqttc/4", "127.0.0.1", bench.address.port());
    options.set_keep_alive(Duration::from_secs(5));
    let (client, mut events) = AsyncClient::new(options, 10);
    let publisher = client.clone();
    client.subscribe("t/+", qos).await.unwrap();
    let mut got = Vec::new();
    let mut sender = None;
    while got.len() < COUNT {
        match soon(events.poll()).await.unwrap() {
            Event::Incoming(Packet::SubAck(_)) => {
                let publisher = publisher.clone();
                sender = Some(tokio::spawn(async move {
                    for text in texts() {
                        publisher.publish("t/é", qos, false, text).await.unwrap();
                    }
                }));
            }
            Event::Incoming(Packet::Publish(publish)) => {
                assert_eq!((publish.qos, &*publish.topic), (qos, "t/é"));
                got.push(String::from_utf8(publish.payload.to_vec()).unwrap());
            }
            _ => {}
        }
    }
    soon(sender.unwrap()).await.unwrap();
    got
}

async fn over_v5(bench: &Bench, qos: five::QoS) -> Vec<String> {
    let mut options = v5::MqttOptions::new("rumqttc/5", "127.0.0.1", bench.address.port());
    options.set_keep_alive(Duration::from_secs(5));
    let (client, mut events) = v5::AsyncClient::new(options, 10);
    let publisher = client.clone();
    client.subscribe("t/+", qos).await.unwrap();
    let mut got = Vec::new();
    let mut sender = None;
    while got.len() < COUNT {
        match soon(events.poll()).await.unwrap() {
            v5::Event::Incoming(five::v5::Packet::SubAck(_)) => {
                let publisher = publisher.clone();
                sender = Some(tokio::spawn(async move {
                    for text in texts() {
                        publisher.publish("t/é", qos, false, text).await.unwrap();
                    }
                }));
            }
            v5::Event::Incoming(five::v5::Packet::Publish(publish)) => {
                assert_eq!((publish.qos, &*publish.topic), (qos, "t/é".as_bytes()));
                got.push(String::from_utf8(publish.payload.to_vec()).unwrap());
            }
            _ => {}
        }
    }
    soon(sender.unwrap()).await.unwrap();
    got
}

#[tokio::test]
async fn every_qos_in_both_versions() {
    let bench = bench::hub().await;
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        assert_eq!(over_v4(&bench, qos).await, texts(), "{qos:?}");
    }
    for qos in [five::QoS::AtMostOnce, five::QoS::AtLeastOnce, five::QoS::ExactlyOnce] {
        assert_eq!(over_v5(&bench, qos).await, texts(), "{qos:?}");
    }
}
