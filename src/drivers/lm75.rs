//! Thermometers with the LM75's registers: LM75, LM75A, LM75B, TMP105, TMP102.
//! Data sheets: National LM75 (DS012658), NXP LM75B (rev. 6.1), TI TMP105 (SBOS272), TI TMP102 (SBOS397).

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;

use super::options::{I2cPlace, number};
use super::recognise::word;
use super::{Capture, Configured, Driver, Kind, Question, Questions, Recognise, Simulate, Spec, Verdict};
use crate::bus::I2c;
use crate::bus::simulated::{Chip, Exchange, MakeChip, WordRegisters, World};
use crate::config::Fields;
use crate::model::{Fault, Measure, Reading};

const COARSE: Measure = Measure::fixed("temperature", "°C", -55.0, 125.0, 1);
const FINE: Measure = Measure::fixed("temperature", "°C", -55.0, 125.0, 2);

/// The driver for the LM75 and its successors of other makers.
pub(super) static LM75: Spec = Spec {
    name: "lm75",
    summary: "National, TI, NXP LM75, LM75A, LM75B",
    measures: &[COARSE],
    kind: Kind::Polled,
    options: &[
        ("bus", "", "I2C bus, for example \"i2c-1\""),
        ("address", "0x48", "0x48 to 0x4f, by the pins A0 to A2"),
        ("bits", "9", "9 (LM75, LM75C) or 11 (LM75A, LM75B)"),
    ],
    example: "bus = \"i2c-1\"",
    configure: |fields| configure(fields, &Part::LM75),
    simulate: Simulate::I2c { chip: Part::LM75.chip, steps: &[0.5] },
    recognise: recognise(&Part::LM75, |answers| Part::LM75.recognise(answers)),
    captures: &[Capture {
        source: "National LM75 data sheet, temperature register: -25 °C is 1CEh",
        exchanges: &[
            Exchange { wrote: &[CONFIG], read: &[0x00] },
            Exchange { wrote: &[TEMPERATURE], read: &[0xe7, 0x00] },
        ],
        readings: &[("temperature", -25.0)],
    }],
};

/// The driver for the TMP105.
pub(super) static TMP105: Spec = Spec {
    name: "tmp105",
    summary: "TI TMP105, TMP75, TMP175",
    measures: &[FINE],
    kind: Kind::Polled,
    options: &[
        ("bus", "", "I2C bus, for example \"i2c-1\""),
        ("address", "0x48", "0x48 to 0x4f, by the address pins (TMP105: 0x48 or 0x49)"),
        ("bits", "12", "12, 11, 10 or 9; a bit less halves the time of a measurement"),
    ],
    example: "bus = \"i2c-1\"",
    configure: |fields| configure(fields, &Part::TMP105),
    simulate: Simulate::I2c { chip: Part::TMP105.chip, steps: &[0.0625] },
    recognise: recognise(&Part::TMP105, |answers| Part::TMP105.recognise(answers)),
    captures: &[Capture {
        source: "TI SBOS272, tables 2 and 6: powers up with 9 bits; 0.25 °C is 004h of 12 bits",
        exchanges: &[
            Exchange { wrote: &[CONFIG], read: &[0x00] },
            Exchange { wrote: &[CONFIG, 0x60], read: &[] },
            Exchange { wrote: &[CONFIG], read: &[0x60] },
            Exchange { wrote: &[TEMPERATURE], read: &[0x00, 0x40] },
        ],
        readings: &[("temperature", 0.25)],
    }],
};

/// The driver for the TMP102.
pub(super) static TMP102: Spec = Spec {
    name: "tmp102",
    summary: "TI TMP102",
    measures: &[FINE],
    kind: Kind::Polled,
    options: &[
        ("bus", "", "I2C bus, for example \"i2c-1\""),
        ("address", "0x48", "0x48 to 0x4b, by what ADD0 is tied to"),
    ],
    example: "bus = \"i2c-1\"",
    configure: |fields| configure(fields, &Part::TMP102),
    simulate: Simulate::I2c { chip: Part::TMP102.chip, steps: &[0.0625] },
    recognise: recognise(&Part::TMP102, |answers| Part::TMP102.recognise(answers)),
    captures: &[Capture {
        source: "TI SBOS397, tables 3 and 8: powers up with 60A0h; -25 °C is E70h",
        exchanges: &[
            Exchange { wrote: &[CONFIG], read: &[0x60, 0xa0] },
            Exchange { wrote: &[TEMPERATURE], read: &[0xe7, 0x00] },
        ],
        readings: &[("temperature", -25.0)],
    }],
};

/// The pointer's values.
const TEMPERATURE: u8 = 0;
const CONFIG: u8 = 1;
const LOW_LIMIT: u8 = 2;
const HIGH_LIMIT: u8 = 3;

/// Only the power-up values of the limits are told apart from other chips at these addresses.
const fn recognise(part: &'static Part, judge: fn(&[Vec<u8>]) -> Verdict) -> Recognise {
    Recognise::I2c(Questions { addresses: part.addresses, ask: &ASK, judge })
}

const ASK: [Question; 4] = [
    Question::register(&[TEMPERATURE], 2),
    Question::register(&[CONFIG], 2),
    Question::register(&[LOW_LIMIT], 2),
    Question::register(&[HIGH_LIMIT], 2),
];

/// What differs between the chips. A configuration of 8 bits stands in the high byte.
#[derive(Debug)]
struct Part {
    name: &'static str,
    addresses: &'static [u8],
    /// Possible resolutions; the default first.
    bits: &'static [u32],
    /// The configuration for a resolution: measuring all the time, alarms left alone.
    config: fn(u32) -> u16,
    /// The bits of the configuration that must read back as written.
    fixed: u16,
    /// Bits of the configuration that are the same whatever was written, and how they read.
    always: (u16, u16),
    /// The configuration after power-up.
    power_up: u16,
    /// How many bytes the configuration has.
    config_length: usize,
    /// The longest measurement.
    longest: Duration,
    /// The simulated chip.
    chip: MakeChip,
}

const EIGHT: [u8; 8] = [0x48, 0x49, 0x4a, 0x4b, 0x4c, 0x4d, 0x4e, 0x4f];

impl Part {
    const LM75: Part = Part {
        name: "LM75",
        addresses: &EIGHT,
        bits: &[9, 11],
        config: |_| 0,
        // Shutdown off, and the three highest bits always 0.
        fixed: 0xe100,
        always: (0xe000, 0),
        power_up: 0,
        config_length: 1,
        longest: Duration::from_millis(300),
        chip: |world| Box::new(Model::new(world, &Part::LM75)),
    };
    const TMP105: Part = Part {
        name: "TMP105",
        addresses: &EIGHT,
        bits: &[12, 11, 10, 9],
        config: |bits| (bits as u16 - 9) << 13,
        fixed: 0x6100,
        always: (0, 0),
        power_up: 0,
        config_length: 1,
        longest: Duration::from_millis(320),
        chip: |world| Box::new(Model::new(world, &Part::TMP105)),
    };
    const TMP102: Part = Part {
        name: "TMP102",
        addresses: &[0x48, 0x49, 0x4a, 0x4b],
        bits: &[12],
        config: |_| 0x60a0,
        // Resolution bits, shutdown, extended mode, and the four lowest bits always 0.
        fixed: 0x611f,
        always: (0x600f, 0x6000),
        power_up: 0x60a0,
        config_length: 2,
        longest: Duration::from_millis(35),
        chip: |world| Box::new(Model::new(world, &Part::TMP102)),
    };
}

impl Part {
    /// There is no chip id: limits in order, whose undefined bits are zero, and the bits of the configuration that
    /// never change come closest. A chip that answers everything with the same has no limits in order.
    fn recognise(&self, answers: &[Vec<u8>]) -> Verdict {
        let words: Vec<_> = answers.iter().filter_map(|answer| word(answer)).collect();
        let [_, config, low, high] = words[..] else { return Verdict::No };
        let (mask, value) = self.always;
        // The limits of the LM75 have 9 bits, those of the others 12.
        let undefined = if self.bits[0] == 9 { 0x7f } else { 0x0f };
        let limits = (low | high) & undefined == 0 && (low as i16) < high as i16;
        if limits && config & mask == value { Verdict::Likely } else { Verdict::No }
    }
}

fn configure(fields: &mut Fields<'_, '_>, part: &'static Part) -> Option<Configured> {
    let place = I2cPlace::read(fields, part.addresses);
    let bits = if part.bits.len() > 1 { number(fields, "bits", part.bits) } else { part.bits[0] };
    let place = place?;
    let measure = if bits == 9 { COARSE } else { FINE };
    Some(Configured {
        measures: vec![measure.clone()],
        claims: vec![place.claim()],
        open: Box::new(move |buses| {
            let device = buses.i2c(&place.bus, place.address, part.chip)?;
            Ok(Box::new(Lm75 { device, part, bits, measure: measure.clone(), ready: false }))
        }),
    })
}

struct Lm75 {
    device: I2c,
    part: &'static Part,
    bits: u32,
    measure: Measure,
    /// Whether the chip is known to measure with the right resolution.
    ready: bool,
}

#[async_trait]
impl Driver for Lm75 {
    async fn sample(&mut self) -> Result<Vec<Reading>, Fault> {
        if !std::mem::take(&mut self.ready) {
            self.start().await?;
        }
        let word = self.device.write_read(&[TEMPERATURE]).await?;
        self.ready = true;
        Ok(vec![self.measure.is(decode(word, self.bits))])
    }
}

impl Lm75 {
    /// There is no chip id; a configuration that keeps what was written comes closest.
    async fn start(&mut self) -> Result<(), Fault> {
        let wanted = (self.part.config)(self.bits);
        if (self.config().await? ^ wanted) & self.part.fixed == 0 {
            return Ok(());
        }
        let [high, low] = wanted.to_be_bytes();
        let bytes = [CONFIG, high, low];
        self.device.write(&bytes[..=self.part.config_length]).await?;
        // The temperature register holds the old value until one measurement is over.
        sleep(self.part.longest).await;
        let got = self.config().await?;
        if (got ^ wanted) & self.part.fixed != 0 {
            let name = self.part.name;
            return Err(Fault::WrongChip(format!("no {name}: wrote the configuration {wanted:04x}, got {got:04x}")));
        }
        Ok(())
    }

    async fn config(&mut self) -> Result<u16, Fault> {
        if self.part.config_length == 1 {
            let [high] = self.device.write_read(&[CONFIG]).await?;
            return Ok(u16::from_be_bytes([high, 0]));
        }
        Ok(u16::from_be_bytes(self.device.write_read(&[CONFIG]).await?))
    }
}

/// Two's complement from the highest bit down, 1/256 °C; what is below `bits` is undefined on some chips.
fn decode(word: [u8; 2], bits: u32) -> f64 {
    f64::from((i16::from_be_bytes(word) >> (16 - bits)) << (16 - bits)) / 256.0
}

/// The inverse of [`decode`].
fn simulate(celsius: f64, bits: u32) -> [u8; 2] {
    let one = f64::from(1 << (bits - 8));
    let steps = (celsius * one).round().clamp(-128.0 * one, 128.0 * one - 1.0);
    ((steps as i16) << (16 - bits)).to_be_bytes()
}

/// The chip: temperature, configuration and two alarm registers.
struct Model {
    world: World,
    part: &'static Part,
    registers: WordRegisters<4>,
}

impl Model {
    fn new(world: World, part: &'static Part) -> Self {
        // Alarms at 75 and 80 °C, as all three have them after power-up.
        Self { world, part, registers: WordRegisters::new([0, part.power_up, 0x4b00, 0x5000]) }
    }

    fn bits(&self) -> u32 {
        let config = self.registers.words[usize::from(CONFIG)];
        let same = |bits: &&u32| ((self.part.config)(**bits) ^ config) & self.part.fixed == 0;
        *self.part.bits.iter().find(same).unwrap_or(&9)
    }
}

impl Chip for Model {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.registers.write(bytes).map(drop)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        let celsius = self.world.value("temperature", 17.0, 27.0);
        self.registers.words[usize::from(TEMPERATURE)] = u16::from_be_bytes(simulate(celsius, self.bits()));
        self.registers.read(buffer);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_the_data_sheets() {
        // National LM75, 9 bits.
        for (code, celsius) in
            [(0x0fa, 125.0), (0x032, 25.0), (0x001, 0.5), (0, 0.0), (0x1ff, -0.5), (0x1ce, -25.0), (0x192, -55.0)]
        {
            check(code, 9, celsius);
        }
        // NXP LM75B, table 8, 11 bits.
        for (code, celsius) in [
            (0x3f8, 127.0),
            (0x3f7, 126.875),
            (0x0c8, 25.0),
            (0x001, 0.125),
            (0x7ff, -0.125),
            (0x738, -25.0),
            (0x648, -55.0),
        ] {
            check(code, 11, celsius);
        }
        // TI TMP102, table 3, and TMP105, table 2, 12 bits.
        for (code, celsius) in [
            (0x7ff, 127.9375),
            (0x640, 100.0),
            (0x4b0, 75.0),
            (0x190, 25.0),
            (0x004, 0.25),
            (0xffc, -0.25),
            (0xc90, -55.0),
        ] {
            check(code, 12, celsius);
        }
    }

    fn check(code: u16, bits: u32, celsius: f64) {
        let word = (code << (16 - bits)).to_be_bytes();
        assert_eq!(decode(word, bits), celsius);
        assert_eq!(simulate(celsius, bits), word);
    }

    #[test]
    fn undefined_bits_do_not_count() {
        assert_eq!(decode([0x19, 0x7f], 9), 25.0);
        assert_eq!(decode([0x80, 0x00], 9), -128.0);
        assert_eq!(simulate(200.0, 12), [0x7f, 0xf0]);
        assert_eq!(simulate(-200.0, 12), [0x80, 0x00]);
    }
}
