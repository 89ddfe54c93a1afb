//! Sensirion SHT40, SHT41, SHT43 and SHT45: temperature and humidity.
//! Sections and tables are those of Sensirion's data sheet "SHT4x", version 6.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use super::options::{I2cPlace, choice};
use super::{Capture, Configured, Driver, Kind, Question, Questions, Recognise, Simulate, Spec, Verdict};
use crate::bus::I2c;
use crate::bus::simulated::{Chip, Exchange, World};
use crate::config::Fields;
use crate::model::{Fault, Measure, Reading};

const TEMPERATURE: Measure = Measure::fixed("temperature", "°C", -45.0, 130.0, 2);
const HUMIDITY: Measure = Measure::fixed("humidity", "%", 0.0, 100.0, 2);

/// The driver.
pub(super) static SPEC: Spec = Spec {
    name: "sht4x",
    summary: "Sensirion SHT40, SHT41, SHT43, SHT45",
    measures: &[TEMPERATURE, HUMIDITY],
    kind: Kind::Polled,
    options: &[
        ("bus", "", "I2C bus, for example \"i2c-1\""),
        ("address", "0x44", "0x44, 0x45 or 0x46, by part number"),
        ("precision", "\"high\"", "\"high\" (8.3 ms), \"medium\" (4.5 ms) or \"low\" (1.6 ms, noisy)"),
    ],
    example: "bus = \"i2c-1\"",
    configure,
    simulate: Simulate::I2c { chip: |world| Box::new(Model::new(world)), steps: &[175.0 / 65535.0, 125.0 / 65535.0] },
    recognise: Recognise::I2c(Questions {
        addresses: &ADDRESSES,
        // A command of one byte; those of the SHT3x at the same addresses have two.
        ask: &[Question { write: &[READ_SERIAL], read: 6, pause: Duration::from_millis(1) }],
        judge: |answers| match answers {
            [serial] if serial.first_chunk().is_some_and(|bytes| words(*bytes).is_ok()) => Verdict::Certain,
            _ => Verdict::No,
        },
    }),
    captures: &[Capture {
        source: "section 4.6, equations 1 and 2, and the checksum of section 4.4, worked by hand",
        exchanges: &[
            Exchange { wrote: &[READ_SERIAL], read: &[] },
            Exchange { wrote: &[], read: &[0xbe, 0xef, 0x92, 0xbe, 0xef, 0x92] },
            Exchange { wrote: &[0xfd], read: &[] },
            Exchange { wrote: &[], read: &[0x66, 0x66, 0x93, 0x72, 0xb0, 0xdc] },
        ],
        readings: &[("temperature", 25.0), ("humidity", 50.0)],
    }],
};

/// By part number.
const ADDRESSES: [u8; 3] = [0x44, 0x45, 0x46];
/// Section 4.5, table 8.
const READ_SERIAL: u8 = 0x89;

/// How long and well a measurement is made (tables 5 and 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Precision {
    command: u8,
    longest: Duration,
}

const PRECISIONS: [(&str, Precision); 3] = [
    ("high", Precision { command: 0xfd, longest: Duration::from_micros(8300) }),
    ("medium", Precision { command: 0xf6, longest: Duration::from_micros(4500) }),
    ("low", Precision { command: 0xe0, longest: Duration::from_micros(1600) }),
];

fn configure(fields: &mut Fields<'_, '_>) -> Option<Configured> {
    let place = I2cPlace::read(fields, &ADDRESSES);
    let precision = choice(fields, "precision", &PRECISIONS);
    let place = place?;
    Some(Configured {
        measures: SPEC.measures.to_vec(),
        claims: vec![place.claim()],
        open: Box::new(move |buses| {
            let device = buses.i2c(&place.bus, place.address, |world| Box::new(Model::new(world)))?;
            Ok(Box::new(Sht4x { device, precision, known: false }))
        }),
    })
}

struct Sht4x {
    device: I2c,
    precision: Precision,
    /// Whether the device has answered with its serial number since it was opened.
    known: bool,
}

#[async_trait]
impl Driver for Sht4x {
    async fn sample(&mut self) -> Result<Vec<Reading>, Fault> {
        if !self.known {
            // There is no chip id; a serial number with right checksums comes closest.
            self.device.write(&[READ_SERIAL]).await?;
            sleep(Duration::from_millis(1)).await;
            words(self.device.read().await?)?;
            self.known = true;
        }
        self.device.write(&[self.precision.command]).await?;
        // Others use the bus meanwhile. A millisecond more, because timers may be early by one.
        sleep(self.precision.longest + Duration::from_millis(1)).await;
        decode(self.device.read().await?)
    }
}

/// Section 4.6: two big-endian words, each followed by its checksum.
fn decode(bytes: [u8; 6]) -> Result<Vec<Reading>, Fault> {
    let [t, rh] = words(bytes)?;
    let celsius = -45.0 + 175.0 * f64::from(t) / 65535.0;
    let percent = -6.0 + 125.0 * f64::from(rh) / 65535.0;
    // The line overshoots at both ends; the data sheet asks for a crop.
    Ok(vec![TEMPERATURE.is(celsius), HUMIDITY.is(percent.clamp(0.0, 100.0))])
}

/// The inverse of [`decode`].
fn simulate(celsius: f64, percent: f64) -> [u8; 6] {
    let ticks = |fraction: f64| (fraction * 65535.0).round().clamp(0.0, 65535.0) as u16;
    frame([ticks((celsius + 45.0) / 175.0), ticks((percent + 6.0) / 125.0)])
}

fn words([a0, a1, a_crc, b0, b1, b_crc]: [u8; 6]) -> Result<[u16; 2], Fault> {
    match crc([a0, a1]) == a_crc && crc([b0, b1]) == b_crc {
        true => Ok([u16::from_be_bytes([a0, a1]), u16::from_be_bytes([b0, b1])]),
        false => Err(Fault::Checksum),
    }
}

fn frame(words: [u16; 2]) -> [u8; 6] {
    let [[a0, a1], [b0, b1]] = words.map(u16::to_be_bytes);
    [a0, a1, crc([a0, a1]), b0, b1, crc([b0, b1])]
}

/// Section 4.4: polynomial 0x31, start value 0xff, nothing reflected or inverted.
fn crc(bytes: [u8; 2]) -> u8 {
    bytes.into_iter().fold(0xff, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc: u8, _| if crc & 0x80 == 0 { crc << 1 } else { (crc << 1) ^ 0x31 })
    })
}

/// The chip: it answers a read once the measurement is over, and not before.
struct Model {
    world: World,
    answer: Option<(Instant, [u8; 6])>,
}

impl Model {
    fn new(world: World) -> Self {
        Self { world, answer: None }
    }
}

impl Chip for Model {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let [command] = *bytes else { return Err(Fault::Nack) };
        let measuring = PRECISIONS.iter().find(|(_, precision)| precision.command == command);
        self.answer = match (command, measuring) {
            (READ_SERIAL, _) => Some((Instant::now(), frame([0x0f4a, 0x1b7e]))),
            (_, Some((_, precision))) => {
                let celsius = self.world.value("temperature", 19.0, 25.0);
                let percent = self.world.value("humidity", 38.0, 56.0);
                Some((Instant::now() + precision.longest, simulate(celsius, percent)))
            }
            _ => return Err(Fault::Nack),
        };
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        let (ready, bytes) = self.answer.filter(|(ready, _)| *ready <= Instant::now()).ok_or(Fault::Nack)?;
        let length = buffer.len().min(bytes.len());
        buffer[..length].copy_from_slice(&bytes[..length]);
        self.answer = Some((ready, bytes));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(bytes: [u8; 6]) -> [f64; 2] {
        let readings = decode(bytes).unwrap();
        [readings[0].value, readings[1].value]
    }

    #[test]
    fn the_checksum_of_the_data_sheet() {
        // Table 7: CRC(0xBEEF) = 0x92.
        assert_eq!(crc([0xbe, 0xef]), 0x92);
    }

    #[test]
    fn both_ends_of_the_range() {
        assert_eq!(values(frame([0, 0])), [-45.0, 0.0], "humidity is cropped from -6");
        assert_eq!(values(frame([0xffff, 0xffff])), [130.0, 100.0], "humidity is cropped from 119");
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let right = simulate(21.0, 50.0);
        for bit in 0..48 {
            let mut wrong = right;
            wrong[bit / 8] ^= 0x80 >> (bit % 8);
            assert_eq!(decode(wrong), Err(Fault::Checksum), "bit {bit}");
        }
    }
}
