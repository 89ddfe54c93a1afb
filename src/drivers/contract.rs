//! What every driver promises, tried on all of them.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use toml::de::DeTable;

use super::{Claim, Configured, DRIVERS, Driver, Kind, Recognise, Simulate, Spec, Verdict, may_be_written};
use crate::bus::simulated::{Replay, SimulatedI2c, Trouble, World};
use crate::bus::{Buses, Settings};
use crate::config::{Problems, Table};
use crate::model::Reading;

/// The driver configured with `options`, or what is wrong with them.
fn configure(spec: &Spec, options: &str) -> Result<Configured, String> {
    let document = DeTable::parse(options).unwrap();
    let mut problems = Problems::default();
    let mut fields = Table::new(&document).fields(&mut problems);
    let configured = (spec.configure)(&mut fields);
    fields.finish();
    match configured {
        Some(configured) if problems.iter().next().is_none() => Ok(configured),
        _ => Err(format!("{problems:?}")),
    }
}

/// The example of `spec` on a simulated bus: its options, the bus, its address.
fn simulated(spec: &Spec) -> (Configured, Buses, SimulatedI2c, u8) {
    let configured = configure(spec, spec.example).unwrap();
    let Some(Claim::I2c { bus, address }) = configured.claims.first().cloned() else {
        panic!("{} has no I2C address", spec.name)
    };
    let buses = Buses::new(Settings { simulate: true, ..Settings::default() });
    let chips = buses.simulated_i2c(&bus).unwrap();
    (configured, buses, chips, address)
}

fn i2c_drivers() -> impl Iterator<Item = &'static Spec> {
    DRIVERS.iter().copied().filter(|spec| matches!(spec.simulate, Simulate::I2c { .. }))
}

fn names(readings: &[Reading]) -> Vec<&str> {
    readings.iter().map(|reading| &*reading.measure.name).collect()
}

#[test]
fn every_driver_is_described_and_its_example_parses() {
    for spec in DRIVERS {
        let configured = configure(spec, spec.example).unwrap_or_else(|why| panic!("{}: {why}", spec.name));
        assert!(!spec.summary.is_empty() && !spec.summary.ends_with('.'), "{}", spec.name);
        if !spec.measures.is_empty() {
            assert_eq!(configured.measures, spec.measures, "{}: the example gives what the table says", spec.name);
        }
        for (key, default, meaning) in spec.options {
            assert!(!meaning.is_empty(), "{}: {key}", spec.name);
            assert!(default.is_empty() || toml::from_str::<toml::Table>(&format!("x = {default}")).is_ok(), "{key}");
        }
        let unknown = format!("{}\nnobody_knows_this = 1", spec.example);
        assert!(configure(spec, &unknown).is_err_and(|why| why.contains("nobody_knows_this")), "{}", spec.name);
    }
}

#[test]
fn every_documented_option_is_known_with_its_default() {
    for spec in DRIVERS {
        for (key, default, _) in spec.options.iter().filter(|(_, default, _)| !default.is_empty()) {
            let line = format!("{key} = {default}");
            let options = match spec.example.lines().any(|given| given.starts_with(&format!("{key} "))) {
                true => spec.example.to_owned(),
                false => format!("{}\n{line}", spec.example),
            };
            assert!(configure(spec, &options).is_ok(), "{}: {options}", spec.name);
        }
    }
}

#[test]
fn names_are_unique_and_sorted_and_each_has_its_row() {
    let names: Vec<_> = DRIVERS.iter().map(|spec| spec.name).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    for spec in DRIVERS {
        assert!(super::catalogue().contains(&format!("| `{}` |", spec.name)));
    }
}

#[tokio::test(start_paused = true)]
async fn every_capture_replays_byte_for_byte() {
    for spec in i2c_drivers() {
        assert!(!spec.captures.is_empty(), "{} has no capture", spec.name);
        for capture in spec.captures {
            assert!(!capture.source.is_empty());
            let (configured, buses, chips, address) = simulated(spec);
            let replay = Replay::new(capture.exchanges);
            chips.place(address, Box::new(replay.clone()));
            let mut driver = (configured.open)(&buses).unwrap();
            let readings = driver.sample().await.unwrap_or_else(|fault| panic!("{}: {fault}", spec.name));
            let promised: Vec<_> = capture.readings.iter().map(|(name, _)| *name).collect();
            assert_eq!(names(&readings), promised, "{}", spec.name);
            for (reading, (name, value)) in readings.iter().zip(capture.readings) {
                let step = 0.1_f64.powi(reading.measure.decimals.into());
                assert!((reading.value - value).abs() <= step / 2.0 + 1e-9, "{}: {name} {}", spec.name, reading.value);
            }
            assert_eq!(replay.left(), 0, "{}: the capture goes on", spec.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn simulated_values_wander_inside_the_promised_ranges() {
    for spec in i2c_drivers() {
        let (configured, buses, _, _) = simulated(spec);
        let mut driver = (configured.open)(&buses).unwrap();
        let mut seen = Vec::new();
        for _ in 0..50 {
            let readings = driver.sample().await.unwrap_or_else(|fault| panic!("{}: {fault}", spec.name));
            let promised: Vec<_> = configured.measures.iter().map(|measure| &*measure.name).collect();
            assert_eq!(names(&readings), promised, "{}", spec.name);
            for reading in &readings {
                let range = reading.measure.min..=reading.measure.max;
                assert!(range.contains(&reading.value), "{}: {reading:?}", spec.name);
            }
            seen.push(readings.iter().map(|reading| reading.value).collect::<Vec<_>>());
            tokio::time::advance(std::time::Duration::from_secs(30)).await;
        }
        for column in 0..seen[0].len() {
            assert!(seen.iter().any(|row| row[column] != seen[0][column]), "{}: column {column} moves", spec.name);
        }
    }
}

#[test]
fn what_is_simulated_is_decoded_again() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let _inside = runtime.enter();
    for spec in i2c_drivers() {
        let Simulate::I2c { steps, .. } = spec.simulate else { unreachable!() };
        let (configured, buses, chips, address) = simulated(spec);
        let driver = RefCell::new((configured.open)(&buses).unwrap());
        assert_eq!(steps.len(), configured.measures.len(), "{}", spec.name);
        let ranges: Vec<_> = configured.measures.iter().map(|measure| measure.min..=measure.max).collect();
        let outcome = TestRunner::new(ProptestConfig::with_cases(200)).run(&ranges, |wanted| {
            let world = chips.world(address).unwrap();
            for (measure, value) in configured.measures.iter().zip(&wanted) {
                world.set(&measure.name, *value);
            }
            let readings = runtime.block_on(driver.borrow_mut().sample()).unwrap();
            for ((reading, wanted), step) in readings.iter().zip(&wanted).zip(steps) {
                prop_assert!((reading.value - wanted).abs() <= step * 0.501, "{reading:?} is not {wanted}");
            }
            Ok(())
        });
        outcome.unwrap_or_else(|why| panic!("{}: {why}", spec.name));
    }
}

#[tokio::test(start_paused = true)]
async fn every_fault_returns_and_reopening_heals() {
    for spec in i2c_drivers() {
        let (configured, buses, chips, address) = simulated(spec);
        let mut driver = (configured.open)(&buses).unwrap();
        driver.sample().await.unwrap();
        for (trouble, word) in
            [(Trouble::Unplugged, "nack"), (Trouble::TimesOut, "timeout"), (Trouble::Hangs, "timeout")]
        {
            assert!(chips.trouble(address, Some(trouble)));
            assert_eq!(driver.sample().await.unwrap_err().word(), word, "{}: {trouble:?}", spec.name);
            assert!(chips.trouble(address, None));
            heals(spec, &configured, &buses).await;
            driver = (configured.open)(&buses).unwrap();
        }
    }
}

/// What `spec` says about the chip of `other` at `address`, asked as a scan does.
async fn verdict(spec: &Spec, other: &Spec, address: u8) -> Option<Verdict> {
    let questions = spec.questions(address)?;
    let Simulate::I2c { chip, .. } = other.simulate else { unreachable!() };
    let mut chip = chip(World::new(1));
    let mut answers = Vec::new();
    for question in questions.ask {
        let mut answer = vec![0; question.read];
        if chip.write(question.write).is_err() {
            break;
        }
        tokio::time::sleep(question.pause).await;
        if chip.read(&mut answer).is_err() {
            break;
        }
        answers.push(answer);
    }
    Some((questions.judge)(&answers))
}

#[tokio::test(start_paused = true)]
async fn every_chip_is_recognised_by_its_driver_and_for_certain_by_no_other() {
    for other in i2c_drivers() {
        let Recognise::I2c(own) = &other.recognise else { continue };
        for &address in own.addresses {
            for spec in i2c_drivers() {
                match verdict(spec, other, address).await {
                    Some(verdict) if spec.name == other.name => {
                        assert!(matches!(verdict, Verdict::Certain | Verdict::Likely), "{}: {verdict:?}", spec.name);
                    }
                    Some(verdict) => assert_ne!(verdict, Verdict::Certain, "{} of a {}", spec.name, other.name),
                    None => {}
                }
            }
        }
    }
}

#[test]
fn questions_harm_no_chip_and_silence_is_recognised_by_nobody() {
    for spec in DRIVERS {
        let Recognise::I2c(questions) = &spec.recognise else { continue };
        assert!(questions.addresses.iter().all(|address| may_be_written(*address)), "{}", spec.name);
        // A pointer or a command, never a register and its new value.
        assert!(questions.ask.iter().all(|question| question.write.len() == 1), "{}", spec.name);
        let same = |byte: u8| questions.ask.iter().map(|question| vec![byte; question.read]).collect::<Vec<_>>();
        for answers in [vec![], same(0x00), same(0xff)] {
            assert_eq!((questions.judge)(&answers), Verdict::No, "{}: {answers:02x?}", spec.name);
        }
    }
}

/// The example of `spec` on simulated GPIO, and its line.
fn on_gpio(spec: &Spec) -> (Configured, Buses, String) {
    let configured = configure(spec, spec.example).unwrap();
    let Some(Claim::Gpio { line }) = configured.claims.first().cloned() else { panic!("{} has no line", spec.name) };
    (configured, Buses::new(Settings { simulate: true, ..Settings::default() }), line)
}

fn gpio_drivers() -> impl Iterator<Item = &'static Spec> {
    DRIVERS.iter().copied().filter(|spec| matches!(spec.simulate, Simulate::Gpio))
}

#[tokio::test(start_paused = true)]
async fn gpio_inputs_speak_by_themselves_and_outputs_obey() {
    for spec in gpio_drivers() {
        let (configured, buses, line) = on_gpio(spec);
        assert!(configured.is_simulated(&buses), "{}", spec.name);
        let mut driver = (configured.open)(&buses).unwrap();
        if spec.kind == Kind::Output {
            assert!(driver.sample().await.is_err(), "{}", spec.name);
            for on in [true, false, true] {
                driver.set(on).await.unwrap();
                assert_eq!(buses.simulated_gpio().unwrap().level(&line), Some(on), "{}", spec.name);
            }
            continue;
        }
        for _ in 0..20 {
            let readings = driver.sample().await.unwrap();
            let promised: Vec<_> = configured.measures.iter().map(|measure| &*measure.name).collect();
            assert_eq!(names(&readings), promised, "{}", spec.name);
            assert!(readings.iter().all(|r| (r.measure.min..=r.measure.max).contains(&r.value)), "{}", spec.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_that_goes_is_a_fault_and_reopening_heals() {
    for spec in gpio_drivers() {
        let (configured, buses, line) = on_gpio(spec);
        let gpio = buses.simulated_gpio().unwrap();
        let mut driver = (configured.open)(&buses).unwrap();
        gpio.unplug(&line, true);
        let outcome = if spec.kind == Kind::Output { driver.set(true).await } else { driver.sample().await.map(drop) };
        assert_eq!(outcome.unwrap_err().word(), "not_present", "{}", spec.name);
        assert_eq!((configured.open)(&buses).err().map(|fault| fault.word()), Some("not_present"), "{}", spec.name);
        gpio.unplug(&line, false);
        let mut driver = (configured.open)(&buses).unwrap();
        let outcome = if spec.kind == Kind::Output { driver.set(true).await } else { driver.sample().await.map(drop) };
        assert_eq!(outcome, Ok(()), "{}", spec.name);
    }
}

/// A reopened driver gives readings again, once nothing hangs.
async fn heals(spec: &Spec, configured: &Configured, buses: &Buses) {
    let mut driver: Box<dyn Driver> = (configured.open)(buses).unwrap();
    for _ in 0..3 {
        tokio::task::yield_now().await;
        if driver.sample().await.is_ok() {
            return;
        }
    }
    panic!("{} does not come back", spec.name);
}

#[tokio::test(start_paused = true)]
async fn an_empty_address_is_a_nack_and_an_input_is_no_output() {
    for spec in i2c_drivers().filter(|spec| spec.kind != Kind::Output) {
        let (configured, buses, chips, address) = simulated(spec);
        let mut driver = (configured.open)(&buses).unwrap();
        assert!(chips.trouble(address, Some(Trouble::Unplugged)));
        assert_eq!(driver.sample().await.unwrap_err().word(), "nack", "{}", spec.name);
        assert!(driver.set(true).await.is_err(), "{}", spec.name);
    }
}
