//! The demo's serial sensor and the demo's configuration fit together.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use weir::bus::Buses;

use super::{PATIENCE, open, sample};

/// A process that is ended, whatever the test does.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // It may have gone already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The options of the demo's serial sensor, with another port.
fn demo_options(port: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("config/demo.toml")).expect("the demo is there");
    let (_, sensor) = text.split_once("driver = \"serial-line\"\n[sensor.options]\n").expect("it has a serial line");
    let options = sensor.split("\n\n").next().expect("a split has a first part");
    let (first, rest) = options.split_once('\n').expect("several options");
    assert!(first.starts_with("port "), "{first}");
    format!("port = \"{}\"\n{rest}", port.display())
}

#[tokio::test]
async fn the_demo_reads_its_serial_sensor() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let link = scratch.path().join("serial");
    let gateway = Owned(Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat is there"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/serial-sensor");
    let pid = gateway.0.id().to_string();
    let sensor = Command::new(script).arg(&link).arg(pid).stdin(Stdio::null()).spawn();
    let mut sensor = Owned(sensor.expect("the script runs"));
    let there = async {
        while !link.exists() {
            sleep(Duration::from_millis(10)).await
        }
    };
    timeout(PATIENCE, there).await.expect("the terminal appears");
    let mut driver = open("serial-line", &demo_options(&link), &Buses::default());
    for _ in 0..2 {
        let round = sample(&mut driver).await.expect("a good line");
        let names: Vec<_> = round.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["temperature", "humidity"]);
        assert!((19.0..=25.0).contains(&round[0].1) && (35.0..=45.0).contains(&round[1].1), "{round:?}");
    }
    drop(gateway);
    let ends = async { while sample(&mut driver).await.is_ok() {} };
    timeout(PATIENCE, ends).await.expect("the port goes with its gateway");
    let gone = async {
        while sensor.0.try_wait().expect("our child").is_none() {
            sleep(Duration::from_millis(10)).await
        }
    };
    timeout(PATIENCE, gone).await.expect("the script ends by itself");
}
