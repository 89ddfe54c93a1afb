//! Topic names and filters (section 4.7).

use super::{closes, message, tell};
use crate::bench::Bench;
use crate::bytes::{packet, text};
use crate::client::Client;
use crate::packet::Version::V311;

/// The hub must refuse this filter, and nothing is subscribed then.
async fn refused(client: &mut Client, filter: &str) {
    assert_eq!(client.subscribe_all(&[(filter, 1)]).await, [0x80], "{filter}");
}

/// [MQTT-4.7.1-1]
#[tokio::test]
async fn mqtt_4_7_1_1_wildcards_are_for_filters_only() {
    let bench = Bench::start().await;
    let mut watcher = bench.client(V311, "w").await;
    watcher.subscribe("#", 0).await;
    for topic in ["#", "+", "a/#", "+/b"] {
        closes(&bench, &message(topic, 1, "x").bytes(V311)).await;
    }
    watcher.expect_silence().await;
}

/// [MQTT-4.7.1-2]
#[tokio::test]
async fn mqtt_4_7_1_2_the_multi_level_wildcard_is_the_last_level() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    for filter in ["a#", "a/b#", "#/a", "a/#/b", "##", "#/", "a/#/"] {
        refused(&mut client, filter).await;
    }
    client.subscribe("sport/tennis/#", 1).await;
    for topic in ["sport/tennis", "sport/tennis/1", "sport/tennis/1/x", "sport/tennis/"] {
        tell(&bench, &message(topic, 1, "x")).await;
        assert_eq!(client.receive().await.topic, topic);
    }
    for topic in ["sport", "sport/tennisx", "sport/Tennis/1", "/sport/tennis"] {
        tell(&bench, &message(topic, 1, "x")).await;
    }
    client.expect_silence().await;
}

/// [MQTT-4.7.1-3]
#[tokio::test]
async fn mqtt_4_7_1_3_the_single_level_wildcard_fills_a_level() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    for filter in ["a+", "+a", "a/+b", "a/b+/c", "++", "a/+#"] {
        refused(&mut client, filter).await;
    }
    for (filter, good, bad) in [
        ("a/+", ["a/b", "a/"], ["a", "a/b/c"]),
        ("+/b/+", ["a/b/c", "/b/"], ["a/b", "a/c/b"]),
        ("+", ["a", "b"], ["a/b", "/a"]),
        ("/+", ["/a", "/"], ["a", "//"]),
        ("+/+", ["/a", "/"], ["a", "a/b/c"]),
        ("a/+/#", ["a/b", "a/b/c/d"], ["a", "b/b"]),
    ] {
        client.subscribe(filter, 1).await;
        for topic in good.into_iter().chain(bad) {
            tell(&bench, &message(topic, 1, "x")).await;
        }
        for topic in good {
            assert_eq!(client.receive().await.topic, topic, "{filter}");
        }
        client.expect_silence().await;
        client.unsubscribe(&[filter]).await;
    }
}

/// [MQTT-4.7.2-1]
#[tokio::test]
async fn mqtt_4_7_2_1_wildcards_in_front_do_not_match_a_dollar_sign() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    client.subscribe_all(&[("#", 1), ("+/x", 1), ("+", 1), ("+/#", 1)]).await;
    for topic in ["$x", "$own/x", "$own/x/y"] {
        tell(&bench, &message(topic, 1, "x").retained()).await;
    }
    client.expect_silence().await;
    client.subscribe("#", 1).await;
    client.expect_silence().await;
    client.subscribe("$own/#", 1).await;
    for topic in ["$own/x", "$own/x/y"] {
        assert_eq!(client.receive().await.topic, topic);
    }
    client.subscribe("$own/+", 1).await;
    assert_eq!(client.receive().await.topic, "$own/x");
}

/// [MQTT-4.7.3-1]
#[tokio::test]
async fn mqtt_4_7_3_1_topics_and_filters_have_a_character() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    refused(&mut client, "").await;
    for qos in 0..=2 {
        closes(&bench, &message("", qos, "x").bytes(V311)).await;
    }
    for topic in ["/", " ", "//"] {
        client.subscribe(topic, 1).await;
        tell(&bench, &message(topic, 1, "x")).await;
        assert_eq!(client.receive().await.topic, topic);
    }
}

/// [MQTT-4.7.3-2]
#[tokio::test]
async fn mqtt_4_7_3_2_topics_and_filters_with_a_null_character_close() {
    let bench = Bench::start().await;
    for string in ["\0", "a\0", "\0a", "a/\0/b"] {
        closes(&bench, &message(string, 1, "x").bytes(V311)).await;
        closes(&bench, &packet(0x82, [&[0, 1], &text(string)[..], &[0]].concat())).await;
        closes(&bench, &packet(0xa2, [&[0, 1], &text(string)[..]].concat())).await;
    }
}

/// [MQTT-4.7.3-3]
#[tokio::test]
async fn mqtt_4_7_3_3_topics_and_filters_of_65535_bytes_work() {
    let bench = Bench::start().await;
    let mut client = bench.client(V311, "c").await;
    let topic = format!("long/{}", "x".repeat(65_530));
    client.subscribe(&topic, 1).await;
    tell(&bench, &message(&topic, 1, "x").retained()).await;
    assert_eq!(client.receive().await.topic, topic);
    client.subscribe("long/+", 1).await;
    assert_eq!(client.receive().await.topic, topic);
    client.unsubscribe(&[&topic, "long/+"]).await;
    tell(&bench, &message(&topic, 1, "x")).await;
    client.expect_silence().await;
}

/// [MQTT-4.7.3-4]
#[tokio::test]
async fn mqtt_4_7_3_4_topics_are_not_normalized() {
    let bench = Bench::start().await;
    // Composed and decomposed, upper and lower case, separators, spaces, and what looks like a path.
    let topics =
        ["\u{e9}", "e\u{301}", "ACCOUNTS", "Accounts", "/a", "a", "a/", "a//b", "a/b", " a", "a/./b", "a/../b"];
    for topic in topics {
        let mut client = bench.client(V311, "c").await;
        client.subscribe(topic, 1).await;
        for other in topics {
            tell(&bench, &message(other, 1, "x")).await;
        }
        assert_eq!(client.receive().await.topic, topic);
        client.expect_silence().await;
        client.disconnect().await;
    }
}
