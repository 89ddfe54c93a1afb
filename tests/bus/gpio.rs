//! GPIO drivers on simulated lines, on a paused clock.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use weir::bus::gpio::SimulatedGpio;
use weir::bus::{Backend, BusSettings, Buses, Settings};
use weir::drivers::Driver;
use weir::model::Fault;

use super::support::{opener, simulated_buses};

const LINE: &str = "GPIO17";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A line that nobody has touched yet, the driver `gpio-in` on it, and its first reading taken.
async fn input(options: &str) -> (SimulatedGpio, Box<dyn Driver>) {
    let buses = simulated_buses();
    let gpio = buses.simulated_gpio().unwrap();
    let mut driver = opener("gpio-in", &format!("line = {LINE:?}\n{options}"))(&buses).unwrap();
    let count = values(&mut *driver).await.1;
    assert_eq!(count, 0.0);
    (gpio, driver)
}

/// Level and count of the next reading.
async fn values(driver: &mut dyn Driver) -> (f64, f64) {
    let readings = driver.sample().await.unwrap();
    assert_eq!((&*readings[0].measure.name, &*readings[1].measure.name), ("level", "count"));
    (readings[0].value, readings[1].value)
}

#[tokio::test(start_paused = true)]
async fn a_bouncing_button_is_one_press_and_one_release() {
    let (gpio, mut driver) = input("pull = \"up\"\nactive = \"low\"").await;
    assert_eq!(gpio.level(LINE), Some(true), "the resistor holds it up");
    // Down with three bounces, up with one; then a glitch that is too short to count.
    gpio.drive(LINE, &[(ms(100), false), (ms(1), true), (ms(1), false), (ms(2), true), (ms(1), false)]);
    gpio.drive(LINE, &[(ms(300), true), (ms(1), false), (ms(1), true)]);
    gpio.drive(LINE, &[(ms(300), false), (ms(4), true)]);
    let began = Instant::now();
    assert_eq!(values(&mut *driver).await, (1.0, 1.0));
    assert_eq!(began.elapsed().as_millis(), 100 + 5 + 5, "the debounce time after the last bounce");
    assert_eq!(values(&mut *driver).await, (0.0, 2.0));
    assert!(timeout(Duration::from_secs(3600), driver.sample()).await.is_err(), "a glitch is no edge");
}

#[tokio::test(start_paused = true)]
async fn without_debouncing_every_edge_counts() {
    let (gpio, mut driver) = input("debounce = \"0ms\"\nmin_gap = \"0ms\"").await;
    gpio.drive(LINE, &[(ms(1), true), (ms(0), false), (ms(1), true)]);
    assert_eq!(values(&mut *driver).await, (1.0, 1.0));
    assert_eq!(values(&mut *driver).await, (0.0, 2.0));
    assert_eq!(values(&mut *driver).await, (1.0, 3.0));
}

#[tokio::test(start_paused = true)]
async fn pulses_are_counted_by_one_edge_and_told_with_a_gap() {
    let (gpio, mut driver) = input("debounce = \"0ms\"\nmin_gap = \"1s\"\nedges = \"rising\"").await;
    let pulses: Vec<_> = (0..500).map(|change| (ms(5), change % 2 == 0)).collect();
    let began = Instant::now();
    gpio.drive(LINE, &pulses);
    let mut told = Vec::new();
    while told.last() != Some(&250.0) {
        told.push(values(&mut *driver).await.1);
    }
    assert!(told.len() <= 4, "{told:?}");
    assert!(told.is_sorted(), "{told:?}");
    assert!(began.elapsed() <= ms(3500));
    assert!(timeout(Duration::from_secs(60), driver.sample()).await.is_err(), "nothing is told twice");
}

#[tokio::test(start_paused = true)]
async fn falling_edges_only() {
    let (gpio, mut driver) = input("edges = \"falling\"").await;
    gpio.drive(LINE, &[(ms(100), true), (ms(100), false), (ms(100), true)]);
    assert_eq!(values(&mut *driver).await, (0.0, 1.0));
    assert!(timeout(ms(1000), driver.sample()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn dropping_a_wait_loses_no_edge_and_reopening_counts_on() {
    let buses = simulated_buses();
    let gpio = buses.simulated_gpio().unwrap();
    let open = opener("gpio-in", &format!("line = {LINE:?}"));
    let mut driver = open(&buses).unwrap();
    values(&mut *driver).await;
    gpio.drive(LINE, &[(ms(100), true), (ms(100), false), (ms(100), true), (ms(100), false)]);
    let mut last = 0.0;
    // Dropped every 3 ms, in the midst of pauses and of debouncing.
    for _ in 0..200 {
        if let Ok(readings) = timeout(ms(3), driver.sample()).await {
            last = readings.unwrap()[1].value;
        }
    }
    assert_eq!(last, 4.0);
    drop(driver);
    let mut driver = open(&buses).unwrap();
    assert_eq!(values(&mut *driver).await, (0.0, 4.0));
}

#[tokio::test(start_paused = true)]
async fn nobody_there_presses_the_button_by_a_seeded_schedule() {
    let run = async || {
        let (_, mut driver) = input("pull = \"up\"\nactive = \"low\"").await;
        let began = Instant::now();
        let mut told = Vec::new();
        for _ in 0..10 {
            told.push((values(&mut *driver).await, began.elapsed()));
        }
        told
    };
    let told = run().await;
    assert_eq!(told, run().await);
    for (index, ((level, count), _)) in told.iter().enumerate() {
        assert_eq!((*level, *count), (f64::from(index % 2 == 0), index as f64 + 1.0), "press and release in turn");
    }
    assert!(told[9].1 < Duration::from_secs(90));
}

#[tokio::test(start_paused = true)]
async fn an_output_keeps_what_was_commanded() {
    let buses = simulated_buses();
    let level = || buses.simulated_gpio().unwrap().level(LINE);
    let open = opener("gpio-out", &format!("line = {LINE:?}\nactive = \"low\""));
    let mut driver = open(&buses).unwrap();
    assert_eq!(level(), Some(true), "off is high");
    driver.set(true).await.unwrap();
    assert_eq!(level(), Some(false));
    let mut driver = open(&buses).unwrap();
    assert_eq!(level(), Some(false), "reopening does not switch");
    driver.set(false).await.unwrap();
    assert_eq!(level(), Some(true));
}

#[tokio::test(start_paused = true)]
async fn an_output_starts_as_told() {
    let buses = simulated_buses();
    let gpio = buses.simulated_gpio().unwrap();
    let open = |options: &str| opener("gpio-out", &format!("line = {LINE:?}\n{options}"))(&buses).unwrap();
    open("initial = \"on\"");
    assert_eq!(gpio.level(LINE), Some(true));
    open("initial = \"keep\"");
    assert_eq!(gpio.level(LINE), Some(true));
    open("initial = \"on\"\nactive = \"low\"");
    assert_eq!(gpio.level(LINE), Some(false));
    open("");
    assert_eq!(gpio.level(LINE), Some(false));
}

/// On the machines that run the tests no chip has this line; whatever the backend, that is a clean fault.
#[tokio::test]
async fn a_line_that_is_not_there_is_told_by_every_backend() {
    for backend in [Backend::Auto, Backend::Cdev, Backend::Rppal] {
        let settings = BusSettings { backend, ..BusSettings::default() };
        let buses = Buses::new(Settings { buses: [("gpio".to_owned(), settings)].into(), ..Settings::default() });
        for driver in ["gpio-in", "gpio-out"] {
            let fault = opener(driver, "line = \"no-board-has-this-line\"")(&buses).err().unwrap();
            assert!(matches!(fault, Fault::NotPresent(_) | Fault::Permission(_)), "{backend:?} {driver}: {fault}");
        }
        assert!(buses.simulated_gpio().is_err());
    }
}
