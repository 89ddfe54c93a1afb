//! What became of everything: the ledger's topic, `weir status` and `weir gaps`, while it runs and afterwards.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;
use weir::config::Sources;
use weir::gateway::{Gateway, Options};
use weir::model::{Filter, Message, Qos, Topic};
use weir::plan;
use weir::runtime::Clock;
use weir::store::disk::RealDisk;

use crate::common::mosquitto::free_address;

/// A gateway with a simulated sensor, a small store, and a cloud that is not there.
async fn gateway(dir: &Path, bridge: &str) -> Gateway {
    let text = format!(
        "[gateway]\nname = \"shed\"\nstate_dir = {dir:?}\n[hub]\nlisten = [\"{}\"]\n\
         [bus.i2c-1]\nbackend = \"simulated\"\n\
         [store]\nmax_size = \"1MiB\"\nsegment = \"64KiB\"\nwhen_full = \"drop-oldest\"\n\
         [[sensor]]\nname = \"air\"\ndriver = \"sht4x\"\nevery = \"100ms\"\noptions = {{ bus = \"i2c-1\" }}\n\
         [sensor.filter]\ntemperature = [{{ deadband = 1000 }}]\n\
         [[bridge]]\nname = \"{bridge}\"\nurl = \"mqtt://{}\"\n[[bridge.forward]]\ntopics = [\"lan/#\"]\n",
        free_address(),
        free_address(),
    );
    let checked = plan::check(Sources::from_text("weir.toml", &text));
    let (plan, _) = checked.unwrap_or_else(|report| panic!("{}", report.render(false)));
    let disk = Box::new(RealDisk::new(&plan.store.dir).expect("the scratch directory is writable"));
    let options = Options { control: Some(dir.join("control")), ..Options::default() };
    Gateway::start(plan, disk, Clock::system(), options).await.expect("it starts")
}

/// Runs `weir ARGS...` to its end, without holding up the test's runtime.
async fn weir(args: &[&str]) -> Output {
    let mut process = Command::new(env!("CARGO_BIN_EXE_weir"));
    process.args(args).stdin(Stdio::null());
    let end = tokio::task::spawn_blocking(move || process.output().expect("weir starts"));
    timeout(Duration::from_secs(30), end).await.expect("it ends within 30 s").expect("no panic")
}

async fn json(args: &[&str]) -> Value {
    let output = weir(args).await;
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// More than the store takes.
async fn overflow(gateway: &Gateway) {
    for n in 0..150 {
        let topic = Topic::new(&format!("lan/{n}")).expect("a good topic");
        let receipt = gateway.hub().publish(Message::own(topic, vec![7; 10_000]).with_qos(Qos::AtLeastOnce)).await;
        timeout(Duration::from_secs(30), receipt).await.expect("the disk is there");
    }
}

/// The next ledger that says that something was lost.
async fn told_loss(gateway: &Gateway) -> Value {
    let mut ledgers = gateway.hub().subscribe(vec![Filter::new("shed/gateway/ledger").expect("a good filter")], 16);
    let seen = async {
        loop {
            let delivery = ledgers.recv().await.expect("the hub serves");
            let ledger: Value = serde_json::from_slice(&delivery.message.payload).expect("JSON");
            if ledger["bridges"][0]["dropped"]["quota"].is_u64() {
                return ledger;
            }
        }
    };
    timeout(Duration::from_secs(60), seen).await.expect("a loss is told")
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

fn sum(values: &Value) -> u64 {
    values.as_object().expect("counts by name").values().map(count).sum()
}

fn paths(dir: &Path) -> (PathBuf, String) {
    (dir.join("control"), dir.join("store").display().to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lost_is_told_on_its_topic_and_listed_whether_the_gateway_runs_or_not() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let (socket, store) = paths(dir.path());
    let socket = socket.to_str().expect("UTF-8");
    let running = gateway(dir.path(), "cloud").await;
    overflow(&running).await;
    let ledger = told_loss(&running).await;
    let account = &ledger["bridges"][0];
    assert_eq!((&ledger["even"], count(&account["stored"])), (&Value::Bool(true), 150), "{ledger}");
    assert_eq!(count(&account["waiting"]) + sum(&account["dropped"]), 150, "{ledger}");
    let humidity = &ledger["sensors"][0];
    assert_eq!((&humidity["measure"], &humidity["taken"]), (&"humidity".into(), &humidity["published"]));

    let gaps = json(&["gaps", "--socket", socket, "--json"]).await;
    // One hole may be told in pieces.
    let pieces = gaps["bridges"].as_array().expect("a list");
    for gap in pieces {
        assert_eq!((&gap["cause"], &gap["told"]), (&"quota".into(), &false.into()), "{gaps}");
        assert!(gap["from"].is_string() && gap["to"].is_string() && gap["noted"].is_string(), "{gaps}");
    }
    assert_eq!(pieces.iter().map(|gap| count(&gap["records"])).sum::<u64>(), sum(&account["dropped"]), "{gaps}");
    let text = String::from_utf8_lossy(&weir(&["gaps", "--socket", socket]).await.stdout).into_owned();
    assert!(text.contains("quota") && text.contains("is not told yet"), "{text}");
    let status = String::from_utf8_lossy(&weir(&["status", "--socket", socket]).await.stdout).into_owned();
    assert!(status.contains("cloud telemetry: 150 stored = 0 delivered + "), "{status}");
    let told = format!("{} in messages", pieces.len());
    assert!(status.contains(&told) && status.contains("filtered"), "{status}");
    running.stop().await.expect("it stops well");

    assert_eq!(json(&["gaps", "--dir", &store, "--json"]).await["bridges"], gaps["bridges"]);
    // The books go on where they were, and what a removed bridge left is not forgotten.
    let running = gateway(dir.path(), "north").await;
    let report = json(&["status", "--socket", socket, "--json"]).await;
    let account = &report["ledger"]["bridges"][0];
    assert_eq!((&account["bridge"], count(&account["stored"])), (&"cloud".into(), 150), "{report}");
    assert_eq!((&account["in_use"], &report["gaps"]["bridges"]), (&false.into(), &gaps["bridges"]));
    let status = String::from_utf8_lossy(&weir(&["status", "--socket", socket]).await.stdout).into_owned();
    assert!(status.contains("no bridge is called cloud"), "{status}");
    running.stop().await.expect("it stops well");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_missing_and_nobody_there_are_told_apart() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let (socket, _) = paths(dir.path());
    let socket = socket.to_str().expect("UTF-8");
    let nobody = weir(&["gaps", "--socket", socket]).await;
    assert_eq!(nobody.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("--dir"), "{nobody:?}");
    let running = gateway(dir.path(), "cloud").await;
    let output = weir(&["gaps", "--socket", socket]).await;
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"nothing is missing\n"[..]));
    running.stop().await.expect("it stops well");
}
