//! Reads a pack: those of ours, and what others make of the same RFC as far as it is readings.

use std::borrow::Cow;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{RELATIVE_BELOW_S, unit};
use crate::format::batch::decode::{Error, Sink, objects, quality, time_quality};
use crate::format::batch::keys::Heard;
use crate::format::batch::{Content, Entry};
use crate::model::{Quality, Spread};

/// What a record may hold (RFC 8428 sections 4.1 and 4.2, and ours); anything else is skipped.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    bn: Option<Cow<'a, str>>,
    bt: Option<f64>,
    #[serde(borrow)]
    bu: Option<Cow<'a, str>>,
    bv: Option<f64>,
    #[serde(borrow, default)]
    n: Cow<'a, str>,
    t: Option<f64>,
    #[serde(borrow)]
    u: Option<Cow<'a, str>>,
    v: Option<f64>,
    #[serde(borrow)]
    vs: Option<Cow<'a, str>>,
    #[serde(borrow)]
    vd: Option<Cow<'a, str>>,
    vb: Option<bool>,
    #[serde(borrow)]
    topic: Option<Cow<'a, str>>,
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    quality: Option<Cow<'a, str>>,
    #[serde(borrow)]
    time_quality: Option<Cow<'a, str>>,
    seq: Option<u64>,
    min: Option<f64>,
    max: Option<f64>,
    count: Option<u32>,
    #[serde(default)]
    over_ms: u64,
}

/// What base fields have said so far.
#[derive(Default)]
struct Base {
    name: String,
    time_ms: i64,
    unit: String,
    value: f64,
    heard: Heard,
}

/// Whether JSON is SenML: its first object has a name or a base name.
pub(in crate::format) fn is_like(json: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Probe {
        n: Option<IgnoredAny>,
        bn: Option<IgnoredAny>,
    }
    let json = json.trim_ascii_start();
    let json = json.strip_prefix(b"[").unwrap_or(json);
    let first = serde_json::Deserializer::from_slice(json).into_iter::<Probe>().next();
    first.and_then(Result::ok).is_some_and(|probe| probe.n.is_some() || probe.bn.is_some())
}

pub(in crate::format) fn decode_pack(bytes: &[u8], sink: &mut Sink) -> Result<(), Error> {
    let mut base = Base::default();
    objects(bytes, |record: Record<'_>| sink.take(base.entry(record)?))
}

fn ms(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

impl Base {
    fn entry(&mut self, record: Record<'_>) -> Result<Entry, Error> {
        if let Some(name) = &record.bn {
            self.name = name.to_string();
        }
        if let Some(unit) = &record.bu {
            self.unit = unit.to_string();
        }
        self.time_ms = record.bt.map_or(self.time_ms, ms);
        self.value = record.bv.unwrap_or(self.value);
        let time_ms = self.time_ms.saturating_add(record.t.map_or(0, ms));
        Ok(Entry {
            topic: record.topic.as_deref().map_or_else(|| format!("{}{}", self.name, record.n).into(), Into::into),
            time_ms: (time_ms >= RELATIVE_BELOW_S * 1000).then_some(time_ms),
            time_quality: time_quality(record.time_quality.as_deref())?,
            key: self.heard.key(record.key.as_deref()).map_err(|()| Error::Damaged("key"))?,
            content: self.content(record)?,
        })
    }

    fn content(&self, record: Record<'_>) -> Result<Content, Error> {
        let text = |text: &str| Ok(Content::Payload(text.as_bytes().to_vec()));
        match (record.vs, record.vd, record.vb) {
            (Some(string), ..) => return text(&string),
            (_, Some(data), _) => {
                return Base64UrlUnpadded::decode_vec(&data).map(Content::Payload).map_err(|_| Error::Damaged("vd"));
            }
            (.., Some(truth)) => return text(if truth { "true" } else { "false" }),
            _ => {}
        }
        let unit = unit::unit(record.u.as_deref().unwrap_or(&self.unit)).into();
        let quality = record.quality.as_deref().map_or(Ok(Quality::Ok), quality)?;
        let value = record.v.map_or(f64::NAN, |value| value + self.value);
        let spread = record.count.map(|count| {
            let [min, max] = [record.min, record.max].map(|value| value.unwrap_or(f64::NAN));
            Spread { min, max, count, over_ms: record.over_ms }
        });
        Ok(Content::Reading { value, unit, quality, number: record.seq, spread })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let mut sink = Sink::default();
        decode_pack(text.as_bytes(), &mut sink).unwrap();
        sink.into_entries().iter().map(Entry::line).collect()
    }

    /// RFC 8428 sections 5.1.1 and 5.1.2, and base values of section 4.1.
    #[test]
    fn the_packs_of_the_rfc_are_read() {
        let single = r#"[{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}]"#;
        let wanted = r#"{"topic":"urn:dev:ow:10e2073a01080063","value":23.1,"unit":"°C","quality":"ok"}"#;
        assert_eq!(read(single), [wanted]);
        let several = r#"[
            {"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,"bu":"A","bver":5,"n":"voltage","u":"V","v":120.1},
            {"n":"current","t":-5,"v":1.2},{"n":"current","v":1.7}]"#;
        assert!(is_like(several.as_bytes()));
        assert_eq!(
            read(several),
            [
                r#"{"topic":"urn:dev:ow:10e2073a0108006:voltage","time":"2010-06-08T18:01:16.001Z","value":120.1,"unit":"V","quality":"ok"}"#,
                r#"{"topic":"urn:dev:ow:10e2073a0108006:current","time":"2010-06-08T18:01:11.001Z","value":1.2,"unit":"A","quality":"ok"}"#,
                r#"{"topic":"urn:dev:ow:10e2073a0108006:current","time":"2010-06-08T18:01:16.001Z","value":1.7,"unit":"A","quality":"ok"}"#,
            ]
        );
        let others = r#"[{"bn":"a","bv":20,"v":1.5},{"n":"b","vb":true},{"n":"c","vs":"x"},{"n":"d","vd":"aGkgCg"}]"#;
        let wanted = [
            r#"{"topic":"a","value":21.5,"unit":"","quality":"ok"}"#,
            r#"{"topic":"ab","payload":"true"}"#,
            r#"{"topic":"ac","payload":"x"}"#,
            r#"{"topic":"ad","payload":"hi \n"}"#,
        ];
        assert_eq!(read(others), wanted);
    }

    #[test]
    fn what_is_no_senml_is_not_taken_for_it() {
        for text in [r#"[{"topic":"a","value":1}]"#, "[]", "[1]", "[", "{}", r#"{"value":1}"#] {
            assert!(!is_like(text.as_bytes()), "{text}");
        }
        assert!(is_like(br#" [ {"n":"a"}"#) && is_like(br#"{"bn":"a"}"#));
    }
}
