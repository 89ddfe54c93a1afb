//! TI ADS1115: four voltages, or differences of them, one after the other in single-shot mode.
//! Tables and sections are those of TI's data sheet SBAS444.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use super::options::{I2cPlace, number};
use super::recognise::word;
use super::{Capture, Configured, Driver, Kind, Question, Questions, Recognise, Simulate, Spec, Verdict};
use crate::bus::I2c;
use crate::bus::simulated::{Chip, Exchange, WordRegisters, World};
use crate::config::{Fields, Table, Value};
use crate::model::{Fault, Measure, Name, Reading};

/// The driver.
pub(super) static SPEC: Spec = Spec {
    name: "ads1115",
    summary: "TI ADS1115, 4 voltages with 16 bits",
    measures: &[],
    kind: Kind::Polled,
    options: &[
        ("bus", "", "I2C bus, for example \"i2c-1\""),
        ("address", "0x48", "0x48 to 0x4b, by what ADDR is tied to"),
        ("range", "4.096", "full scale in V, both signs: 6.144, 4.096, 2.048, 1.024, 0.512 or 0.256"),
        ("rate", "128", "measurements per second: 128, 8, 16, 32, 64, 250, 475 or 860; slower is quieter"),
        (
            "channels",
            "{ ain0 = \"ain0\", ain1 = \"ain1\", ain2 = \"ain2\", ain3 = \"ain3\" }",
            "name = input, or name = { input = ..., range = ... }; inputs: ain0 to ain3, ain0-ain1, ain0-ain3, ain1-ain3, ain2-ain3",
        ),
    ],
    example: "bus = \"i2c-1\"\nchannels = { ain0 = \"ain0\", ain3 = { input = \"ain3\", range = 2.048 } }",
    configure,
    simulate: Simulate::I2c { chip: |world| Box::new(Model::new(world)), steps: &[0.000_125, 0.000_062_5] },
    recognise: Recognise::I2c(Questions {
        addresses: &ADDRESSES,
        ask: &[Question::register(&[LOW_THRESHOLD], 2), Question::register(&[HIGH_THRESHOLD], 2)],
        judge: recognise,
    }),
    captures: &[Capture {
        source: "SBAS444, section 9.6.3 and table 3: half of full scale is 4000h, minus one step is FFFFh",
        exchanges: &[
            Exchange { wrote: &[CONFIG, 0xc3, 0x83], read: &[] },
            Exchange { wrote: &[CONFIG], read: &[0xc3, 0x83] },
            Exchange { wrote: &[CONVERSION], read: &[0x40, 0x00] },
            Exchange { wrote: &[CONFIG, 0xf5, 0x83], read: &[] },
            Exchange { wrote: &[CONFIG], read: &[0xf5, 0x83] },
            Exchange { wrote: &[CONVERSION], read: &[0xff, 0xff] },
        ],
        readings: &[("ain0", 2.048), ("ain3", -0.000_06)],
    }],
};

/// The pointer's values (table 4).
const CONVERSION: u8 = 0;
const CONFIG: u8 = 1;
const LOW_THRESHOLD: u8 = 2;
const HIGH_THRESHOLD: u8 = 3;
/// By what ADDR is tied to.
const ADDRESSES: [u8; 4] = [0x48, 0x49, 0x4a, 0x4b];
/// Written: start one measurement. Read: none is under way.
const START: u16 = 0x8000;
/// Single-shot mode, comparator off.
const FIXED: u16 = 0x0103;
/// How often a busy chip is asked again.
const PATIENCE: u32 = 5;

/// What can be connected to the converter: name, positive and negative pin, MUX code (table 8).
const INPUTS: [(&str, Input); 8] = [
    ("ain0", Input { mux: 4, plus: "ain0", minus: None }),
    ("ain1", Input { mux: 5, plus: "ain1", minus: None }),
    ("ain2", Input { mux: 6, plus: "ain2", minus: None }),
    ("ain3", Input { mux: 7, plus: "ain3", minus: None }),
    ("ain0-ain1", Input { mux: 0, plus: "ain0", minus: Some("ain1") }),
    ("ain0-ain3", Input { mux: 1, plus: "ain0", minus: Some("ain3") }),
    ("ain1-ain3", Input { mux: 2, plus: "ain1", minus: Some("ain3") }),
    ("ain2-ain3", Input { mux: 3, plus: "ain2", minus: Some("ain3") }),
];

/// Full scales in V, by PGA code (table 8).
const RANGES: [f64; 6] = [6.144, 4.096, 2.048, 1.024, 0.512, 0.256];
/// Rates in measurements per second, by DR code (table 8).
const RATES: [u32; 8] = [8, 16, 32, 64, 128, 250, 475, 860];

#[derive(Debug, Clone, Copy, PartialEq)]
struct Input {
    mux: u16,
    plus: &'static str,
    minus: Option<&'static str>,
}

/// One channel as configured.
#[derive(Debug, Clone)]
struct Channel {
    measure: Measure,
    /// The whole configuration word.
    config: u16,
    /// Full scale in V.
    range: f64,
}

impl Channel {
    fn new(name: &str, input: Input, pga: usize, rate: u32) -> Self {
        let range = RANGES[pga];
        let step = range / 32_768.0;
        // The codes at both ends may mean anything beyond: a reading there is outside of what is promised.
        let (min, max) = (-range + step, range - 2.0 * step);
        let decimals = (-libm::log10(step)).ceil() as u8;
        let dr = RATES.iter().position(|&known| known == rate).expect("only known rates are accepted");
        let config = START | FIXED | input.mux << 12 | (pga as u16) << 9 | (dr as u16) << 5;
        Self { measure: Measure { min, max, ..Measure::named(name, "V", decimals) }, config, range }
    }
}

fn configure(fields: &mut Fields<'_, '_>) -> Option<Configured> {
    let place = I2cPlace::read(fields, &ADDRESSES);
    let rate = number(fields, "rate", &[128, 8, 16, 32, 64, 250, 475, 860]);
    let pga = read_range(fields);
    let channels: Vec<_> = match fields.table("channels") {
        Some(table) => table
            .entries()
            .into_iter()
            .filter_map(|(name, place, value)| {
                if let Err(why) = Name::new(name) {
                    fields.problems.error(place, format!("{name:?} cannot name a channel: {why}"), None);
                }
                let (input, pga) = read_channel(fields, value, pga)?;
                Some(Channel::new(name, input, pga, rate))
            })
            .collect(),
        None => INPUTS[..4].iter().map(|(name, input)| Channel::new(name, *input, pga, rate)).collect(),
    };
    if channels.is_empty() {
        fields.wrong("channels", "there is no channel to read", None);
    }
    let place = place?;
    // The converter's own clock may be 10 % slow (section 7.5); waking up takes 25 us.
    let longest = Duration::from_secs_f64(1.1 / f64::from(rate)) + Duration::from_millis(1);
    Some(Configured {
        measures: channels.iter().map(|channel| channel.measure.clone()).collect(),
        claims: vec![place.claim()],
        open: Box::new(move |buses| {
            let device = buses.i2c(&place.bus, place.address, |world| Box::new(Model::new(world)))?;
            Ok(Box::new(Ads1115 { device, channels: channels.clone(), longest }))
        }),
    })
}

/// The PGA code of `range`.
fn read_range(fields: &mut Fields<'_, '_>) -> usize {
    let Some(volts) = fields.maybe::<f64>("range") else { return 1 };
    RANGES.iter().position(|&range| range == volts).unwrap_or_else(|| {
        let help = "write one of 6.144, 4.096, 2.048, 1.024, 0.512, 0.256";
        fields.wrong("range", format!("`range` cannot be {volts}"), Some(help.into()));
        1
    })
}

/// One entry of `channels`: its input and PGA code.
fn read_channel(fields: &mut Fields<'_, '_>, value: Value<'_>, pga: usize) -> Option<(Input, usize)> {
    let Some(table) = value.table() else {
        return value.word("channels", &INPUTS, fields.problems).map(|input| (input, pga));
    };
    let mut inner = Table::fields(&table, fields.problems);
    let pga = if inner.has("range") { read_range(&mut inner) } else { pga };
    if !inner.has("input") {
        inner.wrong("input", "`input` is missing here", None);
    }
    let input = inner.word("input", &INPUTS);
    inner.finish();
    input.map(|input| (input, pga))
}

/// There is no chip id. The thresholds after power-up (table 8), which nobody has a reason to change, come closest;
/// the ADS1015 leaves the lowest four bits out.
fn recognise(answers: &[Vec<u8>]) -> Verdict {
    match answers.iter().map(|answer| word(answer)).collect::<Vec<_>>()[..] {
        [Some(0x8000), Some(0x7fff)] => Verdict::Likely,
        [Some(0x8000), Some(0x7ff0)] => Verdict::Other("ADS1015"),
        _ => Verdict::No,
    }
}

struct Ads1115 {
    device: I2c,
    channels: Vec<Channel>,
    longest: Duration,
}

#[async_trait]
impl Driver for Ads1115 {
    async fn sample(&mut self) -> Result<Vec<Reading>, Fault> {
        let mut readings = Vec::with_capacity(self.channels.len());
        for channel in &self.channels {
            let [high, low] = channel.config.to_be_bytes();
            self.device.write(&[CONFIG, high, low]).await?;
            sleep(self.longest).await;
            converted(&mut self.device, channel.config).await?;
            let volts = decode(self.device.write_read(&[CONVERSION]).await?, channel.range);
            readings.push(channel.measure.is(volts));
        }
        Ok(readings)
    }
}

/// Waits for the end of the measurement. There is no chip id; that the chip still has the
/// configuration comes closest, and tells of a power cut too.
async fn converted(device: &mut I2c, config: u16) -> Result<(), Fault> {
    for _ in 0..PATIENCE {
        let got = u16::from_be_bytes(device.write_read(&[CONFIG]).await?);
        if (got ^ config) & !START != 0 {
            return Err(Fault::WrongChip(format!("no ADS1115: wrote the configuration {config:04x}, got {got:04x}")));
        }
        if got & START != 0 {
            return Ok(());
        }
        sleep(Duration::from_millis(1)).await;
    }
    Err(Fault::NotReady("the ADS1115 does not finish a measurement".into()))
}

/// Section 9.5.4: two's complement in steps of full scale / 32768.
fn decode(word: [u8; 2], range: f64) -> f64 {
    f64::from(i16::from_be_bytes(word)) * range / 32_768.0
}

/// The inverse of [`decode`]; what is beyond full scale stays at its end.
fn simulate(volts: f64, range: f64) -> [u8; 2] {
    // A cast from float to integer saturates.
    ((volts / range * 32_768.0).round() as i16).to_be_bytes()
}

/// The chip: conversion, configuration and two threshold registers (table 4).
struct Model {
    world: World,
    registers: WordRegisters<4>,
    ready_at: Option<Instant>,
}

impl Model {
    fn new(world: World) -> Self {
        Self { world, registers: WordRegisters::new([0, 0x8583, 0x8000, 0x7fff]), ready_at: None }
    }

    fn pin(&self, pin: &str) -> f64 {
        let (low, high) = match pin {
            "ain0" => (1.6, 2.0),
            "ain1" => (0.4, 1.4),
            "ain2" => (0.9, 1.1),
            _ => (0.1, 0.3),
        };
        self.world.value(pin, low, high)
    }

    fn convert(&self) -> u16 {
        let config = self.registers.words[usize::from(CONFIG)];
        let input = INPUTS.iter().find(|(_, input)| input.mux == config >> 12 & 7).map(|(_, input)| *input);
        let input = input.expect("the eight inputs have the eight codes");
        let volts = self.pin(input.plus) - input.minus.map_or(0.0, |minus| self.pin(minus));
        // Codes 6 and 7 are the smallest range again (table 8).
        u16::from_be_bytes(simulate(volts, RANGES[usize::from(config >> 9 & 7).min(5)]))
    }
}

impl Chip for Model {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let written = self.registers.write(bytes)?;
        let config = self.registers.words[usize::from(CONFIG)];
        if written == Some(usize::from(CONFIG)) && config & START != 0 {
            let rate = RATES[usize::from(config >> 5 & 7)];
            self.ready_at = Some(Instant::now() + Duration::from_secs_f64(1.0 / f64::from(rate)));
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        let busy = self.ready_at.is_some_and(|at| at > Instant::now());
        if !busy && self.ready_at.take().is_some() {
            self.registers.words[usize::from(CONVERSION)] = self.convert();
        }
        let config = &mut self.registers.words[usize::from(CONFIG)];
        *config = if busy { *config & !START } else { *config | START };
        self.registers.read(buffer);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_scale_codes_of_the_data_sheet() {
        // Table 3, for each range of table 8.
        for range in RANGES {
            let step = range / 32_768.0;
            for (code, volts) in
                [(0x7fff_u16, range - step), (0x0001, step), (0x0000, 0.0), (0xffff, -step), (0x8000, -range)]
            {
                assert_eq!(decode(code.to_be_bytes(), range), volts);
                assert_eq!(simulate(volts, range), code.to_be_bytes());
            }
            assert_eq!(simulate(2.0 * range, range), [0x7f, 0xff]);
            assert_eq!(simulate(-2.0 * range, range), [0x80, 0x00]);
        }
    }

    #[test]
    fn configuration_words() {
        // Table 8's reset value 8583h is AIN0 - AIN1, 2.048 V, 128 per second.
        let config = |input: usize, pga, rate| Channel::new("x", INPUTS[input].1, pga, rate).config;
        assert_eq!(config(4, 2, 128), 0x8583);
        assert_eq!(config(0, 0, 8), 0xc103);
        assert_eq!(config(3, 5, 860), 0xfbe3);
    }

    #[test]
    fn a_reading_at_the_end_of_the_scale_is_outside_the_promise() {
        let Channel { measure, range, .. } = Channel::new("x", INPUTS[0].1, 1, 128);
        let promised = |code: u16| (measure.min..=measure.max).contains(&decode(code.to_be_bytes(), range));
        assert!(!promised(0x7fff) && !promised(0x8000));
        assert!(promised(0x7ffe) && promised(0x8001));
        assert_eq!(measure.decimals, 4);
    }
}
