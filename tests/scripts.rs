//! The scripts of the repository: they parse, and the demo's serial sensor speaks on a real terminal line.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
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
        ("bash", "scripts/test-armhf"),
        ("sh", "scripts/install.sh"),
        ("bash", "tests/service/checks"),
        ("bash", "tests/service/probe"),
        ("bash", "tests/service/armhf"),
        ("bash", "tests/service/readme"),
        ("sh", "scripts/deb/preinst"),
        ("sh", "scripts/deb/postinst"),
        ("sh", "scripts/deb/prerm"),
        ("sh", "scripts/deb/postrm"),
        ("bash", "scripts/unpacked.sh"),
        ("bash", "scripts/emulator.sh"),
        ("bash", "scripts/proven.sh"),
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

/// A copy of what decides whether the whole system on the card is proven again, and an empty cache.
struct Checkout(tempfile::TempDir);

impl Checkout {
    fn new() -> Self {
        let checkout = Self(tempfile::tempdir().expect("a folder"));
        let parts = ["scripts", "systemd", "config", "tests/pi", "Cargo.toml"];
        let mut copy = Command::new("cp");
        copy.args(["-R", "--parents"]).args(parts).arg(checkout.0.path()).current_dir(root());
        assert!(copy.status().expect("cp is there").success());
        checkout
    }

    fn bash(&self, script: &str) -> Output {
        let mut bash = Command::new("bash");
        bash.args(["-c", script]).current_dir(self.0.path());
        bash.env("WEIR_CACHE", self.0.path().join("cache")).env("WEIR_SKIPPED", self.0.path().join("why"));
        bash.output().expect("bash is there")
    }

    fn is_due(&self) -> bool {
        let said = self.bash("scripts/pi-card --due");
        assert!(matches!(said.status.code(), Some(0 | 77)), "{said:?}");
        said.status.success()
    }
}

#[test]
fn the_whole_system_is_proven_again_when_what_it_proves_changes_or_its_card_is_there() {
    let checkout = Checkout::new();
    let proven = ". scripts/common.sh; . scripts/chroot.sh; . scripts/proven.sh";
    assert!(checkout.bash(&format!("{proven}; remember_proven \"$(proves_digest)\"; is_proven")).status.success());
    assert!(!checkout.is_due());
    let why = std::fs::read_to_string(checkout.0.path().join("why")).unwrap();
    assert!(why.starts_with("unchanged"), "{why}");

    for part in ["systemd/weir.service", "scripts/deb/postinst", "config/package.toml", "tests/pi/card.py"] {
        assert!(checkout.bash(&format!("cp {part} kept && echo >>{part}")).status.success());
        assert!(checkout.is_due(), "{part}");
        assert!(checkout.bash(&format!("mv kept {part}")).status.success());
        assert!(!checkout.is_due(), "{part} is as it was");
    }
    let made = format!("{proven}; folder=$(card_folder); mkdir -p \"$folder\" && touch \"$folder/made\"");
    assert!(checkout.bash(&made).status.success());
    assert!(checkout.is_due());
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
