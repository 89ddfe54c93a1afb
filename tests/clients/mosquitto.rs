//! mosquitto's own clients at every QoS and version.

use std::io::Write;

use crate::bench::{self, Bench, until};
use crate::house::House;
use crate::program::Program;

/// A client program of mosquitto against the hub.
fn client(bench: &Bench, program: &str, version: &str, arguments: &[&str]) -> Program {
    let port = bench.address.port().to_string();
    let always = ["-h", "127.0.0.1", "-p", &port, "-V", version];
    Program::start(program, &[&always, arguments].concat(), "install mosquitto-clients")
}

async fn publish(bench: &Bench, version: &str, arguments: &[&str]) {
    client(bench, "mosquitto_pub", version, arguments).output().await;
}

#[tokio::test]
async fn every_qos_in_every_version() {
    for version in ["mqttv31", "mqttv311", "mqttv5"] {
        for (qos, other) in [("0", "2"), ("1", "1"), ("2", "0"), ("2", "2")] {
            let bench = bench::hub().await;
            let arguments = ["-q", qos, "-t", "a/+", "-C", "2", "-F", "%t %q %r %p", "-i", "sub"];
            let subscriber = client(&bench, "mosquitto_sub", version, &arguments);
            until(|| bench.hub.counters().subscriptions == 1).await;
            publish(&bench, version, &["-q", other, "-t", "a/b", "-m", "hello", "-i", "pub1"]).await;
            publish(&bench, version, &["-q", other, "-t", "a/é", "-m", "wörld", "-i", "pub2"]).await;
            let lower = qos.min(other);
            let expected = format!("a/b {lower} 0 hello\na/é {lower} 0 wörld\n");
            assert_eq!(subscriber.output().await, expected, "{version} {qos} {other}");
        }
    }
}

/// Encrypted: every QoS, and the will of a client that dies.
#[tokio::test]
async fn every_qos_and_a_will_over_tls() {
    let house = House::open().await;
    let (bench, ca, port) = (&house.bench, house.ca(), house.address("mqtts").port().to_string());
    for version in ["mqttv31", "mqttv311", "mqttv5"] {
        let start = |program: &str, arguments: &[&str]| {
            let always = ["-h", "127.0.0.1", "-p", &port, "-V", version, "--cafile", &ca];
            Program::start(program, &[&always, arguments].concat(), "install mosquitto-clients")
        };
        for qos in ["0", "1", "2"] {
            let subscriber =
                start("mosquitto_sub", &["-q", qos, "-t", "a/+", "-C", "1", "-F", "%t %q %p", "-i", "sub"]);
            until(|| bench.hub.counters().subscriptions == 1).await;
            start("mosquitto_pub", &["-q", qos, "-t", "a/b", "-m", "hello"]).output().await;
            assert_eq!(subscriber.output().await, format!("a/b {qos} hello\n"), "{version}");
            until(|| bench.hub.counters().clients == 0).await;
        }
        let watcher = start("mosquitto_sub", &["-q", "1", "-t", "will", "-C", "1", "-i", "watcher"]);
        until(|| bench.hub.counters().subscriptions == 1).await;
        let will = ["--will-topic", "will", "--will-payload", "gone", "--will-qos", "1"];
        let mortal = start("mosquitto_sub", &[&["-t", "x", "-i", "mortal"], &will[..]].concat());
        until(|| bench.hub.counters().subscriptions == 2).await;
        drop(mortal);
        assert_eq!(watcher.output().await, "gone\n", "{version}");
        until(|| bench.hub.counters().clients == 0).await;
    }
}

#[tokio::test]
async fn retained_messages_greet_a_new_subscriber() {
    for version in ["mqttv311", "mqttv5"] {
        let bench = bench::hub().await;
        publish(&bench, version, &["-r", "-q", "1", "-t", "last", "-m", "value"]).await;
        let arguments = ["-t", "#", "-C", "1", "-F", "%t %r %p"];
        assert_eq!(client(&bench, "mosquitto_sub", version, &arguments).output().await, "last 1 value\n");
        publish(&bench, version, &["-r", "-t", "last", "-n"]).await;
        until(|| bench.hub.counters().retained == 0).await;
    }
}

#[tokio::test]
async fn a_persistent_session_gets_what_it_missed() {
    for version in ["mqttv311", "mqttv5"] {
        let bench = bench::hub().await;
        let mut arguments = vec!["-q", "2", "-t", "t", "-i", "sleeper", "-c"];
        if version == "mqttv5" {
            arguments.extend(["-x", "100"]);
        }
        let first = [&arguments[..], &["-E"]].concat();
        client(&bench, "mosquitto_sub", version, &first).output().await;
        until(|| bench.hub.counters().clients == 0).await;
        for (qos, text) in [("0", "lost"), ("1", "one"), ("2", "two")] {
            publish(&bench, version, &["-q", qos, "-t", "t", "-m", text]).await;
        }
        let again = [&arguments[..], &["-C", "2", "-F", "%q %p"]].concat();
        assert_eq!(client(&bench, "mosquitto_sub", version, &again).output().await, "1 one\n2 two\n");
    }
}

#[tokio::test]
async fn ten_thousand_messages_arrive_in_order() {
    let bench = bench::hub().await;
    for qos in ["1", "2"] {
        let subscriber = client(&bench, "mosquitto_sub", "mqttv5", &["-q", qos, "-t", "n", "-C", "10000"]);
        until(|| bench.hub.counters().subscriptions == 1).await;
        let lines: String = (0..10_000).map(|n| format!("{n}\n")).collect();
        let mut publisher = client(&bench, "mosquitto_pub", "mqttv5", &["-q", qos, "-t", "n", "-l"]);
        let mut stdin = publisher.stdin();
        let text = lines.clone();
        tokio::task::spawn_blocking(move || stdin.write_all(text.as_bytes()).unwrap());
        assert_eq!(subscriber.output().await, lines);
        publisher.output().await;
        until(|| bench.hub.counters().subscriptions == 0).await;
    }
}
