//! The scripts of the repository: they parse, and the demo's serial sensor speaks on a real terminal line.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(20);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_script_parses_and_can_be_run() {
    for (shell, script) in [
        ("bash", "scripts/run"),
        ("bash", "scripts/test"),
        ("bash", "scripts/check"),
        ("bash", "scripts/common.sh"),
        ("bash", "scripts/chroot.sh"),
        ("bash", "scripts/cross.sh"),
        ("bash", "scripts/build-arm"),
        ("bash", "scripts/package"),
        ("bash", "scripts/service"),
        ("bash", "scripts/test-armv7"),
        ("sh", "scripts/install.sh"),
        ("bash", "tests/service/checks"),
        ("bash", "tests/service/probe"),
        ("bash", "tests/service/readme"),
        ("sh", "scripts/deb/preinst"),
        ("sh", "scripts/deb/postinst"),
        ("sh", "scripts/deb/prerm"),
        ("sh", "scripts/deb/postrm"),
        ("bash", "scripts/emulator.sh"),
        ("bash", "scripts/pi"),
        ("bash", "scripts/pi-card"),
        ("bash", ".ci/run"),
        ("sh", "scripts/serial-sensor"),
        ("sh", "scripts/crash-rounds"),
        ("sh", "scripts/bench/hub"),
        ("sh", "scripts/bench/wire"),
        ("sh", "scripts/bench/fleet"),
        ("bash", "scripts/bench/newer"),
        ("bash", "scripts/bench/outage"),
        ("bash", "scripts/bench/rabbitmq"),
    ] {
        let path = root().join(script);
        let parsed = Command::new(shell).arg("-n").arg(&path).status().expect("a shell is there");
        assert!(parsed.success(), "{script}");
        let mode = rustix::fs::stat(&path).expect("the script is there").st_mode;
        assert!(script.ends_with(".sh") || mode & 0o111 == 0o111, "{script} is not executable");
    }
}

/// A process that is ended, whatever the test does.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // It may have gone already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

async fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let poll = async {
        while !condition() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(timeout(PATIENCE, poll).await.is_ok(), "{what}");
}

fn read_lines(port: PathBuf, count: usize) -> Vec<String> {
    let port = std::fs::File::open(port).expect("the link leads to a terminal");
    assert!(rustix::termios::isatty(&port));
    BufReader::new(port).lines().take(count).map(|line| line.expect("text")).collect()
}

#[tokio::test]
async fn the_serial_sensor_speaks_until_its_gateway_ends() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("serial");
    let mut gateway = Owned(Command::new("cat").stdin(Stdio::piped()).spawn().unwrap());
    let sensor = Command::new(root().join("scripts/serial-sensor"))
        .args([link.as_os_str(), gateway.0.id().to_string().as_ref()])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut sensor = Owned(sensor);
    wait_for("the link appears", || link.exists()).await;

    let port = link.clone();
    let lines = timeout(PATIENCE, spawn_blocking(move || read_lines(port, 2))).await.expect("it speaks").unwrap();
    for line in &lines {
        let (temp, hum) = line.split_once(' ').expect("two values");
        let temp: f64 = temp.strip_prefix("temp=").expect("a temperature").parse().unwrap();
        let hum: f64 = hum.strip_prefix("hum=").expect("a humidity").parse().unwrap();
        assert!((19.0..=25.0).contains(&temp) && (35.0..=45.0).contains(&hum), "{line}");
    }

    kill_process(Pid::from_child(&gateway.0), Signal::TERM).unwrap();
    gateway.0.wait().unwrap();
    wait_for("it ends with its gateway", || sensor.0.try_wait().unwrap().is_some()).await;
    assert!(!link.exists() && !link.is_symlink(), "it takes its link away");
}
