//! Infineon DPS310: pressure and temperature, one after the other on command; the chip sleeps between two rounds.
//! Sections are those of Infineon's data sheet DPS310.

mod compensate;
mod model;

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;

use super::options::{I2cPlace, number};
use super::{Capture, Configured, Driver, Kind, Question, Questions, Recognise, Simulate, Spec, Verdict};
use crate::bus::I2c;
use crate::bus::simulated::Exchange;
use crate::config::Fields;
use crate::model::{Fault, Measure, Reading};
use compensate::{Calibration, EXAMPLE_BYTES, Raw, Scale, signed};
use model::Model;

const TEMPERATURE: Measure = Measure::fixed("temperature", "°C", -40.0, 85.0, 2);
const PRESSURE: Measure = Measure::fixed("pressure", "hPa", 300.0, 1200.0, 2);

/// By the SDO pin.
const ADDRESSES: [u8; 2] = [0x77, 0x76];

/// The driver.
pub(super) static SPEC: Spec = Spec {
    name: "dps310",
    summary: "Infineon DPS310",
    measures: &[TEMPERATURE, PRESSURE],
    kind: Kind::Polled,
    options: &[
        ("bus", "", "I2C bus, for example \"i2c-1\""),
        ("address", "0x77", "0x77 or 0x76, by the SDO pin"),
        ("oversample_temperature", "1", "1, 2, 4, 8, 16, 32, 64 or 128 measurements for each reading"),
        ("oversample_pressure", "16", "1, 2, 4, 8, 16, 32, 64 or 128; 128 take 0.2 s"),
    ],
    example: "bus = \"i2c-1\"",
    configure,
    simulate: Simulate::I2c { chip: |world| Box::new(Model::new(world)), steps: &[0.0006, 0.0032] },
    recognise: Recognise::I2c(Questions {
        addresses: &ADDRESSES,
        ask: &[Question::register(&[register::ID], 1)],
        judge: |answers| if answers.concat() == [0x10] { Verdict::Certain } else { Verdict::No },
    }),
    captures: &[Capture {
        source: "calibration and raw temperature of a real chip as QEMU's model has them; results by hand after section 4.9",
        exchanges: &[
            Exchange { wrote: &[0x0d], read: &[0x10] },
            Exchange { wrote: &[0x0c, 0x09], read: &[] },
            Exchange { wrote: &[0x08], read: &[0xc0] },
            Exchange { wrote: &[0x10], read: &EXAMPLE_BYTES },
            Exchange { wrote: &[0x28], read: &[0x90] },
            Exchange { wrote: &[0x32], read: &[0x02] },
            Exchange { wrote: &[0x06, 0x04], read: &[] },
            Exchange { wrote: &[0x07, 0x80], read: &[] },
            Exchange { wrote: &[0x09, 0x04], read: &[] },
            Exchange { wrote: &[0x08], read: &[0xc0] },
            Exchange { wrote: &[0x08, 0xc2], read: &[] },
            Exchange { wrote: &[0x08], read: &[0xe0] },
            Exchange { wrote: &[0x03], read: &[0x02, 0x69, 0xa6] },
            Exchange { wrote: &[0x08], read: &[0xc0] },
            Exchange { wrote: &[0x08, 0xc1], read: &[] },
            Exchange { wrote: &[0x08], read: &[0xd0] },
            Exchange { wrote: &[0x00], read: &[0xfe, 0x2f, 0xee] },
        ],
        readings: &[("temperature", 24.74), ("pressure", 1051.48)],
    }],
};

/// Registers (section "Register Map").
mod register {
    pub(super) const PRESSURE: u8 = 0x00;
    pub(super) const TEMPERATURE: u8 = 0x03;
    pub(super) const PRESSURE_CONFIG: u8 = 0x06;
    pub(super) const TEMPERATURE_CONFIG: u8 = 0x07;
    pub(super) const MEASURE: u8 = 0x08;
    pub(super) const CONFIG: u8 = 0x09;
    pub(super) const RESET: u8 = 0x0c;
    pub(super) const ID: u8 = 0x0d;
    pub(super) const CALIBRATION: u8 = 0x10;
    pub(super) const SOURCE: u8 = 0x28;
    /// Not in the data sheet; see [`Dps310::repair`](super::Dps310).
    pub(super) const REPAIRED: u8 = 0x32;
}

/// Bits of the measurement register: the calibration is there, the sensor is ready, one result each is there.
const CALIBRATED: u8 = 0x80;
const READY: u8 = 0x40;
const TEMPERATURE_THERE: u8 = 0x20;
const PRESSURE_THERE: u8 = 0x10;
/// Its lower three bits: measure one pressure, measure one temperature.
const MEASURE_PRESSURE: u8 = 0x01;
const MEASURE_TEMPERATURE: u8 = 0x02;
/// What the reset register obeys.
const RESET: u8 = 0x09;
/// How often a busy chip is asked again, 4 ms apart: calibration may take 40 ms after a reset.
const PATIENCE: u32 = 20;

fn configure(fields: &mut Fields<'_, '_>) -> Option<Configured> {
    let place = I2cPlace::read(fields, &ADDRESSES);
    let temperature = number(fields, "oversample_temperature", &[1, 2, 4, 8, 16, 32, 64, 128]);
    let pressure = number(fields, "oversample_pressure", &[16, 1, 2, 4, 8, 32, 64, 128]);
    let times = Times { temperature, pressure };
    let place = place?;
    Some(Configured {
        measures: SPEC.measures.to_vec(),
        claims: vec![place.claim()],
        open: Box::new(move |buses| {
            let device = buses.i2c(&place.bus, place.address, |world| Box::new(Model::new(world)))?;
            Ok(Box::new(Dps310 { device, times, calibration: None }))
        }),
    })
}

/// How many measurements make a reading.
#[derive(Debug, Clone, Copy)]
struct Times {
    temperature: u32,
    pressure: u32,
}

impl Times {
    /// The configuration register: from 16 measurements on, results are shifted to fit.
    fn config(self) -> u8 {
        u8::from(self.temperature > 8) << 3 | u8::from(self.pressure > 8) << 2
    }

    /// What stands in the precision bits.
    fn code(times: u32) -> u8 {
        times.trailing_zeros() as u8
    }

    /// How long so many take (table "Pressure measurement time"), and a tenth more.
    fn longest(times: u32) -> Duration {
        Duration::from_micros(u64::from(2000 + 1600 * times) * 11 / 10)
    }
}

struct Dps310 {
    device: I2c,
    times: Times,
    /// Read at the first round, and again after every fault: another chip may have been plugged in.
    calibration: Option<Calibration>,
}

#[async_trait]
impl Driver for Dps310 {
    async fn sample(&mut self) -> Result<Vec<Reading>, Fault> {
        let calibration = match self.calibration.take() {
            Some(calibration) => calibration,
            None => self.start().await?,
        };
        let Times { temperature, pressure } = self.times;
        self.measure(MEASURE_TEMPERATURE, Times::longest(temperature), TEMPERATURE_THERE).await?;
        let temperature = decode(self.device.write_read(&[register::TEMPERATURE]).await?);
        self.measure(MEASURE_PRESSURE, Times::longest(pressure), PRESSURE_THERE).await?;
        let pressure = decode(self.device.write_read(&[register::PRESSURE]).await?);
        let scale = Scale::of(self.times.temperature, self.times.pressure);
        let celsius = calibration.celsius(temperature, scale);
        let pascal = calibration.pascal(Raw { temperature, pressure }, scale);
        self.calibration = Some(calibration);
        Ok(vec![TEMPERATURE.is(celsius), PRESSURE.is(pascal / 100.0)])
    }
}

impl Dps310 {
    /// Checks the chip, resets it, reads its calibration and sets how it measures.
    async fn start(&mut self) -> Result<Calibration, Fault> {
        check(self.byte(register::ID).await?)?;
        self.device.write(&[register::RESET, RESET]).await?;
        // The sensor is ready after 12 ms, and does not answer while it starts.
        sleep(Duration::from_millis(15)).await;
        self.wait_for(CALIBRATED | READY).await?;
        let calibration = Calibration::decode(&self.device.write_read(&[register::CALIBRATION]).await?)?;
        // The calibration belongs to one of two thermometers inside, which must then be the one that measures.
        let thermometer = self.byte(register::SOURCE).await? & 0x80;
        self.repair().await?;
        let temperature = thermometer | Times::code(self.times.temperature);
        self.device.write(&[register::PRESSURE_CONFIG, Times::code(self.times.pressure)]).await?;
        self.device.write(&[register::TEMPERATURE_CONFIG, temperature]).await?;
        self.device.write(&[register::CONFIG, self.times.config()]).await?;
        Ok(calibration)
    }

    /// Some chips read about 60 °C at room temperature until these values are written, as Infineon's own
    /// driver does; bit 1 of register 0x32 tells that it is not needed. The data sheet is silent on it.
    async fn repair(&mut self) -> Result<(), Fault> {
        if self.byte(register::REPAIRED).await? & 0x02 != 0 {
            return Ok(());
        }
        for bytes in [[0x0e, 0xa5], [0x0f, 0x96], [0x62, 0x02], [0x0e, 0x00], [0x0f, 0x00]] {
            self.device.write(&bytes).await?;
        }
        Ok(())
    }

    /// Makes one measurement. The flags are written back as they were: to the chip that says nothing.
    async fn measure(&mut self, what: u8, longest: Duration, there: u8) -> Result<(), Fault> {
        let flags = self.byte(register::MEASURE).await? & !0x0f;
        self.device.write(&[register::MEASURE, flags | what]).await?;
        // Others use the bus meanwhile. A millisecond more, because timers may be early by one.
        sleep(longest + Duration::from_millis(1)).await;
        self.wait_for(there).await
    }

    async fn wait_for(&mut self, bits: u8) -> Result<(), Fault> {
        for _ in 0..PATIENCE {
            if self.byte(register::MEASURE).await? & bits == bits {
                return Ok(());
            }
            sleep(Duration::from_millis(4)).await;
        }
        Err(Fault::NotReady("the DPS310 is busy without end".into()))
    }

    async fn byte(&mut self, register: u8) -> Result<u8, Fault> {
        let [byte] = self.device.write_read(&[register]).await?;
        Ok(byte)
    }
}

/// Product and revision. QEMU's model has no such register and answers 0xff; what is read next, its
/// calibration, must then do.
fn check(id: u8) -> Result<(), Fault> {
    match id {
        0x10 | 0xff => Ok(()),
        other => Err(Fault::WrongChip(format!("expected a DPS310, but a chip with the id {other:#04x} answers"))),
    }
}

/// 24 bits in two's complement, high bits first.
fn decode([high, middle, low]: [u8; 3]) -> i32 {
    signed(u32::from_be_bytes([0, high, middle, low]), 24)
}

/// The inverse of [`decode`].
fn simulate(raw: i32) -> [u8; 3] {
    let [_, high, middle, low] = raw.to_be_bytes();
    [high, middle, low]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_three_bytes() {
        for (bytes, raw) in [([0x7f, 0xff, 0xff], 8_388_607), ([0x80, 0, 0], -8_388_608), ([0xff; 3], -1), ([0; 3], 0)]
        {
            assert_eq!((decode(bytes), simulate(raw)), (raw, bytes));
        }
    }

    #[test]
    fn numbers_of_measurements_become_register_values_and_times() {
        let config = |temperature, pressure| Times { temperature, pressure }.config();
        assert_eq!([config(8, 8), config(8, 16), config(16, 8), config(128, 128)], [0x00, 0x04, 0x08, 0x0c]);
        assert_eq!([1, 2, 16, 128].map(Times::code), [0, 1, 4, 7]);
        // The data sheet's table says 3.6, 5.2, 27.6 and 206.8 ms.
        let micros = [1, 2, 16, 128].map(|times| Times::longest(times).as_micros());
        assert_eq!(micros, [3960, 5720, 30_360, 227_480]);
    }

    #[test]
    fn another_chip_is_named() {
        assert!(check(0x10).is_ok() && check(0xff).is_ok());
        assert!(check(0x58).unwrap_err().to_string().contains("0x58"));
    }
}
