//! What clients leave in the hub survives the death of the process: the same disk, a new hub.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use weir::hub::codec::{Options, Packet, Properties, Publish, Reason, Subscribe, Unsubscribe, Version};
use weir::hub::{Hub, Settings};
use weir::model::{Message, Qos};
use weir::store::disk::sim::SimDisk;
use weir::store::{self, Store, WhenFull};

use crate::bench::{Bench, settings, soon, topic, until};
use crate::raw::{QOS0, QOS1, QOS2, Raw, ack, connect, expiring, publish, with};

/// A hub on a disk that can be killed.
struct Machine {
    disk: SimDisk,
    store: Store,
    bench: Bench,
}

fn store_settings() -> store::Settings {
    store::Settings {
        dir: std::path::PathBuf::new(),
        max_size: 64 << 20,
        segment_size: 64 << 10,
        max_loss: Duration::from_millis(200),
        when_full: WhenFull::DropOldest,
        max_commits_per_s: 1000,
    }
}

impl Machine {
    async fn start() -> Self {
        Self::on(SimDisk::new(1), settings()).await
    }

    async fn on(disk: SimDisk, settings: Settings) -> Self {
        let store = Store::open(Box::new(disk.clone()), store_settings()).unwrap();
        let stop = CancellationToken::new();
        let hub = Hub::bind(settings, Some(&store), stop.clone()).await.unwrap();
        hub.serve();
        let bench = Bench::of(hub, stop);
        Self { disk, store, bench }
    }

    /// The process dies; what the disk had flushed is there, and maybe more.
    async fn crash(self) -> Self {
        let disk = self.disk.crash(7);
        Self::on(disk, settings()).await
    }

    /// An orderly stop.
    async fn restart(self) -> Self {
        let Self { disk, store, bench } = self;
        let hub = bench.hub.clone();
        drop(bench);
        until(|| hub.counters().clients == 0).await;
        hub.finish();
        drop(hub);
        soon(store.close()).await.unwrap();
        Self::on(disk.kill(), settings()).await
    }

    async fn keeper(&self, version: Version, name: &str) -> (Raw, bool) {
        let mut connect = connect(version, name);
        connect.clean_start = false;
        if version == Version::V5 {
            connect.properties = expiring(600);
        }
        Raw::with(&self.bench, connect).await
    }

    async fn client(&self, name: &str) -> Raw {
        Raw::client(&self.bench, Version::V5, name).await
    }
}

fn again<'a>(publish: Publish<'a>) -> Packet<'a> {
    Packet::Publish(Publish { dup: true, ..publish })
}

#[tokio::test]
async fn subscriptions_and_queued_messages_survive_a_power_cut() {
    for version in [Version::V4, Version::V5] {
        let machine = Machine::start().await;
        let (mut keeper, present) = machine.keeper(version, "keeper").await;
        assert!(!present);
        assert_eq!(keeper.subscribe("a/#", QOS1).await, Reason(1));
        keeper.cut();
        until(|| machine.bench.hub.counters().clients == 0).await;
        let mut client = machine.client("p").await;
        client.tell("a/1", "one").await;
        client.tell("a/2", "two").await;
        let machine = machine.crash().await;
        let (mut keeper, present) = machine.keeper(version, "keeper").await;
        assert!(present);
        keeper.expect(again(publish("a/1", QOS1, 1, "one"))).await;
        keeper.expect(again(publish("a/2", QOS1, 2, "two"))).await;
        keeper.send(&Packet::Puback(ack(1))).await;
        keeper.send(&Packet::Puback(ack(2))).await;
        machine.client("q").await.tell("a/3", "three").await;
        keeper.expect(Packet::Publish(publish("a/3", QOS1, 3, "three"))).await;
    }
}

#[tokio::test]
async fn what_was_acknowledged_does_not_come_back_and_ends_stay_ends() {
    let machine = Machine::start().await;
    let (mut keeper, _) = machine.keeper(Version::V5, "keeper").await;
    keeper.subscribe("a", QOS1).await;
    keeper.subscribe("b", QOS1).await;
    let filters = vec!["b"];
    keeper.send(&Packet::Unsubscribe(Unsubscribe { packet_id: 3, properties: None, filters })).await;
    let bytes = keeper.next().await.unwrap();
    assert!(matches!(keeper.parse(&bytes), Packet::Unsuback(_)));
    let (gone, _) = machine.keeper(Version::V5, "gone").await;
    gone.cut();
    let (kept, present) = Raw::with(&machine.bench, connect(Version::V5, "gone")).await;
    assert!(!present);
    kept.disconnect().await;
    let mut client = machine.client("p").await;
    client.publish(publish("a", QOS1, 1, "x")).await;
    keeper.expect(Packet::Publish(publish("a", QOS1, 1, "x"))).await;
    keeper.send(&Packet::Puback(ack(1))).await;
    client.expect(Packet::Puback(ack(1))).await;
    let machine = machine.restart().await;
    assert_eq!(machine.bench.hub.counters().sessions, 1);
    let (mut keeper, present) = machine.keeper(Version::V5, "keeper").await;
    assert!(present);
    machine.client("p").await.publish(publish("b", QOS0, 0, "no")).await;
    keeper.expect_nothing().await;
}

#[tokio::test]
async fn qos2_is_exactly_once_across_power_cuts_at_every_step() {
    let machine = Machine::start().await;
    let (mut keeper, _) = machine.keeper(Version::V5, "keeper").await;
    keeper.subscribe("a", QOS2).await;
    let (mut sender, _) = machine.keeper(Version::V5, "sender").await;
    sender.publish(publish("a", QOS2, 5, "x")).await;
    sender.expect(Packet::Pubrec(ack(5))).await;
    // PUBREC was sent, maybe lost: the publisher repeats.
    let machine = machine.crash().await;
    let (mut sender, present) = machine.keeper(Version::V5, "sender").await;
    assert!(present);
    sender.send(&again(publish("a", QOS2, 5, "x"))).await;
    sender.expect(Packet::Pubrec(ack(5))).await;
    sender.send(&Packet::Pubrel(ack(5))).await;
    sender.expect(Packet::Pubcomp(ack(5))).await;
    let (mut keeper, present) = machine.keeper(Version::V5, "keeper").await;
    assert!(present);
    keeper.expect(again(publish("a", QOS2, 1, "x"))).await;
    // PUBREC on its way: the hub repeats with the same packet id.
    let machine = machine.crash().await;
    let (mut keeper, _) = machine.keeper(Version::V5, "keeper").await;
    keeper.expect(again(publish("a", QOS2, 1, "x"))).await;
    keeper.send(&Packet::Pubrec(ack(1))).await;
    keeper.expect(Packet::Pubrel(ack(1))).await;
    // PUBREL was sent: nothing but PUBREL comes again.
    let machine = machine.crash().await;
    let (mut keeper, _) = machine.keeper(Version::V5, "keeper").await;
    keeper.expect(Packet::Pubrel(ack(1))).await;
    keeper.send(&Packet::Pubcomp(ack(1))).await;
    keeper.expect_nothing().await;
    // The publisher's id is free: the same id is a new message.
    let (mut sender, _) = machine.keeper(Version::V5, "sender").await;
    sender.publish(publish("a", QOS2, 5, "y")).await;
    sender.expect(Packet::Pubrec(ack(5))).await;
    let bytes = keeper.next().await.unwrap();
    assert!(matches!(keeper.parse(&bytes), Packet::Publish(it) if it.payload == b"y" && !it.dup));
}

#[tokio::test]
async fn retained_messages_survive_and_the_gateways_own_do_not() {
    let machine = Machine::start().await;
    let mut client = machine.client("p").await;
    let keep = |topic, id, text| Publish { retain: true, ..publish(topic, QOS1, id, text) };
    for (id, (name, text)) in [("a", "1"), ("b", "1"), ("a", "2"), ("b", "")].into_iter().enumerate() {
        client.publish(keep(name, id as u16 + 1, text)).await;
        client.expect(Packet::Puback(ack(id as u16 + 1))).await;
    }
    machine.bench.hub.publish(Message::own(topic("own"), *b"old").retained()).await;
    let properties = Properties { message_expiry_s: Some(300), user: vec![("k", "v")], ..Properties::default() };
    client.publish(Publish { properties: with(properties), ..keep("c", 9, "3") }).await;
    client.expect(Packet::Puback(ack(9))).await;
    let machine = machine.crash().await;
    assert_eq!(machine.bench.hub.counters().retained, 2);
    let mut client = machine.client("q").await;
    client
        .send(&Packet::Subscribe(Subscribe {
            packet_id: 1,
            properties: None,
            filters: vec![("+", Options::plain(QOS0))],
        }))
        .await;
    let bytes = client.next().await.unwrap();
    assert!(matches!(client.parse(&bytes), Packet::Suback(_)));
    client.expect(Packet::Publish(Publish { retain: true, ..publish("a", QOS0, 0, "2") })).await;
    let bytes = client.next().await.unwrap();
    let Packet::Publish(last) = client.parse(&bytes) else { panic!("{bytes:?}") };
    let properties = last.properties.unwrap();
    assert_eq!((last.topic, last.payload, properties.user), ("c", b"3".as_slice(), vec![("k", "v")]));
    assert!((298..=300).contains(&properties.message_expiry_s.unwrap()));
    client.expect_nothing().await;
}

/// A message that every session acknowledges at once is never written.
#[tokio::test]
async fn fast_subscribers_cost_no_write() {
    let machine = Machine::start().await;
    let (mut keeper, _) = machine.keeper(Version::V4, "keeper").await;
    keeper.subscribe("a", QOS1).await;
    let mut client = machine.client("p").await;
    let before = machine.disk.counts().bytes_written;
    for _ in 0..50 {
        client.publish(publish("a", QOS1, 1, &"x".repeat(10_000))).await;
        let bytes = keeper.next().await.unwrap();
        let Packet::Publish(got) = keeper.parse(&bytes) else { panic!("{bytes:?}") };
        keeper.send(&Packet::Puback(ack(got.packet_id))).await;
        client.expect(Packet::Puback(ack(1))).await;
    }
    let written = machine.disk.counts().bytes_written - before;
    assert!(written < 250_000, "{written} bytes for 500,000");
}

#[tokio::test]
async fn a_subscription_is_acknowledged_on_a_dead_disk_too_and_a_message_is_not() {
    let machine = Machine::start().await;
    let (mut keeper, _) = machine.keeper(Version::V4, "keeper").await;
    keeper.subscribe("a", QOS1).await;
    until(|| machine.store.status().chains.iter().all(|chain| chain.pending == 0)).await;
    machine.disk.set_faults(weir::store::disk::sim::Faults { write: 1, sync: 1, read: 0 });
    assert_eq!(keeper.subscribe("b", QOS1).await, Reason(1));
    keeper.cut();
    until(|| machine.bench.hub.counters().clients == 0).await;
    let mut client = machine.client("p").await;
    client.publish(publish("a", QOS1, 1, "x")).await;
    client.publish(publish("elsewhere", Qos::AtMostOnce, 0, "y")).await;
    client.expect_nothing().await;
    until(|| machine.store.status().failing).await;
    client.expect_nothing().await;
    machine.disk.set_faults(weir::store::disk::sim::Faults::default());
    client.expect(Packet::Puback(ack(1))).await;
}
