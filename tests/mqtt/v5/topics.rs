//! Topic names and filters (section 4.7).

use super::ends;
use crate::bench::Bench;
use crate::bytes::packet;
use crate::packet::Publish;
use crate::packet::Version::V5;

/// Which of `topics` reach a subscription to `filter`.
async fn reached<'a>(bench: &Bench, filter: &str, topics: &[&'a str]) -> Vec<&'a str> {
    let mut client = bench.client(V5, "reached").await;
    client.subscribe_all(&[(filter, 0), ("$end", 0)]).await;
    let mut publisher = bench.client(V5, "p").await;
    for topic in topics.iter().chain(&["$end"]) {
        publisher.tell(&Publish::new(topic, 1, 1, *topic)).await;
    }
    let mut all = Vec::new();
    loop {
        let delivery = client.delivery().await;
        assert!(delivery.topic == delivery.text(), "the message of another topic");
        match topics.iter().find(|topic| **topic == delivery.topic) {
            Some(topic) => all.push(*topic),
            None => return all,
        }
    }
}

/// [MQTT-4.7.1-1]
/// [MQTT-4.7.1-2]
/// [MQTT-4.7.3-1]
#[tokio::test]
async fn mqtt_4_7_1_1_wildcards_fill_their_level_and_a_filter_is_not_empty() {
    let bench = Bench::start().await;
    let mut client = bench.client(V5, "c").await;
    for wrong in ["", "#/", "a/#/b", "a#", "#a", "a/#b", "a/b#", "##", "+a", "a+", "a/b+/c", "++", "+#", "a/+#"] {
        assert_eq!(client.subscribe_all(&[(wrong, 0)]).await, [0x8f], "{wrong}");
        assert_eq!(client.unsubscribe(&[wrong]).await.codes, [0x8f], "{wrong}");
    }
    for right in ["#", "/#", "a/#", "+", "/+", "+/", "+/+/#", "a/+/b", "//", " ", "a b"] {
        assert_eq!(client.subscribe_all(&[(right, 0)]).await, [0], "{right}");
    }
}

/// [MQTT-4.7.1-2]
/// [MQTT-4.7.1-1]
/// [MQTT-3.3.2-3]
#[tokio::test]
async fn mqtt_4_7_1_2_filters_match_as_their_wildcards_say() {
    let bench = Bench::start().await;
    let topics = ["sport", "sport/", "sport/tennis", "sport/tennis/p1", "/sport", "/", "sports"];
    for (filter, matches) in [
        ("sport/#", &["sport", "sport/", "sport/tennis", "sport/tennis/p1"][..]),
        ("#", &topics[..]),
        ("sport/+", &["sport/", "sport/tennis"]),
        ("+", &["sport", "sports"]),
        ("+/+", &["sport/", "sport/tennis", "/sport", "/"]),
        ("/+", &["/sport", "/"]),
        ("+/tennis/#", &["sport/tennis", "sport/tennis/p1"]),
        ("sport/tennis", &["sport/tennis"]),
        ("sport/tennis/+/+", &[]),
    ] {
        assert_eq!(reached(&bench, filter, &topics).await, matches, "{filter}");
    }
}

/// [MQTT-4.7.2-1]
#[tokio::test]
async fn mqtt_4_7_2_1_a_leading_wildcard_does_not_match_a_leading_dollar_sign() {
    let bench = Bench::start().await;
    let topics = ["$own/a", "$own", "a/$own"];
    for (filter, matches) in [
        ("#", &["a/$own"][..]),
        ("+/a", &[]),
        ("+/#", &["a/$own"]),
        ("+", &[]),
        ("$own/#", &["$own/a", "$own"]),
        ("$own/+", &["$own/a"]),
        ("$share/g/#", &["a/$own"]),
        ("$share/g/$own/+", &["$own/a"]),
    ] {
        assert_eq!(reached(&bench, filter, &topics).await, matches, "{filter}");
    }
    // Nor do retained ones or those of the hub itself.
    let mut client = bench.client(V5, "c").await;
    client.tell(&Publish::new("$own/kept", 1, 1, "x").retained()).await;
    client.subscribe_all(&[("#", 0), ("+/#", 0), ("+/kept", 0)]).await;
    client.expect_silence().await;
}

/// [MQTT-4.7.3-3]
#[tokio::test]
async fn mqtt_4_7_3_3_a_topic_of_65535_bytes_is_one() {
    let bench = Bench::start().await;
    let longest = "é".repeat(32_767) + "x";
    assert_eq!(longest.len(), 65_535);
    for filter in [&longest, "+"] {
        assert!(reached(&bench, filter, &[&longest]).await == [&longest], "{:.20}", filter);
    }
    // A longer one cannot be said: the length has two bytes, and what follows is not the topic's.
    let cut = [&[0xff, 0xff][..], &[b'x'; 65_534]].concat();
    ends(&bench, &packet(0x30, cut), 0x81).await;
}

/// [MQTT-4.7.3-4]
#[tokio::test]
async fn mqtt_4_7_3_4_topics_are_compared_byte_by_byte() {
    let bench = Bench::start().await;
    // Upper and lower case, blanks, slashes, two ways to write é, the same glyph of two alphabets, a byte order mark.
    let topics = ["a", "A", "a ", " a", "a/", "/a", "a//b", "a/b", "\u{e9}", "e\u{301}", "\u{430}", "\u{feff}a", "%61"];
    for topic in topics {
        assert_eq!(reached(&bench, topic, &topics).await, [topic]);
    }
}
