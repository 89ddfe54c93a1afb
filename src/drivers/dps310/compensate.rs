//! From raw numbers to °C and Pa: the formulas of Infineon's data sheet DPS310, section 4.9, and their inverse.

use crate::model::Fault;

/// The calibration that each chip carries (section "Calibration Coefficients").
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Calibration {
    /// Temperature: c0 and c1.
    pub(super) t: [f64; 2],
    /// Pressure: c00, c10, c20, c30.
    pub(super) p: [f64; 4],
    /// Pressure by temperature: c01, c11, c21.
    pub(super) pt: [f64; 3],
}

/// One measurement, 24 bits in two's complement each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) temperature: i32,
    pub(super) pressure: i32,
}

/// Raw numbers as fractions of full scale, which depends on how often was measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    temperature: f64,
    pressure: f64,
}

impl Scale {
    /// Full scale for so many measurements of each (table "Compensation Scale Factors").
    pub(super) fn of(temperature: u32, pressure: u32) -> Self {
        Self { temperature: full_scale(temperature), pressure: full_scale(pressure) }
    }
}

fn full_scale(times: u32) -> f64 {
    match times {
        1 => 524_288.0,
        2 => 1_572_864.0,
        4 => 3_670_016.0,
        8 => 7_864_320.0,
        16 => 253_952.0,
        32 => 516_096.0,
        64 => 1_040_384.0,
        _ => 2_088_960.0,
    }
}

impl Calibration {
    /// Reads registers 0x10 to 0x21: two numbers of 12 bits, two of 20, five of 16.
    ///
    /// # Errors
    /// [`Fault::WrongChip`] when they are all the same, as no chip has them.
    pub(super) fn decode(bytes: &[u8; 18]) -> Result<Self, Fault> {
        if bytes.iter().all(|byte| *byte == bytes[0]) {
            return Err(Fault::WrongChip("no DPS310: it has no calibration".into()));
        }
        let bits = |first: usize, count: usize| {
            let byte = |at: usize| u32::from(bytes[at / 8]) >> (7 - at % 8) & 1;
            let value = (first..first + count).fold(0, |value, at| value << 1 | byte(at));
            f64::from(signed(value, count))
        };
        Ok(Self {
            t: [bits(0, 12), bits(12, 12)],
            p: [bits(24, 20), bits(44, 20), bits(96, 16), bits(128, 16)],
            pt: [bits(64, 16), bits(80, 16), bits(112, 16)],
        })
    }

    /// Temperature in °C (section 4.9.2).
    pub(super) fn celsius(&self, raw: i32, scale: Scale) -> f64 {
        let [c0, c1] = self.t;
        c0 / 2.0 + c1 * f64::from(raw) / scale.temperature
    }

    /// Pressure in Pa (section 4.9.1).
    pub(super) fn pascal(&self, raw: Raw, scale: Scale) -> f64 {
        let ([c00, c10, c20, c30], [c01, c11, c21]) = (self.p, self.pt);
        let (p, t) = (f64::from(raw.pressure) / scale.pressure, f64::from(raw.temperature) / scale.temperature);
        c00 + p * (c10 + p * (c20 + p * c30)) + t * c01 + t * p * (c11 + p * c21)
    }

    /// The raw numbers that come nearest to `celsius` and `pascal`.
    pub(super) fn simulate(&self, celsius: f64, pascal: f64, scale: Scale) -> Raw {
        let [c0, c1] = self.t;
        let temperature = ((celsius - c0 / 2.0) / c1 * scale.temperature).round() as i32;
        let at = |pressure| self.pascal(Raw { temperature, pressure }, scale);
        // Pressure falls while its raw number rises, from one end of the scale to the other.
        let end = scale.pressure as i32;
        let (mut low, mut high) = (-end, end);
        while high - low > 1 {
            let middle = low.midpoint(high);
            *(if at(middle) > pascal { &mut low } else { &mut high }) = middle;
        }
        let pressure = if (at(low) - pascal).abs() < (at(high) - pascal).abs() { low } else { high };
        Raw { temperature, pressure }
    }
}

/// `value` as two's complement of so many bits.
pub(super) fn signed(value: u32, bits: usize) -> i32 {
    let unused = 32 - bits;
    (value << unused) as i32 >> unused
}

/// The calibration of a real chip, as QEMU's model of the DPS310 has it.
pub(super) const EXAMPLE_BYTES: [u8; 18] =
    [0x0e, 0x1e, 0xdd, 0x13, 0xca, 0x5f, 0x21, 0x52, 0xf9, 0xc6, 0x04, 0xd1, 0xdb, 0x47, 0x00, 0x5b, 0xfb, 0x3a];

/// [`EXAMPLE_BYTES`] as numbers.
pub(super) const EXAMPLE: Calibration =
    Calibration { t: [225.0, -291.0], p: [81_061.0, -57_006.0, -9401.0, -1222.0], pt: [-1594.0, 1233.0, 91.0] };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calibration_registers_are_unpacked() {
        assert_eq!(Calibration::decode(&EXAMPLE_BYTES), Ok(EXAMPLE));
        for blank in [[0; 18], [0xff; 18]] {
            assert_eq!(Calibration::decode(&blank).unwrap_err().word(), "wrong_chip");
        }
        assert_eq!((signed(0x800, 12), signed(0x7ff, 12), signed(0xff_ffff, 24)), (-2048, 2047, -1));
    }

    #[test]
    fn a_real_chip_by_hand() {
        // The raw numbers that QEMU's model has beside that calibration, measured once each.
        let raw = Raw { temperature: 0x0269a6, pressure: 0xfe2fee - (1 << 24) };
        let scale = Scale::of(1, 1);
        assert_eq!((EXAMPLE.celsius(raw.temperature, scale) * 1000.0).round(), 24_738.0);
        // Term by term: c00, c10 p, c20 p², c30 p³, c01 t, c11 t p, c21 t p².
        let (p, t) = (-118_802.0 / 524_288.0, 158_118.0 / 524_288.0);
        let by_hand = 81_061.0 - 57_006.0 * p - 9401.0 * p * p - 1222.0 * p * p * p - 1594.0 * t
            + 1233.0 * t * p
            + 91.0 * t * p * p;
        assert!((EXAMPLE.pascal(raw, scale) - by_hand).abs() < 1e-6);
        assert_eq!(by_hand.round(), 92_946.0);
    }

    #[test]
    fn both_ends_of_the_range_come_back() {
        for times in [1, 2, 4, 8, 16, 32, 64, 128] {
            let scale = Scale::of(times, times);
            for (celsius, pascal) in [(-40.0, 30_000.0), (85.0, 120_000.0), (0.0, 101_325.0), (20.0, 95_000.0)] {
                let raw = EXAMPLE.simulate(celsius, pascal, scale);
                assert!((EXAMPLE.celsius(raw.temperature, scale) - celsius).abs() < 0.001, "{times}");
                assert!((EXAMPLE.pascal(raw, scale) - pascal).abs() < 0.2, "{times}");
                assert_eq!(signed(raw.pressure as u32 & 0xff_ffff, 24), raw.pressure, "24 bits are enough");
            }
        }
    }
}
