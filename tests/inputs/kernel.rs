//! Drivers that read files of the kernel, on fixture trees.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};
use weir::bus::{Backend, BusSettings, Buses, Settings};
use weir::drivers::{DRIVERS, Simulate};
use weir::model::Fault;

use super::{PATIENCE, configured, open, same, sample};

const PROBE: &str = "28-3c01e076877d";
const OTHER: &str = "28-000004da2313";
const GOOD: &str = "5e 01 ff ff 7f ff ff ff 52 : crc=52 YES\n5e 01 ff ff 7f ff ff ff 52 t=21875\n";

/// A kernel with these files, and the deadline of `family`.
fn kernel(files: &[(&str, &str)], family: &str, deadline_ms: u64) -> (TempDir, Buses) {
    let root = tempfile::tempdir().expect("a scratch directory");
    files.iter().for_each(|(path, text)| write(root.path(), path, text));
    let deadline = BusSettings { deadline: Duration::from_millis(deadline_ms), backend: Backend::Auto };
    let buses = [(family.to_owned(), deadline)].into();
    let settings = Settings { kernel_root: root.path().to_owned(), buses, ..Settings::default() };
    (root, Buses::new(settings))
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().expect("below the root")).expect("writable");
    std::fs::write(path, text).expect("writable");
}

fn probe(id: &str) -> String {
    format!("sys/bus/w1/devices/{id}/w1_slave")
}

#[tokio::test]
async fn a_probe_is_read_unplugged_and_read_again() {
    let (root, buses) = kernel(&[(&probe(PROBE), GOOD)], "w1", 2000);
    let mut driver = open("ds18b20", &format!("id = \"{PROBE}\""), &buses);
    same(&sample(&mut driver).await, &[("temperature", 21.875)]);
    std::fs::remove_dir_all(root.path().join("sys/bus/w1/devices").join(PROBE)).expect("it is there");
    assert_eq!(sample(&mut driver).await.unwrap_err().word(), "not_present");
    write(root.path(), &probe(PROBE), GOOD);
    same(&sample(&mut driver).await, &[("temperature", 21.875)]);
}

#[tokio::test]
async fn chips_are_followed_when_their_number_moves() {
    let (root, buses) = kernel(
        &[
            ("sys/class/hwmon/hwmon0/name", "cpu_thermal\n"),
            ("sys/class/hwmon/hwmon0/temp1_input", "48312\n"),
            ("sys/class/hwmon/hwmon1/name", "lm75\n"),
            ("sys/class/hwmon/hwmon1/temp1_input", "21500\n"),
        ],
        "hwmon",
        2000,
    );
    symlink("../../../1-0048", root.path().join("sys/class/hwmon/hwmon1/device")).expect("writable");
    let options = "name = \"lm75\"\ndevice = \"1-0048\"";
    let mut driver = open("hwmon", options, &buses);
    same(&sample(&mut driver).await, &[("temperature", 21.5)]);
    // After a boot the numbers are the other way round.
    let at = |name: &str| root.path().join("sys/class/hwmon").join(name);
    for (from, to) in [("hwmon0", "x"), ("hwmon1", "hwmon0"), ("x", "hwmon1")] {
        std::fs::rename(at(from), at(to)).expect("writable");
    }
    let Err(Fault::NotPresent(why)) = sample(&mut driver).await else { panic!("another chip is no reading") };
    assert!(why.contains("lm75 is gone"), "{why}");
    same(&sample(&mut open("hwmon", options, &buses)).await, &[("temperature", 21.5)]);
}

#[tokio::test]
async fn the_other_classes_read_their_trees() {
    let (_root, buses) = kernel(
        &[
            ("sys/bus/iio/devices/iio:device3/name", "ads1015\n"),
            ("sys/bus/iio/devices/iio:device3/in_voltage1_raw", "1000\n"),
            ("sys/bus/iio/devices/iio:device3/in_voltage1_scale", "3.000000\n"),
            ("sys/class/thermal/thermal_zone4/type", "cpu-thermal\n"),
            ("sys/class/thermal/thermal_zone4/temp", "-1250\n"),
        ],
        "iio",
        2000,
    );
    let mut adc = open("iio", "name = \"ads1015\"\nchannels = { level = \"voltage1\" }", &buses);
    same(&sample(&mut adc).await, &[("level", 3.0)]);
    same(&sample(&mut open("thermal", "", &buses)).await, &[("cpu_thermal_temperature", -1.25)]);
    same(&sample(&mut open("hwmon", "", &buses)).await, &[]);
}

/// Opening a pipe that nobody writes to is a read that never returns: it costs one thread, the probe is
/// refused while that thread is away, and the other probe on the wire keeps its cadence.
#[tokio::test]
async fn a_read_that_never_returns_stops_nobody_else() {
    let (root, buses) = kernel(&[(&probe(OTHER), GOOD)], "w1", 1000);
    let pipe = root.path().join(probe(PROBE));
    std::fs::create_dir_all(pipe.parent().expect("below the root")).expect("writable");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("writable");
    let mut stuck = open("ds18b20", &format!("id = \"{PROBE}\""), &buses);
    let mut other = open("ds18b20", &format!("id = \"{OTHER}\""), &buses);
    assert_eq!(sample(&mut stuck).await, Err(Fault::Timeout));
    for _ in 0..5 {
        let began = Instant::now();
        same(&sample(&mut other).await, &[("temperature", 21.875)]);
        assert!(began.elapsed() < Duration::from_millis(1000), "nobody waits for the stuck one");
        assert_eq!(sample(&mut stuck).await, Err(Fault::Wedged));
    }
    // A reopened driver does not cost another thread.
    let mut again = open("ds18b20", &format!("id = \"{PROBE}\""), &buses);
    assert_eq!(sample(&mut again).await, Err(Fault::Wedged));
    let status = buses.status().into_iter().find(|status| status.name.ends_with(PROBE)).expect("it was read");
    assert_eq!((status.abandoned, status.dead), (1, false));
    // Somebody writes: the thread returns, the probe is heard again.
    let writer = tokio::task::spawn_blocking(move || {
        std::fs::write(&pipe, GOOD).expect("a reader is there");
        std::fs::remove_file(&pipe).expect("writable");
        std::fs::write(&pipe, GOOD).expect("writable");
    });
    timeout(PATIENCE, writer).await.expect("in time").expect("no panic");
    let healed = async {
        while sample(&mut again).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await
        }
    };
    timeout(PATIENCE, healed).await.expect("the probe comes back");
}

#[tokio::test(start_paused = true)]
async fn simulated_kernels_are_marked_and_wander() {
    let buses = Buses::new(Settings { simulate: true, ..Settings::default() });
    let drivers: Vec<_> = DRIVERS.iter().filter(|spec| matches!(spec.simulate, Simulate::Kernel)).collect();
    assert_eq!(drivers.len(), 4);
    for spec in drivers {
        let configured = configured(spec.name, spec.example);
        assert!(configured.is_simulated(&buses) && !configured.is_simulated(&Buses::default()), "{}", spec.name);
        let promised: Vec<_> = configured.measures.iter().map(|measure| measure.name.to_string()).collect();
        let mut driver = (configured.open)(&buses).expect("nothing to fail");
        let mut seen = Vec::new();
        for _ in 0..20 {
            let round = sample(&mut driver).await.expect("a simulated chip answers");
            assert_eq!(round.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), promised, "{}", spec.name);
            seen.push(round[0].1);
            tokio::time::advance(Duration::from_secs(30)).await;
        }
        assert!(seen.iter().any(|value| *value != seen[0]), "{}: {seen:?}", spec.name);
    }
}

#[tokio::test]
async fn labels_and_whole_chips_are_simulated_too() {
    let buses = Buses::new(Settings { simulate: true, ..Settings::default() });
    let options = "name = \"coretemp\"\ndevice = \"coretemp.0\"\nchannels = { cpu = \"Package id 0\", fan = \"fan2\" }";
    let round = sample(&mut open("hwmon", options, &buses)).await.expect("it answers");
    assert_eq!(round.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["cpu", "fan"]);
    let options = "name = \"bme280\"\ndevice = \"1-0076\"\nchannels = [\"temp\"]";
    assert_eq!(sample(&mut open("iio", options, &buses)).await.expect("it answers").len(), 1);
    for driver in ["hwmon", "iio", "thermal"] {
        assert_eq!(sample(&mut open(driver, "", &buses)).await.expect("it answers").len(), 1, "{driver}");
    }
}
