//! Payloads: a sample, or the state of something, as the bytes that go out. Pure.

pub mod batch;
mod json;
mod number;
mod status;

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::model::Sample;

pub use number::number;
pub use status::{BridgeStatus, BudgetStatus, GapRecord, GatewayStatus, OutputState, SensorStatus, Time};

/// How a reading is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub enum Format {
    /// One JSON object with value, unit, time, quality and sequence.
    #[default]
    Json,
    /// The bare number as text.
    Value,
    /// SenML in JSON (RFC 8428): not yet.
    Senml,
    /// CBOR (RFC 8949): not yet.
    Cbor,
    /// InfluxDB line protocol: not yet.
    Influx,
}

/// Why a text is not a usable [`Format`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormatError {
    /// There is no such format.
    Unknown(String),
    /// It will exist.
    NotYet(&'static str),
}

/// All names, with what they mean.
const NAMES: [(&str, Format); 5] = [
    ("json", Format::Json),
    ("value", Format::Value),
    ("senml", Format::Senml),
    ("cbor", Format::Cbor),
    ("influx", Format::Influx),
];

impl Format {
    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        NAMES[self as usize].0
    }

    /// The media type of the payload, for the MQTT 5 content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Value | Format::Influx => "text/plain",
            Format::Senml => "application/senml+json",
            Format::Cbor => "application/cbor",
        }
    }

    /// The payload of `sample`.
    ///
    /// The formats that are not built yet cannot come out of a configuration; they are written as JSON.
    pub fn encode(self, sample: &Sample) -> Vec<u8> {
        let measure = &sample.reading.measure;
        match self {
            Format::Value => number(sample.reading.value, measure.decimals).into_bytes(),
            Format::Json | Format::Senml | Format::Cbor | Format::Influx => json::encode(sample),
        }
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let (name, format) =
            NAMES.into_iter().find(|(name, _)| *name == text).ok_or_else(|| FormatError::Unknown(text.to_owned()))?;
        match format {
            Format::Json | Format::Value => Ok(format),
            Format::Senml | Format::Cbor | Format::Influx => Err(FormatError::NotYet(name)),
        }
    }
}

impl TryFrom<String> for Format {
    type Error = FormatError;

    fn try_from(text: String) -> Result<Self, FormatError> {
        text.parse()
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FormatError::Unknown(text) => write!(f, "{text:?} is not a format: json and value are"),
            FormatError::NotYet(name) => write!(f, "the format {name:?} is not built yet: json and value are"),
        }
    }
}

impl std::error::Error for FormatError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_built_is_refused_with_not_yet() {
        for (name, format) in NAMES {
            assert_eq!(format.name(), name);
            match name {
                "json" | "value" => assert_eq!(name.parse(), Ok(format)),
                _ => assert!(name.parse::<Format>().unwrap_err().to_string().contains("not built yet")),
            }
        }
        assert_eq!("xml".parse::<Format>(), Err(FormatError::Unknown("xml".into())));
        let read = |text: &str| serde_json::from_str::<Format>(text).map_err(|error| error.to_string());
        assert_eq!(read("\"value\""), Ok(Format::Value));
        assert!(read("\"cbor\"").unwrap_err().contains("not built yet"));
    }
}
