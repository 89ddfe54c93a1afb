//! What a removed bridge has left in the store: shown, and deleted by hand, with a gateway that runs and without.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use weir::model::Name;
use weir::store::disk::RealDisk;
use weir::store::{ChainKey, Settings, Store, WhenFull};

use crate::common::mosquitto::free_address;
use crate::process::Weir;

/// Leaves `count` records of a bridge called `queue`.
async fn leave(dir: &Path, queue: &str, count: u8) {
    let settings = Settings {
        dir: dir.to_owned(),
        max_size: 4 << 20,
        segment_size: 64 << 10,
        max_loss: Duration::from_millis(10),
        when_full: WhenFull::DropOldest,
        max_commits_per_s: 1000,
    };
    let store = Store::open(Box::new(RealDisk::new(dir).unwrap()), settings).unwrap();
    let chain = store.chain(ChainKey { queue: Name::new(queue).unwrap(), class: 2 });
    for number in 0..count {
        let (tell, told) = oneshot::channel();
        let settle = Box::new(move |outcome| tell.send(outcome).unwrap());
        chain.offer(vec![number; 100], Some(settle)).unwrap();
        timeout(Duration::from_secs(20), told).await.unwrap().unwrap();
    }
    store.close().await.unwrap();
}

/// Runs `weir store drop QUEUE`.
async fn drop_queue(config: &Path, queue: &str) -> Output {
    let mut process = Command::new(env!("CARGO_BIN_EXE_weir"));
    process.args(["store", "drop", queue, "--config"]).arg(config).stdin(Stdio::null());
    let end = tokio::task::spawn_blocking(move || process.output().unwrap());
    timeout(Duration::from_secs(30), end).await.unwrap().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_no_bridge_uses_is_deleted_and_others_are_not() {
    let (dir, address) = (tempfile::tempdir().unwrap(), free_address());
    let state = dir.path().join("state");
    let bridge = "[[bridge]]\nname = \"cloud\"\nurl = \"mqtt://127.0.0.1:1\"\n[[bridge.forward]]\ntopics = [\"a/#\"]\n";
    let text = format!(
        "[gateway]\nname = \"shed\"\nstate_dir = {state:?}\n[hub]\nlisten = [\"{address}\"]\n[store]\nmax_size = \"64MiB\"\n{bridge}"
    );
    let config = dir.path().join("weir.toml");
    std::fs::write(&config, text).unwrap();
    assert!(said(&drop_queue(&config, "old").await).contains("there is no store"));

    leave(&state.join("store"), "old", 3).await;
    leave(&state.join("store"), "older", 5).await;
    assert_eq!(said(&drop_queue(&config, "older").await), "dropped 5 records of older\n");
    for (queue, why) in [("hub", "cannot be dropped"), ("cloud", "take it out"), ("nobody", "no such queue")] {
        let refused = drop_queue(&config, queue).await;
        assert!(refused.status.code() == Some(1) && said(&refused).contains(why), "{queue}: {}", said(&refused));
    }

    let running = Weir::start(&config, address).await;
    let refused = drop_queue(&config, "cloud").await;
    assert!(refused.status.code() == Some(1) && said(&refused).contains("in use"), "{}", said(&refused));
    assert_eq!(said(&drop_queue(&config, "old").await), "dropped 3 records of old\n");
    assert_eq!(said(&drop_queue(&config, "old").await), "dropped 0 records of old\n");
    assert_eq!(running.terminate(), Some(0));
}
