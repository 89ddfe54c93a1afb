//! Readings wait for the disk as long as `max_loss` says, also at QoS 1: their sensor waits for no acknowledgement.

use std::time::Duration;

use tokio::time::timeout;
use weir::config::Sources;
use weir::gateway::{Gateway, Options};
use weir::model::{Filter, Message, Qos, Topic, Verdict};
use weir::plan;
use weir::runtime::Clock;
use weir::store::disk::RealDisk;

use crate::common::mosquitto::free_address;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readings_at_qos_1_share_a_commit_and_a_client_gets_one_for_all_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "[gateway]\nname = \"shed\"\nstate_dir = {:?}\n[hub]\nlisten = [\"{}\"]\n\
         [bus.i2c-1]\nbackend = \"simulated\"\n[store]\nmax_loss = \"1h\"\n\
         [[sensor]]\nname = \"air\"\ndriver = \"sht4x\"\nevery = \"100ms\"\noptions = {{ bus = \"i2c-1\" }}\n\
         [sensor.publish]\nqos = 1\n\
         [[bridge]]\nname = \"cloud\"\nurl = \"mqtt://{}\"\n[[bridge.forward]]\ntopics = [\"shed/#\"]\n",
        dir.path(),
        free_address(),
        free_address(),
    );
    let (plan, _) = plan::check(Sources::from_text("weir.toml", &text)).unwrap();
    let disk = Box::new(RealDisk::new(&plan.store.dir).unwrap());
    let options = Options { control: Some(dir.path().join("control")), ..Options::default() };
    let gateway = Gateway::start(plan, disk, Clock::system(), options).await.unwrap();
    let mut readings = gateway.hub().subscribe(vec![Filter::new("shed/air/humidity").unwrap()], 64);
    for _ in 0..8 {
        timeout(Duration::from_secs(30), readings.recv()).await.unwrap().unwrap();
    }
    let telemetry =
        || gateway.store().status().chains.into_iter().find(|chain| chain.key.to_string() == "cloud/2").unwrap();
    let chain = telemetry();
    assert!(chain.stored >= 8 && chain.pending as u64 == chain.stored, "some are on the disk already: {chain:?}");

    let message = Message::own(Topic::new("shed/device").unwrap(), *b"on").with_qos(Qos::AtLeastOnce);
    let receipt = gateway.hub().publish(message).await;
    assert_eq!(timeout(Duration::from_secs(30), receipt).await.unwrap(), Verdict::Safe);
    assert!(telemetry().stored - telemetry().pending as u64 > 8, "it took them along: {:?}", telemetry());
    gateway.stop().await.unwrap();
}
