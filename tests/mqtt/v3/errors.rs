//! Errors (section 4.8).

use super::{closes, message};
use crate::bench::Bench;
use crate::bytes::hex;
use crate::packet::Version::V311;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use weir::hub::{Durable, Full};
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

/// Takes messages and loses them.
struct Broken;

impl Durable for Broken {
    fn offer(&self, _: &Arc<Message>, ticket: Option<Ticket>) -> Result<(), Full> {
        drop(ticket);
        Ok(())
    }

    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(ready(()))
    }
}

/// [MQTT-4.8.0-2]
#[tokio::test]
async fn mqtt_4_8_0_2_a_transient_error_closes_its_connection_only() {
    let bench = Bench::start().await;
    let _place = bench.hub.attach(vec![Filter::new("stored").unwrap()], Arc::new(Broken));
    let mut bystander = bench.client(V311, "bystander").await;
    for qos in [1, 2] {
        let mut client = bench.client(V311, "c").await;
        client.publish(&message("stored", qos, "x")).await;
        client.expect_closed().await;
        bystander.expect_silence().await;
    }
}
