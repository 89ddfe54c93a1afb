//! Errors (section 4.8).

use super::{closes, message};
use crate::bench::Bench;
use crate::bytes::{PUBREC, ack, hex};
use crate::packet::Version::V311;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use weir::hub::{Attachment, Durable, Full};
use weir::model::{Filter, Message, Ticket};

/// [MQTT-4.8.0-1]
#[tokio::test]
async fn mqtt_4_8_0_1_a_violation_closes_its_connection_only() {
    let bench = Bench::start().await;
    let mut bystander = bench.client(V311, "bystander").await;
    for violation in [
        "00 00",
        "f0 00",
        "20 02 0000",
        "90 03 0001 00",
        "b0 02 0001",
        "d0 00",
        "40 00",
        "40 01 00",
        "40 03 0001 00",
        "50 02 0000",
        "62 03 0001 00",
        "70 00",
        "c0 80 80 80 80 00",
        "82 05 0001 0001 74",
        "34 04 0001 74 00",
    ] {
        closes(&bench, &hex(violation)).await;
        bystander.expect_silence().await;
    }
}

/// Takes messages, and says nothing of them until it drops their tickets: then they are lost.
#[derive(Default)]
struct Shelf(Mutex<Vec<Option<Ticket>>>);

impl Shelf {
    fn drop_all(&self) -> usize {
        self.0.lock().unwrap().drain(..).count()
    }

    fn settle_all(&self) -> usize {
        self.0.lock().unwrap().drain(..).flatten().map(Ticket::settle).count()
    }
}

impl Durable for Shelf {
    fn offer(&self, _: &Arc<Message>, ticket: Option<Ticket>) -> Result<(), Full> {
        self.0.lock().unwrap().push(ticket);
        Ok(())
    }

    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(ready(()))
    }
}

/// Attaches a durable consumer of the topic `stored`.
fn durable(bench: &Bench) -> (Arc<Shelf>, Attachment) {
    let shelf = Arc::new(Shelf::default());
    let place = bench.hub.attach(vec![Filter::new("stored").unwrap()], Arc::clone(&shelf) as Arc<dyn Durable>);
    (shelf, place)
}

/// [MQTT-4.8.0-2]
#[tokio::test]
async fn mqtt_4_8_0_2_a_transient_error_closes_its_connection_only() {
    let bench = Bench::start().await;
    let (shelf, _place) = durable(&bench);
    let mut bystander = bench.client(V311, "bystander").await;
    for qos in [1, 2] {
        let mut client = bench.client(V311, "c").await;
        client.publish(&message("stored", qos, "x")).await;
        client.expect_silence().await;
        assert_eq!(shelf.drop_all(), 1);
        client.expect_closed().await;
        bystander.expect_silence().await;
    }
}

/// A QoS 2 PUBLISH that comes again while the first waits to be safe is the same message.
#[tokio::test]
async fn a_repetition_before_pubrec_counts_once() {
    let bench = Bench::start().await;
    let (shelf, _place) = durable(&bench);
    let mut client = bench.client(V311, "c").await;
    let publish = message("stored", 2, "x");
    client.publish(&publish).await;
    client.publish(&publish.again()).await;
    client.expect_silence().await;
    assert_eq!(shelf.settle_all(), 1);
    client.expect(&ack(PUBREC, 7)).await;
    client.expect_silence().await;
}
