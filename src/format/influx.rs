//! One reading as one line of InfluxDB's line protocol.

use std::fmt::Write as _;

use super::number;
use crate::model::{Sample, Spread, TimeQuality};

/// `temperature,gateway=shed,sensor=greenhouse,unit=°C value=21.4,quality="ok",seq=4711i 1795342500123000000`
///
/// The measurement is the measure, the tags are in the order that the protocol's reference asks for, the time is in
/// nanoseconds. A mean of several readings has the fields `min`, `max`, `count` and `over_ms`. A field `time_quality` follows when the clock was not synchronised. The gateway is the first level
/// of `topic`.
pub(super) fn encode(sample: &Sample, topic: &str) -> Vec<u8> {
    let measure = &sample.reading.measure;
    let gateway = topic.split('/').next().unwrap_or_default();
    let mut line = escaped(&measure.name, &[',', ' ']);
    for (key, value) in [("gateway", gateway), ("sensor", sample.sensor.as_str()), ("unit", &measure.unit)] {
        // A tag cannot be empty.
        if !value.is_empty() {
            put(&mut line, format_args!(",{key}={}", escaped(value, &[',', '=', ' '])));
        }
    }
    line.push(' ');
    if sample.reading.value.is_finite() {
        put(&mut line, format_args!("value={},", number(sample.reading.value, measure.decimals)));
    }
    let sequence = i64::try_from(sample.sequence).unwrap_or(i64::MAX);
    put(&mut line, format_args!("quality=\"{}\",seq={sequence}i", sample.quality.word()));
    if sample.stamp.quality != TimeQuality::Synced {
        put(&mut line, format_args!(",time_quality=\"{}\"", sample.stamp.quality.word()));
    }
    if let Some(Spread { min, max, count, over_ms }) = sample.reading.spread {
        let (min, max) = (number(min, measure.decimals), number(max, measure.decimals));
        put(&mut line, format_args!(",min={min},max={max},count={count}i,over_ms={over_ms}i"));
    }
    put(&mut line, format_args!(" {}", i128::from(sample.stamp.wall_ms) * 1_000_000));
    line.into_bytes()
}

/// A backslash before every special character. A backslash of its own would do the same to what follows, and a line
/// break cannot be escaped: they become `_`.
fn escaped(text: &str, special: &[char]) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if special.contains(&c) {
            safe.push('\\');
        }
        safe.push(if c.is_control() || c == '\\' { '_' } else { c });
    }
    safe
}

fn put(to: &mut String, text: std::fmt::Arguments<'_>) {
    to.write_fmt(text).expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::sample;
    use crate::model::Name;

    fn text(sample: &Sample, topic: &str) -> String {
        String::from_utf8(encode(sample, topic)).unwrap()
    }

    /// As the reference's section on special characters has it.
    #[test]
    fn special_characters_are_escaped() {
        let mut sample = sample("a b,c=d", "x=y, z\\\n", 0, 3.0);
        sample.sensor = Name::new("küche").unwrap();
        let wanted =
            r#"a\ b\,c=d,gateway=g,sensor=küche,unit=x\=y\,\ z__ value=3,quality="ok",seq=4711i 1795342500123000000"#;
        assert_eq!(text(&sample, "g/küche/x"), wanted);
    }

    #[test]
    fn what_there_is_not_is_left_out() {
        let mut sample = sample("count", "", 0, f64::NAN);
        sample.stamp.quality = TimeQuality::Unsynced;
        (sample.stamp.wall_ms, sample.sequence) = (-5, u64::MAX);
        let wanted = concat!(
            r#"count,gateway=g,sensor=greenhouse quality="ok",seq=9223372036854775807i,"#,
            r#"time_quality="unsynced" -5000000"#
        );
        assert_eq!(text(&sample, "g/greenhouse/count"), wanted);
    }
}
