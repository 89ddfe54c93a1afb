//! A sensor that dies: its readings must not look alive.

use std::time::Duration;

use tokio::time::timeout;
use weir::config::Sources;
use weir::gateway::{Gateway, Options};
use weir::hub::Subscription;
use weir::model::Filter;
use weir::plan;
use weir::runtime::Clock;
use weir::store::disk::sim::SimDisk;

use crate::common::mosquitto::free_address;

const PROBE: &str = "sys/bus/w1/devices/28-3c01e076877d";
/// 23.125 °C, with its checksum (Maxim DS18B20 data sheet, scratchpad layout).
const FILE: &str = "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n";

async fn until(readings: &mut Subscription, wanted: &str) -> String {
    let seen = async {
        loop {
            let delivery = readings.recv().await.expect("the hub serves");
            let text = String::from_utf8_lossy(&delivery.message.payload).into_owned();
            if text.contains(wanted) {
                return text;
            }
        }
    };
    timeout(Duration::from_secs(20), seen).await.unwrap_or_else(|_| panic!("never says {wanted}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_sensor_is_told_and_its_readings_turn_stale() {
    let kernel = tempfile::tempdir().expect("a scratch directory");
    let probe = kernel.path().join(PROBE);
    std::fs::create_dir_all(&probe).expect("the scratch directory is writable");
    std::fs::write(probe.join("w1_slave"), FILE).expect("the scratch directory is writable");
    let text = format!(
        "[gateway]\nname = \"shed\"\nstate_dir = \"/nowhere\"\n[hub]\nlisten = [\"{}\"]\n\
         [[sensor]]\nname = \"tank\"\ndriver = \"ds18b20\"\nevery = \"200ms\"\noptions = {{ id = \"28-3c01e076877d\" }}\n",
        free_address()
    );
    let checked = plan::check(Sources::from_text("weir.toml", &text));
    let (mut plan, _) = checked.unwrap_or_else(|report| panic!("{}", report.render(false)));
    plan.buses.kernel_root = kernel.path().to_owned();
    let disk = Box::new(SimDisk::new(1));
    let gateway = Gateway::start(plan, disk, Clock::system(), Options::default()).await.expect("it starts");
    let filter = |text| Filter::new(text).expect("a good filter");
    let mut readings = gateway.hub().subscribe(vec![filter("shed/tank/temperature")], 64);
    let mut status = gateway.hub().subscribe(vec![filter("shed/tank/status")], 64);
    assert!(until(&mut readings, "\"ok\"").await.contains("23.1"));

    std::fs::remove_dir_all(&probe).expect("it is there");
    assert!(until(&mut status, "\"dead\"").await.contains("not_present"));
    assert!(until(&mut readings, "\"stale\"").await.contains("23.1"));

    std::fs::create_dir_all(&probe).expect("the scratch directory is writable");
    std::fs::write(probe.join("w1_slave"), FILE).expect("the scratch directory is writable");
    until(&mut status, "\"ok\"").await;
    until(&mut readings, "\"ok\"").await;
    gateway.stop().await.expect("it stops well");
}
