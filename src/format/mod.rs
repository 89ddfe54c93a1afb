//! Payloads: a sample, or the state of something, as the bytes that go out. Pure.

pub mod batch;
mod cbor;
mod influx;
mod json;
mod number;
mod senml;
mod status;

#[cfg(test)]
mod testing;

use crate::model::{Format, Source};

pub use number::number;
pub use status::{BridgeStatus, BudgetStatus, GapRecord, GatewayStatus, OutputState, SensorStatus, Time};

impl Format {
    /// The media type of the payload, for the MQTT 5 content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Value | Format::Influx => "text/plain",
            Format::Senml => "application/senml+json",
            Format::Cbor => "application/cbor",
        }
    }

    /// Whether the payload is UTF-8 text, for the MQTT 5 payload format indicator.
    pub fn is_text(self) -> bool {
        self != Format::Cbor
    }
}

/// The payload of a reading; `topic` is where it is published on this gateway.
pub fn payload(source: &Source, topic: &str) -> Vec<u8> {
    let sample = &source.sample;
    match source.format {
        Format::Json => json::encode(sample),
        Format::Value => number(sample.reading.value, sample.reading.measure.decimals).into_bytes(),
        Format::Senml => senml::encode(sample, topic),
        Format::Cbor => cbor::encode(sample),
        Format::Influx => influx::encode(sample, topic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::sample;
    use crate::model::{Quality, TimeQuality};

    /// The documented example of each format.
    #[test]
    fn every_format_writes_its_documented_payload() {
        for (_, format) in Format::ALL {
            let source = Source { sample: sample("temperature", "°C", 2, 21.4), format };
            let payload = payload(&source, "shed/greenhouse/temperature");
            let documented = match format {
                Format::Json => {
                    r#"{"value":21.4,"unit":"°C","time":"2026-11-22T10:15:00.123Z","quality":"ok","seq":4711}"#
                }
                Format::Value => "21.4",
                Format::Senml => {
                    r#"[{"n":"shed/greenhouse/temperature","u":"Cel","t":1795342500.123,"v":21.4,"quality":"ok","seq":4711}]"#
                }
                Format::Influx => {
                    "temperature,gateway=shed,sensor=greenhouse,unit=°C value=21.4,quality=\"ok\",seq=4711i 1795342500123000000"
                }
                Format::Cbor => continue, // its bytes are in cbor.rs
            };
            assert_eq!(String::from_utf8(payload).unwrap(), documented);
        }
    }

    /// What a payload says it is, it is: text or not, whatever the reading.
    #[test]
    fn payloads_are_what_their_content_type_says() {
        let mut sample = sample("count", "a\"b, =\\\n", 0, f64::NAN);
        sample.quality = Quality::Simulated;
        sample.stamp.quality = TimeQuality::Unsynced;
        for (_, format) in Format::ALL {
            let payload = payload(&Source { sample: sample.clone(), format }, "shed/küche 1/count");
            assert_eq!(std::str::from_utf8(&payload).is_ok(), format.is_text(), "{format:?}");
            if format.content_type().ends_with("json") {
                serde_json::from_slice::<serde_json::Value>(&payload).unwrap();
            }
        }
    }
}
