//! A batch as a JSON array.
//!
//! ```json
//! [{"key":"5f…9a/3/cloud.2/4711","topic":"shed/greenhouse/temperature","value":21.4,"unit":"°C",
//!   "quality":"ok","seq":12,"time":"2026-11-22T10:15:00.123Z"},
//!  {"topic":"shed/greenhouse/humidity","value":55,"unit":"%","quality":"ok","seq":12,"time":"2026-11-22T10:15:00.123Z"}]
//! ```
//! A reading has the fields of its payload and its topic. Somebody else's message has `payload`, or `payload_base64`
//! (URL-safe, without padding) if it is not UTF-8.

mod decode;

use std::fmt::{Arguments, Write as _};

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::Value;

use super::keys::Said;
use super::{Body, Header, Item};
use crate::format::{Time, number};
use crate::model::{Spread, TimeQuality};

pub(super) use decode::decode;

pub(super) fn encode(header: &Header<'_>, items: &[Item<'_>]) -> Vec<u8> {
    let mut said = Said::new(header);
    let mut text = String::from("[");
    for (at, item) in items.iter().enumerate() {
        text.push_str(if at == 0 { "{" } else { ",{" });
        if let Some(key) = said.key(item) {
            put(&mut text, format_args!(r#""key":{},"#, Value::from(key)));
        }
        put(&mut text, format_args!(r#""topic":{},"#, Value::from(item.topic)));
        write_body(&mut text, &item.body);
        put(&mut text, format_args!(r#","time":"{}""#, Time(item.time_ms)));
        if item.time_quality != TimeQuality::Synced {
            put(&mut text, format_args!(r#","time_quality":"{}""#, item.time_quality.word()));
        }
        text.push('}');
    }
    text.push(']');
    text.into_bytes()
}

fn write_body(text: &mut String, body: &Body<'_>) {
    match *body {
        Body::Reading { value, unit, decimals, quality, number: seq, spread } => {
            let (value, unit) = (number(value, decimals), Value::from(unit));
            put(text, format_args!(r#""value":{value},"unit":{unit},"quality":"{}","seq":{seq}"#, quality.word()));
            if let Some(Spread { min, max, count, over_ms }) = spread {
                let (min, max) = (number(min, decimals), number(max, decimals));
                put(
                    text,
                    format_args!(r#","aggregate":{{"min":{min},"max":{max},"count":{count},"over_ms":{over_ms}}}"#),
                );
            }
        }
        Body::Payload(payload) => match std::str::from_utf8(payload) {
            Ok(payload) => put(text, format_args!(r#""payload":{}"#, Value::from(payload))),
            Err(_) => {
                put(text, format_args!(r#""payload_base64":"{}""#, Base64UrlUnpadded::encode_string(payload)));
            }
        },
    }
}

fn put(to: &mut String, text: Arguments<'_>) {
    to.write_fmt(text).expect("a string takes everything");
}
