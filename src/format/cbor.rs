//! One reading as one CBOR map (RFC 8949).

use minicbor::Encoder;
use minicbor::data::IanaTag;

use super::number;
use crate::model::{Sample, Spread, TimeQuality};

type Result = std::result::Result<(), minicbor::encode::Error<std::convert::Infallible>>;

/// The keys of the JSON object, in its order: `value` as an integer if it is one, else as a double, or null; `time`
/// as seconds since 1970 with tag 1.
pub(super) fn encode(sample: &Sample) -> Vec<u8> {
    let mut to = Encoder::new(Vec::with_capacity(80));
    write(&mut to, sample).expect("a vector takes everything");
    to.into_writer()
}

fn write(to: &mut Encoder<Vec<u8>>, sample: &Sample) -> Result {
    let measure = &sample.reading.measure;
    let synced = sample.stamp.quality == TimeQuality::Synced;
    let members = 5 + u64::from(!synced) + u64::from(sample.reading.spread.is_some());
    to.map(members)?.str("value")?;
    write_number(to, number(sample.reading.value, measure.decimals).parse().ok())?;
    to.str("unit")?.str(&measure.unit)?;
    to.str("time")?.tag(IanaTag::Timestamp)?;
    write_number(to, Some(sample.stamp.wall_ms as f64 / 1000.0))?;
    to.str("quality")?.str(sample.quality.word())?.str("seq")?.u64(sample.sequence)?;
    if !synced {
        to.str("time_quality")?.str(sample.stamp.quality.word())?;
    }
    if let Some(Spread { min, max, count, over_ms }) = sample.reading.spread {
        to.str("aggregate")?.map(4)?.str("min")?;
        write_number(to, number(min, measure.decimals).parse().ok())?;
        to.str("max")?;
        write_number(to, number(max, measure.decimals).parse().ok())?;
        to.str("count")?.u32(count)?.str("over_ms")?.u64(over_ms)?;
    }
    Ok(())
}

/// An integer where that is exact and short.
fn write_number(to: &mut Encoder<Vec<u8>>, number: Option<f64>) -> Result {
    // Whole numbers up to here are exact in a double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number {
        None => to.null()?,
        Some(number) if number.fract() == 0.0 && number.abs() <= EXACT => to.i64(number as i64)?,
        Some(number) => to.f64(number)?,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::sample;

    fn numbers(number: Option<f64>) -> Vec<u8> {
        let mut to = Encoder::new(Vec::new());
        write_number(&mut to, number).unwrap();
        to.into_writer()
    }

    /// RFC 8949 appendix A.
    #[test]
    fn numbers_are_those_of_the_rfc() {
        let vectors: [(f64, &[u8]); 10] = [
            (0.0, &[0x00]),
            (10.0, &[0x0a]),
            (23.0, &[0x17]),
            (24.0, &[0x18, 0x18]),
            (100.0, &[0x18, 0x64]),
            (1000.0, &[0x19, 0x03, 0xe8]),
            (1_000_000.0, &[0x1a, 0x00, 0x0f, 0x42, 0x40]),
            (-1.0, &[0x20]),
            (-1000.0, &[0x39, 0x03, 0xe7]),
            (1.1, &[0xfb, 0x3f, 0xf1, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a]),
        ];
        for (number, bytes) in vectors {
            assert_eq!(numbers(Some(number)), bytes, "{number}");
        }
        assert_eq!(numbers(None), [0xf6]);
    }

    #[test]
    fn the_map_has_the_keys_of_the_json_object() {
        let mut sample = sample("temperature", "°C", 1, 21.54);
        let mut wanted = vec![0xa5, 0x65];
        wanted.extend(b"value\xfb");
        wanted.extend(21.5_f64.to_be_bytes());
        wanted.extend("\x64unit\x63°C\x64time".as_bytes());
        wanted.extend([0xc1, 0xfb]);
        wanted.extend(1_795_342_500.123_f64.to_be_bytes());
        wanted.extend(b"\x67quality\x62ok\x63seq\x19\x12\x67");
        assert_eq!(encode(&sample), wanted);
        sample.stamp.quality = TimeQuality::Corrected;
        wanted[0] = 0xa6;
        wanted.extend(b"\x6ctime_quality\x69corrected");
        assert_eq!(encode(&sample), wanted);
    }
}
