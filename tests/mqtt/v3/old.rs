//! MQTT 3.1 (`MQIsdp`), which old devices still speak, and what is odd about it.

use super::{message, tell};
use crate::bench::{Bench, settings};
use crate::bytes::{PUBREC, PUBREL, ack, hex};
use crate::connect::Connect;
use crate::packet::Version::{V31, V311};
use weir::hub::{Anonymous, Settings};

#[tokio::test]
async fn a_level_3_client_is_served() {
    let bench = Bench::start().await;
    let mut client = bench.open(V31).await;
    client.send_hex("10 0f 0006 4d5149736470 03 02 003c 0001 63").await;
    client.expect(&hex("20 02 00 00")).await;
    client.send_hex("82 0a 0001 0001 74 01 0001 75 02").await;
    client.expect(&hex("90 04 0001 01 02")).await;
    tell(&bench, &message("t", 2, "x")).await;
    client.expect(&hex("32 06 0001 74 0001 78")).await;
    client.send_hex("40 02 0001 c0 00").await;
    client.expect(&hex("d0 00")).await;
    client.tell(&message("x", 2, "y")).await;
    client.unsubscribe(&["t", "u"]).await;
    client.disconnect().await;
}

#[tokio::test]
async fn names_and_levels_must_fit_together() {
    let bench = Bench::start().await;
    for level in [1, 2, 4, 5] {
        let mut client = bench.open(V31).await;
        client.send(&[hex("10 0f 0006 4d5149736470"), vec![level], hex("02 0000 0001 63")].concat()).await;
        client.expect(&hex("20 02 00 01")).await;
        client.expect_closed().await;
    }
}

/// A bridge sets the highest bit of the level first, and falls back when it is refused in its own version.
#[tokio::test]
async fn the_private_level_of_bridges_gets_return_code_1() {
    let bench = Bench::start().await;
    for connect in ["10 0d 0004 4d515454 84 02 0000 0001 63", "10 0f 0006 4d5149736470 83 02 0000 0001 63"] {
        let mut client = bench.open(V311).await;
        client.send_hex(connect).await;
        client.expect(&hex("20 02 00 01")).await;
        client.expect_closed().await;
    }
}

/// 3.1 allows 1 to 23 characters; devices in the field use more, and brokers take them.
#[tokio::test]
async fn client_identifiers_up_to_23_characters_and_beyond() {
    let bench = Bench::start().await;
    for length in [1, 22, 23, 24, 200] {
        bench.client(V31, &"i".repeat(length)).await.disconnect().await;
    }
    for connect in [Connect::new(V31, ""), Connect::kept(V31, "")] {
        let mut client = bench.open(V31).await;
        client.send(&connect.bytes()).await;
        client.expect(&hex("20 02 00 02")).await;
        client.expect_closed().await;
    }
}

/// The byte of Session Present is reserved in 3.1; the session is kept all the same.
#[tokio::test]
async fn a_kept_session_is_resumed_without_session_present() {
    let bench = Bench::start().await;
    let connect = Connect::kept(V31, "c");
    let (mut client, _) = bench.connect(&connect).await;
    client.subscribe("t", 2).await;
    client.disconnect().await;
    tell(&bench, &message("t", 2, "x")).await;
    let mut client = bench.open(V31).await;
    client.send(&connect.bytes()).await;
    client.expect(&hex("20 02 00 00")).await;
    assert_eq!(client.receive().await.text(), "x");
    // And a 3.1.1 client takes it over.
    let (mut newer, present) = bench.connect(&Connect::kept(V311, "c")).await;
    assert!(present);
    client.expect_closed().await;
    newer.expect_silence().await;
}

/// 3.1 lets a client repeat PUBREL, SUBSCRIBE and UNSUBSCRIBE with the DUP flag.
#[tokio::test]
async fn repeated_requests_may_have_dup() {
    let bench = Bench::start().await;
    let mut client = bench.client(V31, "c").await;
    for first in ["82", "8a"] {
        client.send_hex(&format!("{first} 06 0001 0001 74 01")).await;
        client.expect(&hex("90 03 0001 01")).await;
    }
    for first in ["a2", "aa"] {
        client.send_hex(&format!("{first} 05 0002 0001 74")).await;
        client.expect(&hex("b0 02 0002")).await;
    }
    client.publish(&message("t", 2, "x")).await;
    client.expect(&ack(PUBREC, 7)).await;
    for first in [PUBREL, 0x6a] {
        client.send(&ack(first, 7)).await;
        client.expect(&hex("70 02 0007")).await;
    }
}

/// 3.1 knows no failure in SUBACK: a client that reads only granted QoS levels must not be misled
/// into one; 0x80 is what brokers send, and no client can take it for QoS 0, 1 or 2.
#[tokio::test]
async fn a_refused_filter_gets_the_failure_code() {
    let bench = Bench::start().await;
    let mut client = bench.client(V31, "c").await;
    assert_eq!(client.subscribe_all(&[("a/#/b", 1), ("t", 1)]).await, [0x80, 1]);
}

#[tokio::test]
async fn a_refused_client_gets_a_return_code() {
    let bench = Bench::with(Settings { allow_anonymous: Anonymous::Never, ..settings() }).await;
    let mut client = bench.open(V31).await;
    client.send(&Connect::new(V31, "c").bytes()).await;
    client.expect(&hex("20 02 00 05")).await;
    client.expect_closed().await;
}

#[tokio::test]
async fn wills_and_logins_are_as_in_3_1_1() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V311, "w").await;
    watcher.subscribe("will", 1).await;
    let connect = Connect::new(V31, "c").will("will", "gone", 1, false).user("user", Some("password"));
    let (client, _) = bench.connect(&connect).await;
    client.cut();
    assert_eq!(watcher.receive().await.text(), "gone");
    watcher.expect_silence().await;
}

/// In 3.1 the remaining length goes before the flags: user name and password may be missing though announced.
#[tokio::test]
async fn announced_logins_may_be_missing() {
    let bench = Bench::start().await;
    for connect in [
        Connect::new(V31, "c").bytes_with_flags(0x82),
        Connect::new(V31, "c").bytes_with_flags(0xc2),
        Connect::new(V31, "c").user("user", None).bytes_with_flags(0xc2),
    ] {
        let mut client = bench.open(V31).await;
        client.send(&connect).await;
        client.expect(&hex("20 02 00 00")).await;
        client.expect_silence().await;
    }
}

/// 3.1 does not forbid DUP with QoS 0.
#[tokio::test]
async fn qos_0_may_come_with_dup() {
    let bench = Bench::start().await;
    let mut client = bench.client(V31, "c").await;
    client.subscribe("t", 0).await;
    client.publish(&message("t", 0, "x").again()).await;
    client.expect(&hex("30 04 0001 74 78")).await;
}
