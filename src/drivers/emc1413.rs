//! Microchip (SMSC) EMC1412, EMC1413 and EMC1414: the chip's own temperature and that of one, two or three
//! external diodes. Sections and tables are those of Microchip's data sheet DS20005274A.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;

use super::options::{I2cPlace, choice, number};
use super::{Capture, Configured, Driver, Kind, Question, Questions, Recognise, Simulate, Spec, Verdict};
use crate::bus::I2c;
use crate::bus::simulated::{ByteRegisters, Chip, Exchange, World};
use crate::config::Fields;
use crate::model::{Fault, Measure, Reading};

/// The chip itself and its external diodes: name, register of the high and of the low byte.
const CHANNELS: [(&str, u8, u8); 4] =
    [("temperature", 0x00, 0x29), ("external_1", 0x01, 0x10), ("external_2", 0x23, 0x24), ("external_3", 0x2a, 0x2b)];

/// The driver.
pub(super) static SPEC: Spec = Spec {
    name: "emc1413",
    summary: "Microchip EMC1412, EMC1413, EMC1414 with external diodes",
    measures: &[measure(0, Range::Extended), measure(1, Range::Extended), measure(2, Range::Extended)],
    kind: Kind::Polled,
    options: &[
        ("bus", "", "I2C bus, for example \"i2c-1\""),
        ("address", "0x4c", "0x4c, 0x4d, 0x18, 0x1c, 0x29, 0x3c or 0x5c, by part and the resistor at its pin"),
        ("externals", "2", "external diodes to read: 0, 1, 2 (not EMC1412) or 3 (EMC1414)"),
        ("range", "\"extended\"", "\"extended\" (-63 to 191 °C) or \"standard\" (above 0 to 127 °C)"),
    ],
    example: "bus = \"i2c-1\"",
    configure,
    simulate: Simulate::I2c { chip: |world| Box::new(Model::new(world)), steps: &[STEP, STEP, STEP] },
    recognise: Recognise::I2c(Questions {
        // Without those at which a scan writes nothing.
        addresses: &[0x4c, 0x4d, 0x18, 0x1c, 0x29],
        ask: &[Question::register(&[MAKER], 1), Question::register(&[PRODUCT], 1)],
        judge: |answers| match answers.concat()[..] {
            [maker, product] if check(maker, product, 0).is_ok() => Verdict::Certain,
            _ => Verdict::No,
        },
    }),
    captures: &[Capture {
        source: "DS20005274A: identity and state after power-up of its register table; -1 °C, 64 °C and 85.125 °C in the extended format, by hand",
        exchanges: &[
            Exchange { wrote: &[MAKER], read: &[0x5d] },
            Exchange { wrote: &[PRODUCT], read: &[0x21] },
            Exchange { wrote: &[CONFIG], read: &[0x00] },
            Exchange { wrote: &[CONFIG, 0x04], read: &[] },
            Exchange { wrote: &[RATE, 0x06], read: &[] },
            Exchange { wrote: &[CONFIG], read: &[0x04] },
            Exchange { wrote: &[0x00], read: &[0x3f] },
            Exchange { wrote: &[0x29], read: &[0x00] },
            Exchange { wrote: &[0x01], read: &[0x80] },
            Exchange { wrote: &[0x10], read: &[0x00] },
            Exchange { wrote: &[0x23], read: &[0x95] },
            Exchange { wrote: &[0x24], read: &[0x20] },
            Exchange { wrote: &[DIODE_FAULTS], read: &[0x00] },
        ],
        readings: &[("temperature", -1.0), ("external_1", 64.0), ("external_2", 85.125)],
    }],
};

/// Registers other than the temperatures.
const CONFIG: u8 = 0x03;
const RATE: u8 = 0x04;
const DIODE_FAULTS: u8 = 0x1b;
const PRODUCT: u8 = 0xfd;
const MAKER: u8 = 0xfe;

/// Configuration: standby, and the extended range.
const STANDBY: u8 = 0x40;
const EXTENDED: u8 = 0x04;
/// Four rounds a second, as after power-up.
const FOUR: u8 = 0x06;
/// Two rounds at that rate.
const TWO_ROUNDS: Duration = Duration::from_millis(500);
/// 1/8 °C.
const STEP: f64 = 0.125;

/// What a temperature's high byte means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    /// Degrees; everything below zero is zero.
    Standard,
    /// 64 °C more than is meant.
    Extended,
}

/// The lowest code means that value or anything below, so it is outside of what is promised.
const fn measure(channel: usize, range: Range) -> Measure {
    let (min, max) = match range {
        Range::Standard => (STEP, 127.0),
        Range::Extended => (-63.0, 191.0),
    };
    Measure::fixed(CHANNELS[channel].0, "°C", min, max, 3)
}

fn configure(fields: &mut Fields<'_, '_>) -> Option<Configured> {
    let place = I2cPlace::read(fields, &[0x4c, 0x4d, 0x18, 0x1c, 0x29, 0x3c, 0x5c]);
    let externals = number(fields, "externals", &[2, 0, 1, 3]) as usize;
    let range = choice(fields, "range", &[("extended", Range::Extended), ("standard", Range::Standard)]);
    let place = place?;
    let measures: Vec<_> = (0..=externals).map(|channel| measure(channel, range)).collect();
    Some(Configured {
        measures: measures.clone(),
        claims: vec![place.claim()],
        open: Box::new(move |buses| {
            let device = buses.i2c(&place.bus, place.address, |world| Box::new(Model::new(world)))?;
            Ok(Box::new(Emc1413 { device, range, measures: measures.clone(), known: false }))
        }),
    })
}

struct Emc1413 {
    device: I2c,
    range: Range,
    measures: Vec<Measure>,
    /// Whether the chip's identity is known since the last fault.
    known: bool,
}

#[async_trait]
impl Driver for Emc1413 {
    async fn sample(&mut self) -> Result<Vec<Reading>, Fault> {
        if !std::mem::take(&mut self.known) {
            let (maker, product) = (self.byte(MAKER).await?, self.byte(PRODUCT).await?);
            check(maker, product, self.measures.len() - 1)?;
        }
        self.prepare().await?;
        let mut readings = Vec::with_capacity(self.measures.len());
        for (channel, (_, high, low)) in CHANNELS.into_iter().enumerate().take(self.measures.len()) {
            // Reading the high byte holds the low one that belongs to it.
            let word = [self.byte(high).await?, self.byte(low).await?];
            readings.push(self.measures[channel].is(decode(word, self.range)));
        }
        if self.measures.len() > 1 {
            connected(self.byte(DIODE_FAULTS).await?, self.measures.len() - 1)?;
        }
        self.known = true;
        Ok(readings)
    }
}

impl Emc1413 {
    /// What the bytes mean rests on the configuration, so it is looked at in each round: a chip that
    /// has lost its power for a moment has lost that too.
    async fn prepare(&mut self) -> Result<(), Fault> {
        let config = self.byte(CONFIG).await?;
        let range = if self.range == Range::Extended { EXTENDED } else { 0 };
        let wanted = config & !(STANDBY | EXTENDED) | range;
        if config == wanted {
            return Ok(());
        }
        self.device.write(&[CONFIG, wanted]).await?;
        self.device.write(&[RATE, FOUR]).await?;
        // Until then the registers hold what was measured before.
        sleep(TWO_ROUNDS).await;
        let got = self.byte(CONFIG).await?;
        if got != wanted {
            let why = format!("no EMC1413: wrote the configuration {wanted:#04x}, got {got:#04x}");
            return Err(Fault::WrongChip(why));
        }
        Ok(())
    }

    /// The chip reads and writes single bytes only.
    async fn byte(&mut self, register: u8) -> Result<u8, Fault> {
        let [byte] = self.device.write_read(&[register]).await?;
        Ok(byte)
    }
}

/// Whether these are the identity bytes of a chip with at least `externals` external diodes.
fn check(maker: u8, product: u8, externals: usize) -> Result<(), Fault> {
    let (name, has) = match (maker, product) {
        (0x5d, 0x20) => ("EMC1412", 1),
        (0x5d, 0x21) => ("EMC1413", 2),
        (0x5d, 0x25) => ("EMC1414", 3),
        _ => return Err(Fault::WrongChip(format!("no EMC1413: maker {maker:#04x}, product {product:#04x}"))),
    };
    if externals > has {
        let why = format!("an {name} answers, which has no external diode {externals}: set `externals = {has}`");
        return Err(Fault::WrongChip(why));
    }
    Ok(())
}

/// Bits 1 to 3 tell which diode is open or short-circuited.
fn connected(faults: u8, externals: usize) -> Result<(), Fault> {
    match (1..=externals).find(|diode| faults & 1 << diode != 0) {
        Some(diode) => Err(Fault::NotReady(format!("external diode {diode} is open or short-circuited"))),
        None => Ok(()),
    }
}

/// Whole degrees in the high byte, eighths in the upper three bits of the low one.
fn decode([high, low]: [u8; 2], range: Range) -> f64 {
    let offset = if range == Range::Extended { 64.0 } else { 0.0 };
    f64::from(high) + f64::from(low >> 5) * STEP - offset
}

/// The inverse of [`decode`]; what is beyond the range stays at its end.
fn simulate(celsius: f64, range: Range) -> [u8; 2] {
    let (offset, most) = if range == Range::Extended { (64.0, 2047.0) } else { (0.0, 1023.0) };
    let eighths = ((celsius + offset) / STEP).round().clamp(0.0, most) as u16;
    (eighths << 5).to_be_bytes()
}

/// An EMC1414, so that any number of external diodes can be tried.
struct Model {
    world: World,
    registers: ByteRegisters,
}

impl Model {
    fn new(world: World) -> Self {
        Self { world, registers: ByteRegisters::new(&[(RATE, FOUR), (MAKER, 0x5d), (PRODUCT, 0x25)]) }
    }
}

impl Chip for Model {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.registers.write(bytes, |register| matches!(register, CONFIG | RATE));
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        let extended = self.registers.get(CONFIG) & EXTENDED != 0;
        let range = if extended { Range::Extended } else { Range::Standard };
        for (name, high, low) in CHANNELS {
            let bounds = if name == "temperature" { (26.0, 31.0) } else { (38.0, 55.0) };
            let word = simulate(self.world.value(name, bounds.0, bounds.1), range);
            self.registers.set(high, word[0]);
            self.registers.set(low, word[1]);
        }
        buffer.fill(0xff);
        if let Some(first) = buffer.first_mut() {
            *first = self.registers.get(self.registers.pointer());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_of_the_data_sheet() {
        // °C, eighths in the standard range, eighths in the extended one.
        for (celsius, standard, extended) in [
            (-63.875, 0, 1),
            (-1.0, 0, 504),
            (0.0, 0, 512),
            (0.125, 1, 513),
            (1.0, 8, 520),
            (64.0, 512, 1024),
            (65.0, 520, 1032),
            (127.0, 1016, 1528),
            (127.875, 1023, 1535),
            (191.0, 1023, 2040),
            (191.875, 1023, 2047),
        ] {
            let words = [(Range::Standard, standard), (Range::Extended, extended)];
            for (range, word) in words.map(|(range, eighths): (_, u16)| (range, (eighths << 5).to_be_bytes())) {
                assert_eq!(simulate(celsius, range), word, "{celsius} {range:?}");
                if range == Range::Extended || (0.0..128.0).contains(&celsius) {
                    assert_eq!(decode(word, range), celsius, "{range:?}");
                }
            }
        }
        assert_eq!(decode([25, 0x3f], Range::Standard), 25.125, "the lower bits mean nothing");
    }

    #[test]
    fn a_broken_diode_is_a_fault_only_where_it_is_read() {
        assert_eq!(connected(0x00, 3), Ok(()));
        assert_eq!(connected(0x08, 2), Ok(()));
        let told = connected(0x0c, 3).unwrap_err();
        assert_eq!((told.word(), told.to_string().contains("diode 2")), ("not_ready", true));
    }

    #[test]
    fn other_chips_and_missing_diodes_are_named() {
        for (product, externals) in [(0x20, 1), (0x21, 2), (0x25, 3), (0x25, 0)] {
            assert_eq!(check(0x5d, product, externals), Ok(()));
        }
        assert!(check(0x5d, 0x21, 3).unwrap_err().to_string().contains("`externals = 2`"));
        assert_eq!(check(0x5d, 0x22, 1).unwrap_err().word(), "wrong_chip");
        assert_eq!(check(0x55, 0x21, 1).unwrap_err().word(), "wrong_chip");
    }

    #[test]
    fn the_lowest_code_is_outside_the_promise() {
        let promised = |range, code| {
            let measure = measure(0, range);
            (measure.min..=measure.max).contains(&decode(code, range))
        };
        for range in [Range::Standard, Range::Extended] {
            assert!(!promised(range, [0, 0]));
        }
        assert!(promised(Range::Standard, [0, 0x20]) && promised(Range::Extended, [1, 0]));
    }
}
