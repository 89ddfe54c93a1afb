//! One reading as one JSON object.

use serde_json::Value;

use super::{Time, number};
use crate::model::{Sample, Spread, TimeQuality};

/// `{"value":21.4,"unit":"°C","time":"2026-11-22T10:15:00.123Z","quality":"ok","seq":4711}`, and
/// `"time_quality"` behind it when the clock was not synchronised as the reading was taken. A mean of several has
/// `"aggregate":{"min":20.1,"max":22.4,"count":30,"over_ms":290000}` too.
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
    let aggregate = sample.reading.spread.map_or(String::new(), |Spread { min, max, count, over_ms }| {
        let (min, max) = (number(min, measure.decimals), number(max, measure.decimals));
        format!(r#","aggregate":{{"min":{min},"max":{max},"count":{count},"over_ms":{over_ms}}}"#)
    });
    format!(
        r#"{{"value":{value},"unit":{unit},"time":"{time}","quality":"{quality}","seq":{seq}{time_quality}{aggregate}}}"#
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::sample;
    use crate::model::Quality;

    fn text(sample: &Sample) -> String {
        String::from_utf8(encode(sample)).unwrap()
    }

    #[test]
    fn an_unsynchronised_clock_is_told() {
        let mut sample = sample("count", "", 0, 12.0);
        sample.stamp.quality = TimeQuality::Unsynced;
        sample.quality = Quality::Simulated;
        let expected = concat!(
            r#"{"value":12,"unit":"","time":"2026-11-22T10:15:00.123Z","#,
            r#""quality":"simulated","seq":4711,"time_quality":"unsynced"}"#
        );
        assert_eq!(text(&sample), expected);
    }

    #[test]
    fn a_mean_says_what_it_stands_for() {
        let mut sample = sample("t", "°C", 1, 21.26);
        sample.reading.spread = Some(Spread { min: 20.11, max: 22.4, count: 30, over_ms: 290_000 });
        let text = text(&sample);
        assert!(text.starts_with(r#"{"value":21.3,"#), "{text}");
        assert!(text.ends_with(r#","aggregate":{"min":20.1,"max":22.4,"count":30,"over_ms":290000}}"#), "{text}");
    }

    #[test]
    fn any_unit_and_any_value_make_json() {
        for (unit, value) in [("a\"b\\\n", 1.0), ("\u{0}", f64::NAN), ("µW", 1e300)] {
            let text = text(&sample("x", unit, 3, value));
            let read: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(read["unit"], unit);
        }
    }
}
