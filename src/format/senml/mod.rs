//! SenML in JSON (RFC 8428): one reading as a pack of one record; `pack` is many.

mod name;
mod pack;
mod unit;
mod unpack;

use std::fmt::Write as _;

use serde_json::Value;

use super::number;
use crate::model::{Sample, Spread, TimeQuality};

pub(super) use pack::encode_pack;
pub(super) use unpack::{decode_pack, is_like};

/// Times below are relative to now (RFC 8428 section 4.5.3); in seconds since 1970.
const RELATIVE_BELOW_S: i64 = 1 << 28;

/// `[{"n":"shed/greenhouse/temperature","u":"Cel","t":1795342500.123,"v":21.4,"quality":"ok","seq":4711}]`
///
/// `topic`, `quality`, `seq`, `time_quality`, and `min`, `max`, `count` and `over_ms` of a mean, are not of the RFC, which tells readers to skip what they do not
/// know. `topic` is there when it cannot be a name. A time that would count as relative, of a clock that was never
/// set, is left out.
pub(super) fn encode(sample: &Sample, topic: &str) -> Vec<u8> {
    let measure = &sample.reading.measure;
    let mut record = String::from("[{");
    write_name(&mut record, topic);
    if !measure.unit.is_empty() {
        put(&mut record, format_args!(r#","u":{}"#, Value::from(unit::symbol(&measure.unit, topic))));
    }
    if let Some(time) = time(sample.stamp.wall_ms) {
        put(&mut record, format_args!(r#","t":{time}"#));
    }
    if sample.reading.value.is_finite() {
        put(&mut record, format_args!(r#","v":{}"#, number(sample.reading.value, measure.decimals)));
    }
    put(&mut record, format_args!(r#","quality":"{}","seq":{}"#, sample.quality.word(), sample.sequence));
    if sample.stamp.quality != TimeQuality::Synced {
        put(&mut record, format_args!(r#","time_quality":"{}""#, sample.stamp.quality.word()));
    }
    if let Some(Spread { min, max, count, over_ms }) = sample.reading.spread {
        let (min, max) = (number(min, measure.decimals), number(max, measure.decimals));
        put(&mut record, format_args!(r#","min":{min},"max":{max},"count":{count},"over_ms":{over_ms}"#));
    }
    record.push_str("}]");
    record.into_bytes()
}

/// The name, and the topic if that is another.
fn write_name(to: &mut String, topic: &str) {
    let name = name::name(topic);
    put(to, format_args!(r#""n":"{name}""#));
    if name != topic {
        put(to, format_args!(r#","topic":{}"#, Value::from(topic)));
    }
}

/// The time in seconds since 1970, if SenML can say it.
fn time(wall_ms: i64) -> Option<String> {
    (wall_ms >= RELATIVE_BELOW_S * 1000).then(|| seconds(wall_ms))
}

/// Milliseconds as seconds, without zeros at the end.
fn seconds(ms: i64) -> String {
    let (sign, ms) = (if ms < 0 { "-" } else { "" }, ms.unsigned_abs());
    let text = format!("{sign}{}.{:03}", ms / 1000, ms % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn put(to: &mut String, text: std::fmt::Arguments<'_>) {
    to.write_fmt(text).expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::sample;
    use crate::model::Quality;

    fn text(sample: &Sample, topic: &str) -> String {
        String::from_utf8(encode(sample, topic)).unwrap()
    }

    #[test]
    fn seconds_are_exact() {
        for (ms, text) in [(0, "0"), (1, "0.001"), (1500, "1.5"), (-20, "-0.02"), (1_795_342_500_000, "1795342500")] {
            assert_eq!(seconds(ms), text);
        }
    }

    /// Base fields and relative times are for packs; here every record stands for itself (RFC 8428 section 5.1.1).
    #[test]
    fn what_the_rfc_cannot_say_is_said_beside_it() {
        let mut sample = sample("humidity", "%", 1, 55.04);
        (sample.stamp.wall_ms, sample.stamp.quality) = (12_000, TimeQuality::Unsynced);
        sample.quality = Quality::Suspect;
        let wanted = concat!(
            r#"[{"n":"k_che/s/humidity","topic":"küche/s/humidity","u":"%RH","v":55,"#,
            r#""quality":"suspect","seq":4711,"time_quality":"unsynced"}]"#
        );
        assert_eq!(text(&sample, "küche/s/humidity"), wanted);
    }

    #[test]
    fn what_is_no_number_has_no_value_and_what_has_no_unit_no_unit() {
        let wanted = r#"[{"n":"a","t":1795342500.123,"quality":"ok","seq":4711}]"#;
        assert_eq!(text(&sample("x", "", 1, f64::INFINITY), "a"), wanted);
    }
}
