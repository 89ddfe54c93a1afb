//! Bosch BME280 (temperature, pressure, humidity) and BMP280 (temperature, pressure), in forced mode:
//! the chip sleeps between two rounds. Sections and tables are those of the data sheets
//! BST-BME280-DS002 and BST-BMP280-DS001.

mod compensate;
mod model;

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;

use super::options::{I2cPlace, number};
use super::{Capture, Configured, Driver, Kind, Question, Questions, Recognise, Simulate, Spec, Verdict};
use crate::bus::I2c;
use crate::bus::simulated::{Exchange, MakeChip};
use crate::config::Fields;
use crate::model::{Fault, Measure, Reading};
use compensate::{Calibration, EXAMPLE_HIGH, EXAMPLE_LOW, Raw};
use model::Model;

const TEMPERATURE: Measure = Measure::fixed("temperature", "°C", -40.0, 85.0, 2);
const PRESSURE: Measure = Measure::fixed("pressure", "hPa", 300.0, 1100.0, 2);
const HUMIDITY: Measure = Measure::fixed("humidity", "%", 0.0, 100.0, 2);

/// The driver for the BME280.
pub(super) static BME280: Spec = Spec {
    name: "bme280",
    summary: "Bosch BME280",
    measures: &[TEMPERATURE, PRESSURE, HUMIDITY],
    kind: Kind::Polled,
    options: &[
        ("bus", "", "I2C bus, for example \"i2c-1\""),
        ("address", "0x76", "0x76 or 0x77, by the SDO pin"),
        ("oversample_temperature", "1", "1, 2, 4, 8 or 16 measurements for each reading"),
        ("oversample_pressure", "1", "1, 2, 4, 8 or 16; 0 = not measured"),
        ("oversample_humidity", "1", "1, 2, 4, 8 or 16; 0 = not measured"),
        ("filter", "0", "smoothing inside the chip: 0 (off), 2, 4, 8 or 16"),
    ],
    example: "bus = \"i2c-1\"",
    configure: |fields| configure(fields, &Part::BME280),
    simulate: Simulate::I2c { chip: Part::BME280.chip, steps: &[0.006, 0.004, 0.02] },
    recognise: recognise(|answers| Part::BME280.recognise(answers)),
    captures: &[Capture {
        source: "calibration and raw numbers of BST-BMP280-DS001, section 3.12; humidity by hand after BST-BME280-DS002, section 8.1",
        exchanges: &[
            Exchange { wrote: &[0xd0], read: &[0x60] },
            Exchange { wrote: &[0xe0, 0xb6], read: &[] },
            Exchange { wrote: &[0xf3], read: &[0x00] },
            Exchange { wrote: &[0x88], read: &EXAMPLE_LOW },
            Exchange { wrote: &[0xe1], read: &EXAMPLE_HIGH },
            Exchange { wrote: &[0xf5, 0x00], read: &[] },
            Exchange { wrote: &[0xf2, 0x01], read: &[] },
            Exchange { wrote: &[0xf4, 0x25], read: &[] },
            Exchange { wrote: &[0xf3], read: &[0x00] },
            Exchange { wrote: &[0xf7], read: &[0x65, 0x5a, 0xc0, 0x7e, 0xed, 0x00, 0x6f, 0x15] },
        ],
        readings: &[("temperature", 25.08), ("pressure", 1006.53), ("humidity", 45.58)],
    }],
};

/// The driver for the BMP280.
pub(super) static BMP280: Spec = Spec {
    name: "bmp280",
    summary: "Bosch BMP280",
    measures: &[TEMPERATURE, PRESSURE],
    kind: Kind::Polled,
    options: &[
        ("bus", "", "I2C bus, for example \"i2c-1\""),
        ("address", "0x76", "0x76 or 0x77, by the SDO pin"),
        ("oversample_temperature", "1", "1, 2, 4, 8 or 16 measurements for each reading"),
        ("oversample_pressure", "1", "1, 2, 4, 8 or 16; 0 = not measured"),
        ("filter", "0", "smoothing inside the chip: 0 (off), 2, 4, 8 or 16"),
    ],
    example: "bus = \"i2c-1\"",
    configure: |fields| configure(fields, &Part::BMP280),
    simulate: Simulate::I2c { chip: Part::BMP280.chip, steps: &[0.006, 0.004] },
    recognise: recognise(|answers| Part::BMP280.recognise(answers)),
    captures: &[Capture {
        source: "calibration, raw numbers and results of BST-BMP280-DS001, section 3.12",
        exchanges: &[
            Exchange { wrote: &[0xd0], read: &[0x58] },
            Exchange { wrote: &[0xe0, 0xb6], read: &[] },
            Exchange { wrote: &[0xf3], read: &[0x00] },
            Exchange { wrote: &[0x88], read: &EXAMPLE_LOW },
            Exchange { wrote: &[0xf5, 0x00], read: &[] },
            Exchange { wrote: &[0xf4, 0x25], read: &[] },
            Exchange { wrote: &[0xf3], read: &[0x00] },
            Exchange { wrote: &[0xf7], read: &[0x65, 0x5a, 0xc0, 0x7e, 0xed, 0x00] },
        ],
        readings: &[("temperature", 25.08), ("pressure", 1006.53)],
    }],
};

/// By the SDO pin.
const ADDRESSES: [u8; 2] = [0x76, 0x77];

/// Both chips are asked for their id.
const fn recognise(judge: fn(&[Vec<u8>]) -> Verdict) -> Recognise {
    Recognise::I2c(Questions { addresses: &ADDRESSES, ask: &ASK_ID, judge })
}

const ASK_ID: [Question; 1] = [Question::register(&[register::ID], 1)];

/// Registers (BME280 table 18, BMP280 table 18).
mod register {
    pub(super) const CALIBRATION: u8 = 0x88;
    pub(super) const ID: u8 = 0xd0;
    pub(super) const RESET: u8 = 0xe0;
    pub(super) const HUMIDITY_CALIBRATION: u8 = 0xe1;
    pub(super) const CONTROL_HUMIDITY: u8 = 0xf2;
    pub(super) const STATUS: u8 = 0xf3;
    pub(super) const CONTROL: u8 = 0xf4;
    pub(super) const CONFIG: u8 = 0xf5;
    pub(super) const DATA: u8 = 0xf7;
}

/// Bits of the status register.
const MEASURING: u8 = 0x08;
const COPYING: u8 = 0x01;
/// Mode bits of the control register: one measurement, then sleep.
const FORCED: u8 = 0x01;
const MODE: u8 = 0x03;
/// What the reset register obeys.
const RESET: u8 = 0xb6;
/// How often a busy chip is asked again, 2 ms apart.
const PATIENCE: u32 = 10;

/// What differs between the two chips.
#[derive(Debug)]
struct Part {
    name: &'static str,
    /// Chip ids; the BMP280's first samples had others than the series.
    ids: &'static [u8],
    humidity: bool,
    /// The simulated chip.
    chip: MakeChip,
}

impl Part {
    const BME280: Part =
        Part { name: "BME280", ids: &[0x60], humidity: true, chip: |world| Box::new(Model::bme280(world)) };
    const BMP280: Part = Part {
        name: "BMP280",
        ids: &[0x58, 0x57, 0x56],
        humidity: false,
        chip: |world| Box::new(Model::bmp280(world)),
    };

    /// Relatives that weir does not read have their id at the same place.
    fn recognise(&self, answers: &[Vec<u8>]) -> Verdict {
        match answers.first().and_then(|id| id.first()) {
            Some(id) if self.ids.contains(id) => Verdict::Certain,
            Some(0x61) => Verdict::Other("BME680 or BME688"),
            Some(0x55) => Verdict::Other("BMP085 or BMP180"),
            _ => Verdict::No,
        }
    }

    fn check(&self, id: u8) -> Result<(), Fault> {
        if self.ids.contains(&id) {
            return Ok(());
        }
        let what = match id {
            0x60 => "a BME280 (driver bme280)".to_owned(),
            0x56..=0x58 => "a BMP280 (driver bmp280)".to_owned(),
            0x61 => "a BME680".to_owned(),
            other => format!("a chip with the id {other:#04x}"),
        };
        Err(Fault::WrongChip(format!("expected a {}, but {what} answers", self.name)))
    }
}

/// How it measures; oversampling as numbers of measurements, 0 = none.
#[derive(Debug, Clone, Copy)]
struct Modes {
    temperature: u32,
    pressure: u32,
    humidity: u32,
    filter: u32,
}

impl Modes {
    /// Register values for 0, 1, 2, 4, 8, 16 are 0 to 5 (tables 20, 23, 24).
    fn code(times: u32) -> u8 {
        (u32::BITS - times.leading_zeros()) as u8
    }

    /// The control register.
    fn control(self) -> u8 {
        Self::code(self.temperature) << 5 | Self::code(self.pressure) << 2 | FORCED
    }

    /// The configuration register: filter off, 2, 4, 8, 16 are 0 to 4 (table 28).
    fn config(self) -> u8 {
        Self::code(self.filter).saturating_sub(1) << 2
    }

    /// Whether something that was wanted has the value of what is not measured.
    fn looks_skipped(self, raw: Raw) -> bool {
        raw.temperature == SKIPPED.temperature
            || (self.pressure > 0 && raw.pressure == SKIPPED.pressure)
            || (self.humidity > 0 && raw.humidity == SKIPPED.humidity)
    }

    /// The longest that a measurement takes (BME280 section 9.1).
    fn longest(self) -> Duration {
        let optional = |times| if times == 0 { 0 } else { 2300 * times + 575 };
        let longest_us = 1250 + 2300 * self.temperature + optional(self.pressure) + optional(self.humidity);
        Duration::from_micros(longest_us.into())
    }
}

fn configure(fields: &mut Fields<'_, '_>, part: &'static Part) -> Option<Configured> {
    let place = I2cPlace::read(fields, &ADDRESSES);
    let optional = [1, 0, 2, 4, 8, 16];
    let temperature = number(fields, "oversample_temperature", &[1, 2, 4, 8, 16]);
    let pressure = number(fields, "oversample_pressure", &optional);
    let humidity = if part.humidity { number(fields, "oversample_humidity", &optional) } else { 0 };
    let filter = number(fields, "filter", &[0, 2, 4, 8, 16]);
    let modes = Modes { temperature, pressure, humidity, filter };
    let place = place?;
    Some(Configured {
        measures: measures(modes),
        claims: vec![place.claim()],
        open: Box::new(move |buses| {
            let device = buses.i2c(&place.bus, place.address, part.chip)?;
            Ok(Box::new(Bme280 { device, part, modes, calibration: None }))
        }),
    })
}

fn measures(modes: Modes) -> Vec<Measure> {
    let wanted = [(1, TEMPERATURE), (modes.pressure, PRESSURE), (modes.humidity, HUMIDITY)];
    wanted.into_iter().filter(|(times, _)| *times > 0).map(|(_, measure)| measure).collect()
}

struct Bme280 {
    device: I2c,
    part: &'static Part,
    modes: Modes,
    /// Read at the first round, and again after every fault: another chip may have been plugged in.
    calibration: Option<Calibration>,
}

#[async_trait]
impl Driver for Bme280 {
    async fn sample(&mut self) -> Result<Vec<Reading>, Fault> {
        let calibration = match self.calibration.take() {
            Some(calibration) => calibration,
            None => self.start().await?,
        };
        self.device.write(&[register::CONTROL, self.modes.control()]).await?;
        sleep(self.modes.longest() + Duration::from_millis(1)).await;
        self.wait_until_clear(MEASURING).await?;
        let raw = unpack(self.data().await?);
        if self.modes.looks_skipped(raw) {
            self.confirm_modes().await?;
        }
        self.calibration = Some(calibration);
        Ok(decode(&calibration, self.modes, raw))
    }
}

impl Bme280 {
    /// Checks the chip, resets it, reads its calibration and sets its modes.
    async fn start(&mut self) -> Result<Calibration, Fault> {
        let [id] = self.device.write_read(&[register::ID]).await?;
        self.part.check(id)?;
        self.device.write(&[register::RESET, RESET]).await?;
        // Table 1: start-up takes 2 ms, in which the chip does not answer.
        sleep(Duration::from_millis(3)).await;
        self.wait_until_clear(COPYING).await?;
        let low = self.device.write_read(&[register::CALIBRATION]).await?;
        let high = match self.part.humidity {
            true => Some(self.device.write_read(&[register::HUMIDITY_CALIBRATION]).await?),
            false => None,
        };
        self.device.write(&[register::CONFIG, self.modes.config()]).await?;
        if self.part.humidity {
            let humidity = Modes::code(self.modes.humidity);
            self.device.write(&[register::CONTROL_HUMIDITY, humidity]).await?;
        }
        Calibration::decode(&low, high.as_ref())
    }

    /// That the chip still has the modes it was given. A power cut that is too short to be noticed otherwise takes
    /// them, and what it leaves in the data registers may have been measured just as well.
    async fn confirm_modes(&mut self) -> Result<(), Fault> {
        let [control] = self.device.write_read(&[register::CONTROL]).await?;
        let mut keeps = (control ^ self.modes.control()) & !MODE == 0;
        if self.part.humidity {
            let [humidity] = self.device.write_read(&[register::CONTROL_HUMIDITY]).await?;
            keeps &= humidity & 7 == Modes::code(self.modes.humidity);
        }
        if keeps { Ok(()) } else { Err(Fault::NotReady("the chip did not measure".into())) }
    }

    async fn wait_until_clear(&mut self, bit: u8) -> Result<(), Fault> {
        for _ in 0..PATIENCE {
            let [status] = self.device.write_read(&[register::STATUS]).await?;
            if status & bit == 0 {
                return Ok(());
            }
            sleep(Duration::from_millis(2)).await;
        }
        Err(Fault::NotReady(format!("the {} is busy without end", self.part.name)))
    }

    /// The data registers; the BMP280 has no humidity behind the first six.
    async fn data(&mut self) -> Result<[u8; 8], Fault> {
        if self.part.humidity {
            return self.device.write_read(&[register::DATA]).await;
        }
        let [p0, p1, p2, t0, t1, t2] = self.device.write_read(&[register::DATA]).await?;
        Ok([p0, p1, p2, t0, t1, t2, 0x80, 0])
    }
}

/// What the data registers hold when nothing was measured (section 5.4).
const SKIPPED: Raw = Raw { temperature: 0x80000, pressure: 0x80000, humidity: 0x8000 };

fn decode(calibration: &Calibration, modes: Modes, raw: Raw) -> Vec<Reading> {
    let value = |measure: &Measure| match &*measure.name {
        "temperature" => calibration.celsius(raw.temperature),
        "pressure" => calibration.pascal(raw) / 100.0,
        _ => calibration.percent(raw),
    };
    measures(modes).iter().map(|measure| measure.is(value(measure))).collect()
}

/// Section 5.3: pressure and temperature with 20 bits each, humidity with 16, high bits first.
fn unpack(data: [u8; 8]) -> Raw {
    let [p0, p1, p2, t0, t1, t2, h0, h1] = data.map(u32::from);
    Raw { temperature: t0 << 12 | t1 << 4 | t2 >> 4, pressure: p0 << 12 | p1 << 4 | p2 >> 4, humidity: h0 << 8 | h1 }
}

/// The inverse of [`unpack`].
fn pack(raw: Raw) -> [u8; 8] {
    let [_, p0, p1, p2] = (raw.pressure << 4).to_be_bytes();
    let [_, t0, t1, t2] = (raw.temperature << 4).to_be_bytes();
    let [_, _, h0, h1] = raw.humidity.to_be_bytes();
    [p0, p1, p2, t0, t1, t2, h0, h1]
}

#[cfg(test)]
mod tests {
    use compensate::EXAMPLE;

    use super::*;
    use crate::bus::{Buses, Settings};

    const ALL: Modes = Modes { temperature: 1, pressure: 1, humidity: 1, filter: 0 };

    #[test]
    fn packing_is_undone_by_unpacking() {
        let raw = Raw { temperature: 0xabcde, pressure: 0x12345, humidity: 0xfedc };
        assert_eq!(unpack(pack(raw)), raw);
        assert_eq!(unpack([0xff; 8]), Raw { temperature: 0xfffff, pressure: 0xfffff, humidity: 0xffff });
    }

    #[test]
    fn what_was_not_measured_counts_only_when_it_was_wanted() {
        let mut raw = EXAMPLE.simulate(20.0, 100_000.0, 50.0);
        assert!(!ALL.looks_skipped(raw));
        raw.humidity = SKIPPED.humidity;
        let without = Modes { humidity: 0, ..ALL };
        assert!(ALL.looks_skipped(raw) && !without.looks_skipped(raw) && without.looks_skipped(SKIPPED));
        assert_eq!((decode(&EXAMPLE, ALL, raw).len(), decode(&EXAMPLE, without, raw).len()), (3, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_that_looks_like_none_is_one_unless_the_chip_lost_its_modes() {
        let buses = Buses::new(Settings { simulate: true, ..Settings::default() });
        let chips = buses.simulated_i2c("i2c-1").unwrap();
        let device = buses.i2c("i2c-1", 0x76, Part::BME280.chip).unwrap();
        let mut driver = Bme280 { device, part: &Part::BME280, modes: ALL, calibration: None };
        let world = chips.world(0x76).unwrap();
        let raw = EXAMPLE.simulate(20.0, 100_000.0, 50.0);
        let percent = EXAMPLE.percent(Raw { humidity: SKIPPED.humidity, ..raw });
        for (quantity, value) in [("temperature", 20.0), ("pressure", 1000.0), ("humidity", percent)] {
            world.set(quantity, value);
        }
        let readings = driver.sample().await.unwrap();
        assert!((readings[2].value - percent).abs() < 0.01, "{readings:?}");
        chips.place(0x76, Box::new(Model::bme280(world)));
        assert_eq!(driver.sample().await.unwrap_err().word(), "not_ready");
        assert_eq!(driver.sample().await.map(|readings| readings.len()), Ok(3), "it has its modes again");
    }

    #[test]
    fn modes_become_register_values() {
        let modes = Modes { temperature: 16, pressure: 8, humidity: 2, filter: 16 };
        assert_eq!(modes.control(), 0b1011_0001);
        assert_eq!(modes.config(), 0b0001_0000);
        assert_eq!((Modes::code(modes.humidity), ALL.config(), Modes::code(0)), (2, 0, 0));
        // BME280 section 9.2, with all three measured once: 9.3 ms at most.
        assert_eq!(ALL.longest(), Duration::from_micros(9300));
        assert_eq!(Modes { pressure: 0, humidity: 0, ..ALL }.longest(), Duration::from_micros(3550));
    }

    #[test]
    fn another_chip_is_named() {
        assert!(Part::BME280.check(0x60).is_ok() && Part::BMP280.check(0x56).is_ok());
        let told = Part::BME280.check(0x58).unwrap_err();
        assert_eq!(told.word(), "wrong_chip");
        assert!(told.to_string().contains("driver bmp280"), "{told}");
        assert!(Part::BMP280.check(0xff).unwrap_err().to_string().contains("0xff"));
    }
}
