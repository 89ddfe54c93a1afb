//! TI TMP421, TMP422 and TMP423: the chip's own temperature and that of one, two or three remote diodes.
//! Tables are those of TI's data sheet SBOS398 (revision C).

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;

use super::options::{I2cPlace, choice, number};
use super::{Capture, Configured, Driver, Kind, Question, Questions, Recognise, Simulate, Spec, Verdict};
use crate::bus::I2c;
use crate::bus::simulated::{ByteRegisters, Chip, Exchange, World};
use crate::config::Fields;
use crate::model::{Fault, Measure, Reading};

/// The chip itself and its remote diodes, in the order of their registers.
const NAMES: [&str; 4] = ["temperature", "remote_1", "remote_2", "remote_3"];

/// By part and address pins.
const ADDRESSES: [u8; 9] = [0x4c, 0x4d, 0x4e, 0x4f, 0x1c, 0x1d, 0x1e, 0x1f, 0x2a];

/// The driver.
pub(super) static SPEC: Spec = Spec {
    name: "tmp421",
    summary: "TI TMP421, TMP422, TMP423 with remote diodes",
    measures: &[measure(0, Range::Standard), measure(1, Range::Standard)],
    kind: Kind::Polled,
    options: &[
        ("bus", "", "I2C bus, for example \"i2c-1\""),
        ("address", "0x4c", "0x4c to 0x4f, 0x1c to 0x1f or 0x2a, by part and address pins"),
        ("remotes", "1", "remote diodes to read: 0, 1, 2 (not TMP421) or 3 (TMP423)"),
        ("range", "\"standard\"", "\"standard\" (-40 to 127 °C) or \"extended\" (-55 to 150 °C)"),
    ],
    example: "bus = \"i2c-1\"",
    configure,
    simulate: Simulate::I2c { chip: |world| Box::new(Model::new(world)), steps: &[STEP, STEP] },
    recognise: Recognise::I2c(Questions {
        addresses: &ADDRESSES,
        ask: &[Question::register(&[MAKER], 1), Question::register(&[DEVICE], 1)],
        judge: |answers| match answers.concat()[..] {
            [maker, device] if check(maker, device, 0).is_ok() => Verdict::Certain,
            _ => Verdict::No,
        },
    }),
    captures: &[Capture {
        source: "SBOS398, table 3: identity and state after power-up; tables 1 and 2: 75 °C is 4Bh, -25 °C is E7h, 1/16 °C is 10h",
        exchanges: &[
            Exchange { wrote: &[MAKER], read: &[0x55] },
            Exchange { wrote: &[DEVICE], read: &[0x21] },
            Exchange { wrote: &[CONFIG_1], read: &[0x00] },
            Exchange { wrote: &[CONFIG_2], read: &[0x1c] },
            Exchange { wrote: &[0x00], read: &[0x4b, 0x00] },
            Exchange { wrote: &[0x01], read: &[0xe7, 0x10] },
        ],
        readings: &[("temperature", 75.0), ("remote_1", -24.9375)],
    }],
};

/// Pointer values (table 3). The temperatures begin at 0; a two-byte read from there gives the low byte too.
const CONFIG_1: u8 = 0x09;
const CONFIG_2: u8 = 0x0a;
const RATE: u8 = 0x0b;
const MAKER: u8 = 0xfe;
const DEVICE: u8 = 0xff;

/// Configuration 1: shut down, and the extended range.
const SHUTDOWN: u8 = 0x40;
const EXTENDED: u8 = 0x04;
/// Configuration 2: the chip's own channel is measured; the bits of the remote ones follow.
const LOCAL_ON: u8 = 0x08;
/// Low byte: a remote diode is not connected; the supply voltage is too low.
const OPEN: u8 = 0x01;
const INVALID: u8 = 0x02;
/// Eight rounds a second, or as fast as it can.
const FASTEST: u8 = 0x07;
/// Four channels at 137 ms each, which is the longest.
const WHOLE_ROUND: Duration = Duration::from_millis(560);
/// 1/16 °C.
const STEP: f64 = 0.0625;

/// What a temperature's high byte means (table 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    /// Two's complement.
    Standard,
    /// 64 °C more than is meant.
    Extended,
}

const fn measure(channel: usize, range: Range) -> Measure {
    let (min, max) = match range {
        Range::Standard => (-40.0, 127.0),
        Range::Extended => (-55.0, 150.0),
    };
    Measure::fixed(NAMES[channel], "°C", min, max, 4)
}

fn configure(fields: &mut Fields<'_, '_>) -> Option<Configured> {
    let place = I2cPlace::read(fields, &ADDRESSES);
    let remotes = number(fields, "remotes", &[1, 0, 2, 3]) as usize;
    let range = choice(fields, "range", &[("standard", Range::Standard), ("extended", Range::Extended)]);
    let place = place?;
    let measures: Vec<_> = (0..=remotes).map(|channel| measure(channel, range)).collect();
    Some(Configured {
        measures: measures.clone(),
        claims: vec![place.claim()],
        open: Box::new(move |buses| {
            let device = buses.i2c(&place.bus, place.address, |world| Box::new(Model::new(world)))?;
            Ok(Box::new(Tmp421 { device, range, measures: measures.clone(), known: false }))
        }),
    })
}

struct Tmp421 {
    device: I2c,
    range: Range,
    measures: Vec<Measure>,
    /// Whether the chip's identity is known since the last fault.
    known: bool,
}

#[async_trait]
impl Driver for Tmp421 {
    async fn sample(&mut self) -> Result<Vec<Reading>, Fault> {
        if !std::mem::take(&mut self.known) {
            self.identify().await?;
        }
        self.prepare().await?;
        let mut readings = Vec::with_capacity(self.measures.len());
        for (channel, measure) in self.measures.iter().enumerate() {
            let word = self.device.write_read(&[channel as u8]).await?;
            readings.push(measure.is(decode(word, self.range, channel)?));
        }
        self.known = true;
        Ok(readings)
    }
}

impl Tmp421 {
    async fn identify(&mut self) -> Result<(), Fault> {
        let (maker, device) = (self.byte(MAKER).await?, self.byte(DEVICE).await?);
        check(maker, device, self.measures.len() - 1)
    }

    /// What the bytes mean rests on the configuration, so it is looked at in each round: a chip that
    /// has lost its power for a moment has lost that too.
    async fn prepare(&mut self) -> Result<(), Fault> {
        let one = self.byte(CONFIG_1).await?;
        let two = self.byte(CONFIG_2).await?;
        let (wanted_one, wanted_two) = (self.wanted(one), two | self.channels());
        if (one, two) == (wanted_one, wanted_two) {
            return Ok(());
        }
        for bytes in [[CONFIG_1, wanted_one], [CONFIG_2, wanted_two], [RATE, FASTEST]] {
            self.device.write(&bytes).await?;
        }
        // Until then the registers hold what was measured before.
        sleep(WHOLE_ROUND).await;
        let got = (self.byte(CONFIG_1).await?, self.byte(CONFIG_2).await?);
        if got != (wanted_one, wanted_two) {
            let why = format!("no TMP421: wrote {wanted_one:#04x} and {wanted_two:#04x}, got {got:#04x?}");
            return Err(Fault::WrongChip(why));
        }
        Ok(())
    }

    /// Configuration 1 as it must be: measuring, in the right range.
    fn wanted(&self, one: u8) -> u8 {
        let range = if self.range == Range::Extended { EXTENDED } else { 0 };
        one & !(SHUTDOWN | EXTENDED) | range
    }

    /// The bits of configuration 2 for the channels that are read.
    fn channels(&self) -> u8 {
        (0..self.measures.len()).fold(0, |bits, channel| bits | LOCAL_ON << channel)
    }

    async fn byte(&mut self, register: u8) -> Result<u8, Fault> {
        let [byte] = self.device.write_read(&[register]).await?;
        Ok(byte)
    }
}

/// Whether these are the identity bytes of a chip with at least `remotes` remote channels.
fn check(maker: u8, device: u8, remotes: usize) -> Result<(), Fault> {
    let has = match (maker, device) {
        (0x55, 0x21..=0x23) => usize::from(device - 0x20),
        _ => return Err(Fault::WrongChip(format!("no TMP421: maker {maker:#04x}, device {device:#04x}"))),
    };
    if remotes > has {
        let why = format!("a TMP42{has} answers, which has no remote diode {remotes}: set `remotes = {has}`");
        return Err(Fault::WrongChip(why));
    }
    Ok(())
}

/// Tables 1 and 2: whole degrees in the high byte, sixteenths and two flags in the low one.
fn decode([high, low]: [u8; 2], range: Range, channel: usize) -> Result<f64, Fault> {
    if low & INVALID != 0 {
        return Err(Fault::NotReady("the supply voltage is too low to measure".into()));
    }
    if channel > 0 && low & OPEN != 0 {
        return Err(Fault::NotReady(format!("remote diode {channel} is not connected")));
    }
    let whole = match range {
        Range::Standard => f64::from(high as i8),
        Range::Extended => f64::from(high) - 64.0,
    };
    Ok(whole + f64::from(low >> 4) * STEP)
}

/// The inverse of [`decode`]; what is beyond the range stays at its end.
fn simulate(celsius: f64, range: Range) -> [u8; 2] {
    let (offset, least, most) = match range {
        Range::Standard => (0.0, -64.0, 127.9375),
        Range::Extended => (64.0, -64.0, 191.9375),
    };
    let sixteenths = ((celsius.clamp(least, most) + offset) / STEP).round() as i16;
    // The highest bit falls off a negative number, and is part of a number above 127 in the extended range.
    ((sixteenths as u16) << 4).to_be_bytes()
}

/// A TMP423, so that any number of remote diodes can be tried.
struct Model {
    world: World,
    registers: ByteRegisters,
}

impl Model {
    fn new(world: World) -> Self {
        let after_power_up = [(CONFIG_2, 0x7c), (RATE, 0x07), (MAKER, 0x55), (DEVICE, 0x23)];
        Self { world, registers: ByteRegisters::new(&after_power_up) }
    }

    fn measure(&mut self) {
        let extended = self.registers.get(CONFIG_1) & EXTENDED != 0;
        let range = if extended { Range::Extended } else { Range::Standard };
        for (channel, name) in NAMES.iter().enumerate() {
            let (low, high) = if channel == 0 { (28.0, 34.0) } else { (35.0, 60.0) };
            let [high, low] = simulate(self.world.value(name, low, high), range);
            self.registers.set(channel as u8, high);
            self.registers.set(0x10 + channel as u8, low);
        }
    }
}

impl Chip for Model {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.registers.write(bytes, |register| matches!(register, CONFIG_1 | CONFIG_2 | RATE));
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        self.measure();
        let pointer = self.registers.pointer();
        // A two-byte read of a temperature goes from the high to the low byte, any other stays.
        let second = if pointer < 4 { pointer + 0x10 } else { pointer };
        for (byte, register) in buffer.iter_mut().zip([pointer, second]) {
            *byte = self.registers.get(register);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_the_data_sheet() {
        // Table 1: °C, standard, extended.
        for (celsius, standard, extended) in [
            (-64.0, 0xc0, 0x00),
            (-50.0, 0xce, 0x0e),
            (-25.0, 0xe7, 0x27),
            (0.0, 0x00, 0x40),
            (1.0, 0x01, 0x41),
            (25.0, 0x19, 0x59),
            (75.0, 0x4b, 0x8b),
            (127.0, 0x7f, 0xbf),
        ] {
            for (range, high) in [(Range::Standard, standard), (Range::Extended, extended)] {
                assert_eq!(decode([high, 0], range, 0), Ok(celsius));
                assert_eq!(simulate(celsius, range), [high, 0]);
            }
        }
        assert_eq!(decode([0xd6, 0], Range::Extended, 1), Ok(150.0));
        assert_eq!(simulate(191.0, Range::Extended), [0xff, 0]);
        // Table 2: sixteenths of a degree count up from the whole one, below zero too.
        for (low, sixteenths) in [(0x10, 1.0), (0x80, 8.0), (0xf0, 15.0)] {
            assert_eq!(decode([0x19, low], Range::Standard, 0), Ok(25.0 + sixteenths / 16.0));
            assert_eq!(decode([0xe7, low], Range::Standard, 0), Ok(-25.0 + sixteenths / 16.0));
            assert_eq!(simulate(-25.0 + sixteenths / 16.0, Range::Standard), [0xe7, low]);
        }
    }

    #[test]
    fn flags_are_faults() {
        assert_eq!(decode([0x19, OPEN], Range::Standard, 0), Ok(25.0), "the chip itself has no such flag");
        let told = decode([0x19, OPEN], Range::Standard, 2).unwrap_err();
        assert_eq!((told.word(), told.to_string().contains("diode 2")), ("not_ready", true));
        assert_eq!(decode([0x19, INVALID], Range::Standard, 0).unwrap_err().word(), "not_ready");
    }

    #[test]
    fn other_chips_and_missing_channels_are_named() {
        for (device, remotes) in [(0x21, 1), (0x22, 2), (0x23, 3), (0x23, 0)] {
            assert_eq!(check(0x55, device, remotes), Ok(()));
        }
        assert!(check(0x55, 0x21, 3).unwrap_err().to_string().contains("`remotes = 1`"));
        assert_eq!(check(0x55, 0x20, 1).unwrap_err().word(), "wrong_chip");
        assert_eq!(check(0x5d, 0x21, 1).unwrap_err().word(), "wrong_chip");
    }
}
