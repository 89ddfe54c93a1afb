//! Simulated chips in trouble, on a paused clock.

use std::time::Duration;

use tokio::time::timeout;
use weir::bus::simulated::{Chip, Trouble};
use weir::bus::{Buses, Settings};
use weir::model::Fault;

use super::support::{count, open, opener, rounds, simulated_buses, status};

const SHT4X: u8 = 0x44;
const LM75: u8 = 0x48;
const BME280: u8 = 0x76;
const SECOND: Duration = Duration::from_secs(1);
/// The default deadline of a transaction.
const DEADLINE: Duration = Duration::from_millis(200);

#[tokio::test(start_paused = true)]
async fn one_device_wedged_for_ever_costs_the_others_nothing_but_one_deadline() {
    let buses = simulated_buses();
    let (wedged, bme280, sht4x) = (open(&buses, "lm75"), open(&buses, "bme280"), open(&buses, "sht4x"));
    assert!(buses.simulated_i2c("i2c-1").unwrap().trouble(LM75, Some(Trouble::Hangs)));
    let (wedged, bme280, sht4x) =
        tokio::join!(rounds(wedged, SECOND, 60), rounds(bme280, SECOND, 60), rounds(sht4x, SECOND, 60));

    for healthy in [&bme280, &sht4x] {
        assert_eq!(count(healthy, "ok"), 60);
        // A round of the BME280 waits 10 ms for the measurement; only the first can meet the wedged device.
        assert!(healthy[0].1 <= DEADLINE + Duration::from_millis(20), "{:?}", healthy[0]);
        assert!(healthy[1..].iter().all(|(_, late)| *late <= Duration::from_millis(20)), "{healthy:?}");
    }
    assert_eq!((wedged[0].0, count(&wedged, "wedged")), ("timeout", 59));
    assert!(wedged[1..].iter().all(|(_, late)| late.is_zero()), "a wedged device is refused at once");
    let status = status(&buses);
    assert_eq!((status.abandoned, status.dead, status.simulated), (1, false, true));
    assert_eq!(status.faults.get("wedged"), Some(&59));
}

#[tokio::test(start_paused = true)]
async fn a_second_wedge_kills_the_bus_until_one_of_them_lets_go() {
    let buses = simulated_buses();
    let chips = buses.simulated_i2c("i2c-1").unwrap();
    let (mut lm75, mut bme280, mut sht4x) = (open(&buses, "lm75"), open(&buses, "bme280"), open(&buses, "sht4x"));
    chips.trouble(LM75, Some(Trouble::Hangs));
    chips.trouble(BME280, Some(Trouble::Hangs));
    assert_eq!(lm75.sample().await, Err(Fault::Timeout));
    assert!(sht4x.sample().await.is_ok(), "the replacement works");
    assert_eq!(bme280.sample().await, Err(Fault::Timeout));
    for _ in 0..3 {
        assert_eq!(sht4x.sample().await, Err(Fault::Wedged));
        assert_eq!(lm75.sample().await, Err(Fault::Wedged));
    }
    assert_eq!((status(&buses).abandoned, status(&buses).dead), (1, true), "it is not replaced twice");

    // The abandoned worker comes back: the one that hangs now can be given up.
    chips.trouble(LM75, None);
    tokio::task::yield_now().await;
    assert!(sht4x.sample().await.is_ok());
    assert!(lm75.sample().await.is_ok());
    assert_eq!((status(&buses).abandoned, status(&buses).dead), (2, false));
    assert_eq!(bme280.sample().await, Err(Fault::Wedged));
    chips.trouble(BME280, None);
    tokio::task::yield_now().await;
    assert!(bme280.sample().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_dead_bus_lives_again_when_its_last_worker_returns() {
    let buses = simulated_buses();
    let chips = buses.simulated_i2c("i2c-1").unwrap();
    let (mut lm75, mut bme280, mut sht4x) = (open(&buses, "lm75"), open(&buses, "bme280"), open(&buses, "sht4x"));
    chips.trouble(LM75, Some(Trouble::Hangs));
    chips.trouble(BME280, Some(Trouble::Hangs));
    assert_eq!(lm75.sample().await, Err(Fault::Timeout));
    assert_eq!(bme280.sample().await, Err(Fault::Timeout));
    assert_eq!(sht4x.sample().await, Err(Fault::Wedged));
    chips.trouble(BME280, None);
    tokio::task::yield_now().await;
    assert!(sht4x.sample().await.is_ok() && bme280.sample().await.is_ok());
    assert_eq!((status(&buses).abandoned, status(&buses).dead), (1, false));
    assert_eq!(lm75.sample().await, Err(Fault::Wedged), "its worker is still away");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_takes_nothing_along() {
    let buses = simulated_buses();
    let chips = buses.simulated_i2c("i2c-1").unwrap();
    let (mut lm75, mut sht4x) = (open(&buses, "lm75"), open(&buses, "sht4x"));
    chips.trouble(LM75, Some(Trouble::Hangs));
    assert!(timeout(Duration::from_millis(50), lm75.sample()).await.is_err(), "left before the deadline");
    assert!(timeout(DEADLINE, sht4x.sample()).await.unwrap().is_ok(), "the next in line watches the deadline");
    assert_eq!(status(&buses).abandoned, 1);
    // Leaving while waiting in line.
    chips.trouble(LM75, None);
    let waiting = async { timeout(Duration::ZERO, lm75.sample()).await.is_err() };
    let (_, sample) = tokio::join!(waiting, sht4x.sample());
    assert!(sample.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_slow_device_is_left_alone_for_a_while() {
    let buses = simulated_buses();
    let chips = buses.simulated_i2c("i2c-1").unwrap();
    let mut lm75 = open(&buses, "lm75");
    chips.trouble(LM75, Some(Trouble::TimesOut));
    for _ in 0..3 {
        assert_eq!(lm75.sample().await, Err(Fault::Timeout));
    }
    chips.trouble(LM75, None);
    assert_eq!(lm75.sample().await, Err(Fault::Timeout), "refused, although it would answer");
    tokio::time::advance(SECOND).await;
    assert!(lm75.sample().await.is_ok());
    assert_eq!(status(&buses).abandoned, 0, "the kernel gave up in time: no worker was lost");
}

#[tokio::test(start_paused = true)]
async fn a_flipped_bit_on_the_wire_is_a_fault_and_not_a_reading() {
    let buses = simulated_buses();
    let chips = buses.simulated_i2c("i2c-1").unwrap();
    let mut sht4x = open(&buses, "sht4x");
    assert!(sht4x.sample().await.is_ok());
    for bit in 0..48 {
        chips.trouble(SHT4X, Some(Trouble::Flips(bit)));
        assert_eq!(sht4x.sample().await, Err(Fault::Checksum), "bit {bit}");
    }
    chips.trouble(SHT4X, None);
    assert!(sht4x.sample().await.is_ok());
}

/// A chip whose model has a bug.
struct Bug;

impl Chip for Bug {
    fn write(&mut self, _bytes: &[u8]) -> Result<(), Fault> {
        panic!("a bug in a chip's model")
    }

    fn read(&mut self, _buffer: &mut [u8]) -> Result<(), Fault> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_panics_is_replaced() {
    let buses = simulated_buses();
    let (mut lm75, mut sht4x) = (open(&buses, "lm75"), open(&buses, "sht4x"));
    buses.simulated_i2c("i2c-1").unwrap().place(LM75, Box::new(Bug));
    for _ in 0..3 {
        assert_eq!(lm75.sample().await, Err(Fault::Panicked));
        assert!(sht4x.sample().await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn another_chip_at_the_address_is_found_out_and_the_right_one_is_taken_back() {
    let buses = simulated_buses();
    let chips = buses.simulated_i2c("i2c-1").unwrap();
    let (mut bme280, mut bmp280) = (open(&buses, "bme280"), open(&buses, "bmp280"));
    assert!(bme280.sample().await.is_ok());
    let told = bmp280.sample().await.unwrap_err();
    assert!(matches!(&told, Fault::WrongChip(why) if why.contains("driver bme280")), "{told}");
    chips.trouble(BME280, Some(Trouble::Unplugged));
    assert_eq!(bme280.sample().await, Err(Fault::Nack));
    chips.trouble(BME280, None);
    assert!(bme280.sample().await.is_ok());
}

#[test]
fn a_chip_that_the_kernel_owns_is_refused_before_it_is_touched() {
    let root = tempfile::tempdir().unwrap();
    let device = root.path().join("sys/bus/i2c/devices/1-0048");
    std::fs::create_dir_all(&device).unwrap();
    std::os::unix::fs::symlink("../../../bus/i2c/drivers/lm75", device.join("driver")).unwrap();
    let buses = Buses::new(Settings { kernel_root: root.path().to_owned(), ..Settings::default() });
    let fault = opener("lm75", "bus = \"i2c-1\"")(&buses).err().unwrap();
    assert!(matches!(&fault, Fault::Busy(why) if why.contains("hwmon")), "{fault}");
    assert!(opener("lm75", "bus = \"i2c-1\"\naddress = 0x49")(&buses).is_ok(), "its neighbour is free");
}

#[tokio::test(start_paused = true)]
async fn equal_seeds_give_equal_readings() {
    let run = async || {
        let buses = simulated_buses();
        let mut driver = open(&buses, "sht4x");
        let mut values = Vec::new();
        for _ in 0..5 {
            values.extend(driver.sample().await.unwrap().into_iter().map(|reading| reading.value));
            tokio::time::advance(SECOND).await;
        }
        values
    };
    assert_eq!(run().await, run().await);
}
