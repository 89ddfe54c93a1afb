//! Batches in JSON.

use serde_json::{Value, json};

use super::{Body, Header, Item};
use crate::format::{Time, number};
use crate::model::TimeQuality;

/// `{"store":"...","chain":"cloud.2","items":[...]}`
pub(super) fn encode(header: &Header<'_>, items: &[Item<'_>]) -> Vec<u8> {
    let items: Vec<Value> = items.iter().map(item).collect();
    json!({ "store": header.store, "chain": header.chain, "items": items }).to_string().into_bytes()
}

fn item(item: &Item<'_>) -> Value {
    let mut object = json!({
        "topic": item.topic,
        "time": Time(item.time_ms),
        "key": [Value::from(item.start), Value::from(item.sequence)],
    });
    if item.time_quality != TimeQuality::Synced {
        object["time_quality"] = item.time_quality.word().into();
    }
    match item.body {
        Body::Reading { value, unit, decimals, quality, number: sequence } => {
            object["value"] = serde_json::from_str(&number(value, decimals)).unwrap_or(Value::Null);
            object["unit"] = unit.into();
            object["quality"] = quality.word().into();
            object["seq"] = sequence.into();
        }
        Body::Payload(payload) => {
            let text = || String::from_utf8_lossy(payload).into_owned().into();
            object["payload"] = serde_json::from_slice(payload).unwrap_or_else(|_| text());
        }
    }
    object
}
