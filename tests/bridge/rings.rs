//! Gateways that bridge to each other.

use std::sync::Arc;

use tokio::task::JoinHandle;
use weir::bridge::{Bridge, Forward, Receive, Settings, Version};
use weir::model::{Fault, Message};

use crate::common::mosquitto::Mosquitto;
use crate::harness::{Gateway, PATIENCE, forward, message, name, quick, receive, run, safe, settings};

/// A gateway that hands on what it receives.
struct Hand {
    out: Gateway,
    into: Arc<Bridge>,
    _task: JoinHandle<Result<(), Fault>>,
}

/// The place in the ring: receives from the place before, forwards to the own place.
async fn hand(cloud: &Mosquitto, at: usize, of: usize) -> Hand {
    let bridge = |text: &str, forward: Vec<Forward>, receive: Vec<Receive>| Settings {
        name: name(text),
        client_id: format!("{text}-{at}"),
        forward,
        receive,
        ..settings(cloud.address())
    };
    let forward = Forward { prefix: format!("ring/{at}/"), ..forward("x/#") };
    let before = format!("ring/{}/", (at + of - 1) % of);
    let out = Gateway::start(bridge("out", vec![forward], vec![]), quick()).await;
    let into = bridge("in", vec![], vec![receive(&format!("{before}x/#"), &before)]);
    let into = Arc::new(Bridge::attach(into, &name("shed"), &out.hub, &out.store, quick()));
    let task = run(&into, &out.stop);
    out.until_up().await;
    Hand { out, into, _task: task }
}

/// Waits until a counter of what came in says so.
async fn until(hand: &Hand, what: &str, enough: impl Fn(&weir::bridge::Counters) -> bool) {
    let counted = async {
        while !enough(&hand.into.status().counters) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.unwrap_or_else(|_| panic!("{what}: {:?}", hand.into.status()));
}

#[tokio::test]
async fn a_message_goes_round_a_ring_once() {
    for of in [2, 3] {
        let cloud = Mosquitto::start().await;
        let mut hands = Vec::new();
        for at in 0..of {
            hands.push(hand(&cloud, at, of).await);
        }
        for (at, hand) in hands.iter().enumerate() {
            // The subscription holds as soon as something comes through it.
            let before = &hands[(at + of - 1) % of].out;
            while hand.into.status().counters.received + hand.into.status().counters.circling == 0 {
                before.acknowledged("x/hello", [1]).await;
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
        for hand in &hands {
            hand.out.until_drained().await;
        }
        let (first, before) = (&hands[0], hands[0].into.status().counters.circling);
        let taken: Vec<u64> = hands.iter().map(|hand| hand.out.bridge.status().counters.taken).collect();
        first.out.acknowledged("x/a", 1..=9).await;
        let retained = Message { retain: true, ..message("x/a", "10") };
        safe(first.out.hub.publish(retained).await).await;
        until(first, "all came round", |counters| counters.circling >= before + 10).await;
        for (hand, before) in hands.iter().zip(taken) {
            assert_eq!(hand.out.bridge.status().counters.taken, before + 10, "handed on once");
        }
    }
}

#[tokio::test]
async fn with_3_1_1_the_status_says_what_keeps_messages_from_circling() {
    let cloud = Mosquitto::start().await;
    let gateway = Gateway::start(Settings { version: Version::V4, ..settings(cloud.address()) }, quick()).await;
    let condition = gateway.until_condition("up", |condition| condition.is_up()).await;
    assert!(condition.to_string().contains("only the topics keep messages from circling"), "{condition}");
}

#[tokio::test]
async fn what_has_been_here_is_not_forwarded_whoever_brings_it() {
    let cloud = Mosquitto::start().await;
    let gateway = Gateway::start(settings(cloud.address()), quick()).await;
    let me = format!("shed~{}", &gateway.store.id().to_string()[..8]);
    let user = vec![("weir-hop".into(), format!("barn~00000000,{me}").into())];
    let properties = weir::model::Properties { user, ..Default::default() };
    let marked = Message { properties: Some(Box::new(properties)), ..message("shed/dev/a", "1") };
    safe(gateway.hub.publish(marked).await).await;
    let counters = gateway.bridge.status().counters;
    assert_eq!((counters.circling, counters.taken), (1, 0));
}
