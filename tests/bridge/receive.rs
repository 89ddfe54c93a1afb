//! Cloud to local.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::Command;
use std::sync::{Arc, Mutex};

use tokio::time::timeout;
use weir::hub::{Durable, Full, Subscription};
use weir::model::{Filter, Message, Qos, Refusal, Ticket};

use crate::common::mosquitto::Mosquitto;
use crate::common::proxy::Proxy;
use crate::fake::{Fake, Got, connack, nothing, puback};
use crate::harness::{Gateway, PATIENCE, quick, receive, settings};

fn filter(text: &str) -> Filter {
    Filter::new(text).unwrap()
}

/// Publishes at the cloud, from outside.
pub(crate) fn publish_at(cloud: SocketAddr, topic: &str, payload: &str, more: &[&str]) {
    let (host, port) = (cloud.ip().to_string(), cloud.port().to_string());
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", &host, "-p", &port, "-V", "5", "-q", "1", "-t", topic, "-m", payload]).args(more);
    assert!(command.status().unwrap().success());
}

async fn next(here: &mut Subscription) -> Arc<Message> {
    timeout(PATIENCE, here.recv()).await.expect("a message").expect("the hub runs").message
}

/// Waits until the cloud knows the bridge's subscription: it delivers what is published then.
async fn subscribed(cloud: SocketAddr, here: &mut Subscription) {
    for attempt in 0.. {
        publish_at(cloud, "sites/north/shed/cmd/hello", &attempt.to_string(), &[]);
        if timeout(std::time::Duration::from_millis(200), here.recv()).await.is_ok() {
            return;
        }
        assert!(attempt < 100, "no subscription");
    }
}

#[tokio::test]
async fn commands_arrive_stripped_with_their_properties() {
    let cloud = Mosquitto::start().await;
    let mut settings = settings(cloud.address());
    settings.receive = vec![receive("sites/north/shed/cmd/#", "sites/north/")];
    let gateway = Gateway::start(settings, quick()).await;
    let mut here = gateway.hub.subscribe(vec![filter("shed/cmd/#")], 100);
    subscribed(cloud.address(), &mut here).await;
    let more = ["-D", "publish", "user-property", "by", "me", "-D", "publish", "message-expiry-interval", "60"];
    publish_at(cloud.address(), "sites/north/shed/cmd/pump/set", "on", &more);
    let message = loop {
        let message = next(&mut here).await;
        if message.topic.as_str() == "shed/cmd/pump/set" {
            break message;
        }
    };
    assert_eq!((&*message.payload, message.qos, message.retain), (&b"on"[..], Qos::AtLeastOnce, false));
    let properties = message.properties.as_ref().unwrap();
    assert_eq!(properties.user, [("by".into(), "me".into())]);
    assert!(properties.expiry_s.is_some_and(|left| left <= 60));
    assert!(gateway.bridge.status().counters.received >= 2);
}

#[tokio::test]
async fn what_came_in_does_not_go_out_again() {
    let cloud = Mosquitto::start().await;
    let mut settings = settings(cloud.address());
    settings.forward[0].topics = vec![filter("shed/#")];
    settings.receive = vec![receive("sites/north/shed/cmd/#", "sites/north/")];
    let gateway = Gateway::start(settings, quick()).await;
    let mut here = gateway.hub.subscribe(vec![filter("shed/cmd/#")], 100);
    subscribed(cloud.address(), &mut here).await;
    assert_eq!(gateway.bridge.status().counters.taken, 0);
    gateway.acknowledged("shed/dev/a", 1..=1).await;
    assert_eq!(gateway.bridge.status().counters.taken, 1);
}

#[tokio::test]
async fn what_was_published_during_an_outage_arrives_after_it() {
    let cloud = Mosquitto::start().await;
    let proxy = Proxy::start(cloud.address()).await;
    let mut settings = settings(proxy.address());
    settings.receive = vec![receive("sites/north/shed/cmd/#", "sites/north/")];
    let gateway = Gateway::start(settings, quick()).await;
    let mut here = gateway.hub.subscribe(vec![filter("shed/cmd/#")], 1000);
    subscribed(cloud.address(), &mut here).await;
    proxy.refuse(true);
    proxy.cut();
    gateway.until_condition("cut", |condition| !condition.is_up()).await;
    for number in 1..=20 {
        publish_at(cloud.address(), "sites/north/shed/cmd/a", &number.to_string(), &[]);
    }
    proxy.refuse(false);
    let mut numbers = Vec::new();
    while numbers.len() < 20 {
        let message = next(&mut here).await;
        if message.topic.as_str() == "shed/cmd/a" {
            numbers.push(String::from_utf8(message.payload.to_vec()).unwrap().parse::<u32>().unwrap());
        }
    }
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
}

/// A consumer that keeps its tickets until it is told.
#[derive(Default)]
struct Slow(Mutex<Vec<Ticket>>);

impl Durable for Slow {
    fn offer(&self, _message: &Arc<Message>, ticket: Option<Ticket>) -> Result<(), Full> {
        self.0.lock().unwrap().extend(ticket);
        Ok(())
    }

    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

impl Slow {
    async fn tickets(&self, many: usize) -> Vec<Ticket> {
        let all_there = async {
            while self.0.lock().unwrap().len() < many {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, all_there).await.unwrap();
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// PUBLISH of MQTT 5 at QoS 1 on `cmd/a`.
fn command(id: u8) -> Vec<u8> {
    let mut bytes = vec![0x32, 11, 0, 5];
    bytes.extend(b"cmd/a");
    bytes.extend([0, id, 0, b'x']);
    bytes
}

#[tokio::test]
async fn a_repeated_or_retained_command_is_marked_as_such() {
    let (fake, gateway, _) = commanding().await;
    let mut here = gateway.hub.subscribe(vec![filter("cmd/#")], 10);
    let (mut repeated, mut retained) = (command(2), command(3));
    repeated[0] |= 8;
    retained[0] |= 1;
    for bytes in [command(1), repeated, retained] {
        fake.say(&bytes).await;
    }
    for (repeated, retained) in [(false, false), (true, false), (false, true)] {
        let message = next(&mut here).await;
        let user = message.properties.as_ref().map_or(&[][..], |properties| &properties.user);
        let marked = user.iter().any(|(key, _)| &**key == weir::model::REPEATED);
        assert_eq!((marked, message.retain), (repeated, retained));
    }
}

async fn commanding() -> (Fake, Gateway, Arc<Slow>) {
    let fake = Fake::start(|got| match got {
        Got::Connect(_) => connack(&[]),
        Got::Publish(id, ..) => puback(*id, 0),
        _ => nothing(),
    })
    .await;
    let mut settings = settings(fake.address);
    settings.receive = vec![receive("cmd/#", "")];
    let gateway = Gateway::start(settings, quick()).await;
    fake.until("subscribed", |got| got.contains(&Got::Subscribe)).await;
    (fake, gateway, Arc::new(Slow::default()))
}

#[tokio::test]
async fn the_cloud_is_acknowledged_in_order_and_only_when_all_consumers_have_settled() {
    let (fake, gateway, slow) = commanding().await;
    let _attachment = gateway.hub.attach(vec![filter("cmd/#")], Arc::clone(&slow) as Arc<dyn Durable>);
    for id in [1, 2, 3] {
        fake.say(&command(id)).await;
    }
    let mut tickets = slow.tickets(3).await;
    tickets.pop().unwrap().settle();
    // A round trip of our own shows that nothing was acknowledged before it.
    gateway.acknowledged("shed/dev/a", 1..=1).await;
    gateway.until_drained().await;
    assert!(!fake.got().iter().any(|got| matches!(got, Got::PubAck(_))), "the first is not settled");
    tickets.pop().unwrap().refuse(Refusal::QuotaExceeded);
    tickets.pop().unwrap().settle();
    let acknowledged = [1, 2, 3].map(Got::PubAck);
    fake.until("acknowledged", |got| got.iter().filter(|got| matches!(got, Got::PubAck(_))).count() == 3).await;
    let order: Vec<Got> = fake.got().into_iter().filter(|got| matches!(got, Got::PubAck(_))).collect();
    assert_eq!(order, acknowledged);
    assert_eq!(gateway.bridge.status().counters.refused_here, 1);
}

#[tokio::test]
async fn a_message_that_a_consumer_abandons_is_delivered_again_by_the_cloud() {
    let (fake, gateway, slow) = commanding().await;
    let _attachment = gateway.hub.attach(vec![filter("cmd/#")], Arc::clone(&slow) as Arc<dyn Durable>);
    fake.say(&command(1)).await;
    drop(slow.tickets(1).await);
    fake.until("a new connection", |got| got.iter().filter(|got| matches!(got, Got::Connect(_))).count() == 2).await;
    assert!(!fake.got().contains(&Got::PubAck(1)));
}

#[tokio::test]
async fn what_no_rule_lets_in_is_acknowledged_and_counted() {
    let (fake, gateway, _) = commanding().await;
    let mut foreign = command(9);
    foreign[4..9].copy_from_slice(b"other");
    fake.say(&foreign).await;
    fake.until("acknowledged", |got| got.contains(&Got::PubAck(9))).await;
    assert_eq!(gateway.bridge.status().counters.not_let_in, 1);
    // A wildcard is no topic (MQTT-3.3.2-2).
    foreign[4..9].copy_from_slice(b"cmd/#");
    foreign[10] = 10;
    fake.say(&foreign).await;
    fake.until("acknowledged", |got| got.contains(&Got::PubAck(10))).await;
}
