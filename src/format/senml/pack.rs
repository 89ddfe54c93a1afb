//! Many records in one pack, and back.
//!
//! ```json
//! [{"bn":"shed/greenhouse/","bt":1795342500.123,"key":"5f…9a/3/cloud.2/4711","n":"temperature","u":"Cel","v":21.4,"seq":12},
//!  {"n":"humidity","u":"%RH","v":55,"seq":12},
//!  {"n":"temperature","u":"Cel","t":10,"v":21.5,"seq":13}]
//! ```
//! `bn` and `bt` (RFC 8428 section 4.1) are the names' common beginning and the first time, of the first record for
//! all. Beside the RFC: `key`, `seq`, `quality` where it is not ok, `time_quality` where it is not synced, `topic`
//! where it cannot be a name; of a mean `min`, `max`, `count` and `over_ms`, from the first to the last reading.
//! Somebody else's message is a string value, or a data value if it is not UTF-8.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::Value;

use super::name::name;
use super::{put, seconds, time, unit};
use crate::format::batch::{Body, Header, Item, keys::Said};
use crate::format::number;
use crate::model::{Quality, Spread, TimeQuality};

pub(in crate::format) fn encode_pack(header: &Header<'_>, items: &[Item<'_>]) -> Vec<u8> {
    let base = items.iter().map(|item| name(item.topic).into_owned()).reduce(common).unwrap_or_default();
    // Each time is written out if one of them cannot be told.
    let base_ms = items.iter().all(|item| time(item.time_ms).is_some()).then(|| items[0].time_ms);
    let mut said = Said::new(header);
    let mut text = String::from("[");
    for (at, item) in items.iter().enumerate() {
        let mut fields = String::new();
        if at == 0 && !base.is_empty() {
            put(&mut fields, format_args!(r#","bn":"{base}""#));
        }
        if let Some(base_ms) = base_ms.filter(|_| at == 0) {
            put(&mut fields, format_args!(r#","bt":{}"#, seconds(base_ms)));
        }
        if let Some(key) = said.key(item) {
            put(&mut fields, format_args!(r#","key":{}"#, Value::from(key)));
        }
        write_item(&mut fields, item, base.len(), base_ms);
        let fields = fields.get(1..).unwrap_or_default();
        put(&mut text, format_args!("{}{{{fields}}}", if at == 0 { "" } else { "," }));
    }
    text.push(']');
    text.into_bytes()
}

/// What two names begin with, up to a level's end.
fn common(base: String, name: String) -> String {
    let same = base.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
    let end = base.get(..same).and_then(|same| same.rfind('/')).map_or(0, |slash| slash + 1);
    base[..end].to_owned()
}

/// The fields of one record, a comma before each.
fn write_item(to: &mut String, item: &Item<'_>, base_len: usize, base_ms: Option<i64>) {
    let name = name(item.topic);
    if name.len() > base_len {
        put(to, format_args!(r#","n":"{}""#, &name[base_len..]));
    }
    if name != item.topic {
        put(to, format_args!(r#","topic":{}"#, Value::from(item.topic)));
    }
    let time = base_ms.map_or_else(|| time(item.time_ms), |base| Some(seconds(item.time_ms - base)));
    if let Some(time) = time.filter(|time| time != "0") {
        put(to, format_args!(r#","t":{time}"#));
    }
    write_body(to, item);
    if item.time_quality != TimeQuality::Synced {
        put(to, format_args!(r#","time_quality":"{}""#, item.time_quality.word()));
    }
}

fn write_body(to: &mut String, item: &Item<'_>) {
    let mut value = |label: &str, value: f64, decimals| {
        if value.is_finite() {
            put(to, format_args!(r#","{label}":{}"#, number(value, decimals)));
        }
    };
    match item.body {
        Body::Reading { value: v, unit, decimals, quality, number: seq, spread } => {
            value("v", v, decimals);
            if let Some(Spread { min, max, .. }) = spread {
                value("min", min, decimals);
                value("max", max, decimals);
            }
            if let Some(Spread { count, over_ms, .. }) = spread {
                put(to, format_args!(r#","count":{count},"over_ms":{over_ms}"#));
            }
            write_unit(to, unit, item.topic, quality);
            put(to, format_args!(r#","seq":{seq}"#));
        }
        Body::Payload(payload) => match std::str::from_utf8(payload) {
            Ok(text) => put(to, format_args!(r#","vs":{}"#, Value::from(text))),
            Err(_) => put(to, format_args!(r#","vd":"{}""#, Base64UrlUnpadded::encode_string(payload))),
        },
    }
}

fn write_unit(to: &mut String, unit: &str, topic: &str, quality: Quality) {
    if !unit.is_empty() {
        put(to, format_args!(r#","u":{}"#, Value::from(unit::symbol(unit, topic))));
    }
    if quality != Quality::Ok {
        put(to, format_args!(r#","quality":"{}""#, quality.word()));
    }
}
