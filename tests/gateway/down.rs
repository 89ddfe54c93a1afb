//! The way down: what the cloud was told is safe reaches a device that was away, through kills of the gateway.

use std::net::SocketAddr;
use std::process::Command;

use crate::common::collector::Collector;
use crate::common::mosquitto::{Mosquitto, free_address};
use crate::process::Weir;

/// Publishes a command at the cloud; the broker has it when this returns.
fn publish_at(cloud: SocketAddr, topic: &str, payload: &str) {
    let (host, port) = (cloud.ip().to_string(), cloud.port().to_string());
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", &host, "-p", &port, "-V", "5", "-q", "1", "-t", topic, "-m", payload]);
    assert!(command.status().expect("mosquitto_pub is installed").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_for_a_device_that_is_away_survive_kills_of_the_gateway() {
    let (cloud, address) = (Mosquitto::start().await, free_address());
    let dir = tempfile::tempdir().expect("a scratch directory");
    let text = format!(
        "[gateway]\nname = \"shed\"\nstate_dir = \"{}\"\n[hub]\nlisten = [\"{address}\"]\n\
         [[bridge]]\nname = \"cloud\"\nurl = \"mqtt://{}\"\n\
         [[bridge.receive]]\ntopics = [\"down/#\"]\nstrip = \"down/\"\n",
        dir.path().join("state").display(),
        cloud.address()
    );
    let config = dir.path().join("weir.toml");
    std::fs::write(&config, text).expect("the scratch directory is writable");
    let mut weir = Weir::start(&config, address).await;
    // The device comes once, to leave a session behind, and waits for a first command: the bridge has subscribed.
    let mut device = Collector::start(address, "cmd/#");
    let mut hello = 0;
    while device.all.is_empty() {
        hello += 1;
        publish_at(cloud.address(), "down/cmd/hello", &hello.to_string());
        device.take_what_is_there().await;
        assert!(hello < 500, "the bridge never subscribed");
    }
    drop(device);
    for number in 1..=90_u32 {
        publish_at(cloud.address(), "down/cmd/pump", &number.to_string());
        if number % 30 == 15 {
            weir.kill_and_start().await;
        }
    }
    // The last one goes through a gateway that lives on: what came before it was delivered before it.
    let mut device = Collector::resume(address, "cmd/#");
    device.one("cmd/pump", "90").await;
    let wanted: Vec<String> = (1..=90).map(|number| number.to_string()).collect();
    assert_eq!(device.firsts()["cmd/pump"], wanted);
}
