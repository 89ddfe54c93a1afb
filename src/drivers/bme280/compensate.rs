//! From raw numbers to °C, Pa and %: the double precision formulas of Bosch's data sheet BME280
//! (BST-BME280-DS002, section 8.1), which are those of the BMP280 (BST-BMP280-DS001, section 8.1).

use crate::model::Fault;

/// The calibration that each chip carries (BME280 table 16, BMP280 table 17).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Calibration {
    /// Temperature: T1 to T3.
    pub(super) t: [f64; 3],
    /// Pressure: P1 to P9.
    pub(super) p: [f64; 9],
    /// Humidity: H1 to H6; all 0 for a BMP280.
    pub(super) h: [f64; 6],
}

/// What one measurement leaves in the data registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Raw {
    /// 20 bits.
    pub(super) temperature: u32,
    /// 20 bits.
    pub(super) pressure: u32,
    /// 16 bits.
    pub(super) humidity: u32,
}

impl Calibration {
    /// Reads registers 0x88 to 0xa1 and, for a BME280, 0xe1 to 0xe7.
    ///
    /// # Errors
    /// [`Fault::NotReady`] when they are blank, as they are while the chip copies them after power-up.
    pub(super) fn decode(low: &[u8; 26], high: Option<&[u8; 7]>) -> Result<Self, Fault> {
        let word = |at: usize| u16::from_le_bytes([low[2 * at], low[2 * at + 1]]);
        let signed = |at: usize| f64::from(word(at) as i16);
        if word(0) == 0 || word(0) == 0xffff || word(3) == 0 {
            return Err(Fault::NotReady("the chip's calibration is blank".into()));
        }
        Ok(Self {
            t: [f64::from(word(0)), signed(1), signed(2)],
            p: std::array::from_fn(|i| if i == 0 { f64::from(word(3)) } else { signed(3 + i) }),
            h: high.map_or([0.0; 6], |high| humidity(low[25], high)),
        })
    }

    /// The fine temperature that all formulas start from, in 1/5120 °C.
    fn fine(&self, raw: u32) -> f64 {
        let [t1, t2, t3] = self.t;
        let raw = f64::from(raw);
        let bend = raw / 131_072.0 - t1 / 8192.0;
        (raw / 16_384.0 - t1 / 1024.0) * t2 + bend * bend * t3
    }

    /// Temperature in °C.
    pub(super) fn celsius(&self, raw: u32) -> f64 {
        self.fine(raw) / 5120.0
    }

    /// Pressure in Pa.
    pub(super) fn pascal(&self, raw: Raw) -> f64 {
        let [p1, p2, p3, p4, p5, p6, p7, p8, p9] = self.p;
        let t = self.fine(raw.temperature) / 2.0 - 64_000.0;
        let offset = (t * t * p6 / 32_768.0 + t * p5 * 2.0) / 4.0 + p4 * 65_536.0;
        let slope = (1.0 + (p3 * t * t / 524_288.0 + p2 * t) / 524_288.0 / 32_768.0) * p1;
        if slope == 0.0 {
            return 0.0;
        }
        let p = (1_048_576.0 - f64::from(raw.pressure) - offset / 4096.0) * 6250.0 / slope;
        p + (p9 * p * p / 2_147_483_648.0 + p * p8 / 32_768.0 + p7) / 16.0
    }

    /// Relative humidity in %.
    pub(super) fn percent(&self, raw: Raw) -> f64 {
        let [h1, h2, h3, h4, h5, h6] = self.h;
        let t = self.fine(raw.temperature) - 76_800.0;
        let linear = f64::from(raw.humidity) - (h4 * 64.0 + h5 / 16_384.0 * t);
        let h = linear * (h2 / 65_536.0 * (1.0 + h6 / 67_108_864.0 * t * (1.0 + h3 / 67_108_864.0 * t)));
        (h * (1.0 - h1 * h / 524_288.0)).clamp(0.0, 100.0)
    }

    /// The raw numbers that come nearest to `celsius`, `pascal` and `percent`.
    pub(super) fn simulate(&self, celsius: f64, pascal: f64, percent: f64) -> Raw {
        let mut raw = Raw { temperature: 0, pressure: 0, humidity: 0 };
        raw.temperature = nearest(1 << 20, celsius, |temperature| self.celsius(temperature));
        // Pressure falls while its raw number rises.
        raw.pressure = nearest(1 << 20, -pascal, |pressure| -self.pascal(Raw { pressure, ..raw }));
        raw.humidity = nearest(1 << 16, percent, |humidity| self.percent(Raw { humidity, ..raw }));
        raw
    }
}

/// H1 is in 0xa1; H2 to H6 are packed into 0xe1 to 0xe7, H4 and H5 with 12 bits each.
fn humidity(h1: u8, high: &[u8; 7]) -> [f64; 6] {
    let twelve = |upper: u8, lower: u8| f64::from(i16::from(upper as i8) * 16 + i16::from(lower & 0x0f));
    [
        f64::from(h1),
        f64::from(i16::from_le_bytes([high[0], high[1]])),
        f64::from(high[2]),
        twelve(high[3], high[4]),
        twelve(high[5], high[4] >> 4),
        f64::from(high[6] as i8),
    ]
}

/// The number below `end` whose `value`, which rises, is nearest to `wanted`.
fn nearest(end: u32, wanted: f64, value: impl Fn(u32) -> f64) -> u32 {
    let (mut low, mut high) = (0, end - 1);
    while high - low > 1 {
        let middle = low.midpoint(high);
        *(if value(middle) < wanted { &mut low } else { &mut high }) = middle;
    }
    if (value(low) - wanted).abs() < (value(high) - wanted).abs() { low } else { high }
}

/// The BMP280's example (its data sheet, section 3.12) with typical humidity numbers.
pub(super) const EXAMPLE: Calibration = Calibration {
    t: [27_504.0, 26_435.0, -1000.0],
    p: [36_477.0, -10_685.0, 3024.0, 2855.0, 140.0, -7.0, 15_500.0, -14_600.0, 6000.0],
    h: [75.0, 362.0, 0.0, 315.0, 50.0, 30.0],
};

/// [`EXAMPLE`] as registers 0x88 to 0xa1.
pub(super) const EXAMPLE_LOW: [u8; 26] = [
    0x70, 0x6b, 0x43, 0x67, 0x18, 0xfc, 0x7d, 0x8e, 0x43, 0xd6, 0xd0, 0x0b, 0x27, 0x0b, 0x8c, 0x00, 0xf9, 0xff, 0x8c,
    0x3c, 0xf8, 0xc6, 0x70, 0x17, 0x00, 0x4b,
];

/// [`EXAMPLE`] as registers 0xe1 to 0xe7.
pub(super) const EXAMPLE_HIGH: [u8; 7] = [0x6a, 0x01, 0x00, 0x13, 0x2b, 0x03, 0x1e];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_example_of_the_bmp280_data_sheet() {
        // Section 3.12: t_fine = 128422, 25.08 °C and 100653.27 Pa.
        let raw = Raw { temperature: 519_888, pressure: 415_148, humidity: 0 };
        assert_eq!(EXAMPLE.fine(raw.temperature).trunc(), 128_422.0);
        assert_eq!((EXAMPLE.celsius(raw.temperature) * 100.0).round(), 2508.0);
        assert_eq!((EXAMPLE.pascal(raw) * 100.0).round(), 10_065_327.0);
    }

    #[test]
    fn the_vendors_reference_routines_give_the_same() {
        // Integer results of Bosch's BME280 routines for this calibration, in 0.01 °C, Pa / 256 and % / 1024.
        for (raw, centi_celsius, pascal_256, percent_1024) in [
            ((519_888, 415_148, 32_768), 2508.0, 25_767_233.0, 71_319.0),
            ((409_600, 415_148, 32_768), -961.0, 24_415_055.0, 68_674.0),
            ((0xfffff, 0, 0xffff), 18_755.0, 55_536_661.0, 102_400.0),
        ] {
            let raw = Raw { temperature: raw.0, pressure: raw.1, humidity: raw.2 };
            assert!((EXAMPLE.celsius(raw.temperature) * 100.0 - centi_celsius).abs() < 1.0, "{raw:?}");
            assert!((EXAMPLE.pascal(raw) * 256.0 - pascal_256).abs() < 256.0, "{raw:?}");
            assert!((EXAMPLE.percent(raw) * 1024.0 - percent_1024).abs() < 10.0, "{raw:?}");
        }
    }

    #[test]
    fn calibration_registers_are_unpacked() {
        assert_eq!(Calibration::decode(&EXAMPLE_LOW, Some(&EXAMPLE_HIGH)).unwrap(), EXAMPLE);
        let without = Calibration::decode(&EXAMPLE_LOW, None).unwrap();
        assert_eq!(without, Calibration { h: [0.0; 6], ..EXAMPLE });
        for blank in [[0; 26], [0xff; 26]] {
            assert_eq!(Calibration::decode(&blank, None).unwrap_err().word(), "not_ready");
        }
    }

    #[test]
    fn packed_humidity_numbers_keep_their_sign() {
        let negative = humidity(0, &[0xff, 0xff, 0xff, 0x80, 0xf0, 0xff, 0x80]);
        assert_eq!(negative, [0.0, -1.0, 255.0, -2048.0, -1.0, -128.0]);
    }

    /// The data sheet's other road to the same number: 32-bit integers (section 4.2.3), in 1/1024 %.
    fn percent_by_integers(fine: i32, raw: i32) -> f64 {
        let [h1, h2, h3, h4, h5, h6] = EXAMPLE.h.map(|h| h as i32);
        let t = fine - 76_800;
        let linear = ((raw << 14) - (h4 << 20) - h5 * t + 16_384) >> 15;
        let scale = ((((t * h6) >> 10) * (((t * h3) >> 11) + 32_768)) >> 10) + 2_097_152;
        let h = linear * ((scale * h2 + 8192) >> 14);
        let bend = ((((h >> 15) * (h >> 15)) >> 7) * h1) >> 4;
        f64::from((h - bend).clamp(0, 419_430_400) >> 12) / 1024.0
    }

    #[test]
    fn both_formulas_of_the_data_sheet_agree_on_humidity() {
        for temperature in (400_000..650_000).step_by(10_007) {
            for humidity in (20_000..40_000).step_by(997) {
                let raw = Raw { temperature, pressure: 0, humidity };
                let fine = EXAMPLE.fine(temperature) as i32;
                let difference = EXAMPLE.percent(raw) - percent_by_integers(fine, humidity as i32);
                assert!(difference.abs() < 0.02, "{raw:?}: {difference}");
            }
        }
    }

    #[test]
    fn both_ends_of_the_range_come_back() {
        for (celsius, pascal, percent) in [(-40.0, 30_000.0, 0.0), (85.0, 110_000.0, 100.0), (0.0, 100_000.0, 50.0)] {
            let raw = EXAMPLE.simulate(celsius, pascal, percent);
            assert!((EXAMPLE.celsius(raw.temperature) - celsius).abs() < 0.005);
            assert!((EXAMPLE.pascal(raw) - pascal).abs() < 0.2);
            assert!((EXAMPLE.percent(raw) - percent).abs() < 0.01);
        }
    }
}
