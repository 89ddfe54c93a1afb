//! One reading as one JSON object.

use serde_json::Value;

use super::{Time, number};
use crate::model::{Sample, TimeQuality};

/// `{"value":21.4,"unit":"°C","time":"2026-11-22T10:15:00.123Z","quality":"ok","seq":4711}`, and
/// `"time_quality"` behind it when the clock was not synchronised as the reading was taken.
pub(super) fn encode(sample: &Sample) -> Vec<u8> {
    let measure = &sample.reading.measure;
    let value = number(sample.reading.value, measure.decimals);
    let unit = Value::from(&*measure.unit);
    let time = Time(sample.stamp.wall_ms);
    let (quality, seq) = (sample.quality.word(), sample.sequence);
    let time_quality = match sample.stamp.quality {
        TimeQuality::Synced => String::new(),
        other => format!(r#","time_quality":"{}""#, other.word()),
    };
    format!(r#"{{"value":{value},"unit":{unit},"time":"{time}","quality":"{quality}","seq":{seq}{time_quality}}}"#)
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;
    use crate::model::{BootId, Measure, Name, Quality, Stamp};

    fn sample(measure: Measure, value: f64) -> Sample {
        Sample {
            sensor: Name::new("greenhouse").unwrap(),
            reading: measure.is(value),
            stamp: Stamp {
                wall_ms: 1_795_342_500_123,
                mono_ms: 1,
                boot: BootId::default(),
                quality: TimeQuality::Synced,
            },
            quality: Quality::Ok,
            sequence: 4711,
        }
    }

    fn text(sample: &Sample) -> String {
        String::from_utf8(encode(sample)).unwrap()
    }

    #[test]
    fn the_payload_is_the_documented_one() {
        let sample = sample(Measure::fixed("temperature", "°C", -40.0, 85.0, 2), 21.4);
        let documented = r#"{"value":21.4,"unit":"°C","time":"2026-11-22T10:15:00.123Z","quality":"ok","seq":4711}"#;
        assert_eq!(text(&sample), documented);
        assert_eq!(Format::Json.encode(&sample), documented.as_bytes());
        assert_eq!(Format::Value.encode(&sample), b"21.4");
    }

    #[test]
    fn an_unsynchronised_clock_is_told() {
        let mut sample = sample(Measure::fixed("count", "", 0.0, 1e9, 0), 12.0);
        sample.stamp.quality = TimeQuality::Unsynced;
        sample.quality = Quality::Simulated;
        let expected = concat!(
            r#"{"value":12,"unit":"","time":"2026-11-22T10:15:00.123Z","#,
            r#""quality":"simulated","seq":4711,"time_quality":"unsynced"}"#
        );
        assert_eq!(text(&sample), expected);
    }

    #[test]
    fn any_unit_and_any_value_make_json() {
        for (unit, value) in [("a\"b\\\n", 1.0), ("\u{0}", f64::NAN), ("µW", 1e300)] {
            let text = text(&sample(Measure::named("x", unit, 3), value));
            let read: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(read["unit"], unit);
        }
    }
}
