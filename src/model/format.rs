//! How a reading is written: the names of the payload formats. `format` writes them.

/// The payload format of a sensor's readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[repr(u8)]
pub enum Format {
    /// One JSON object with value, unit, time, quality and sequence.
    #[default]
    Json = 0,
    /// The bare number as text.
    Value = 1,
    /// SenML in JSON (RFC 8428).
    Senml = 2,
    /// A CBOR map (RFC 8949) with the keys of the JSON object.
    Cbor = 3,
    /// InfluxDB's line protocol.
    Influx = 4,
}

impl Format {
    /// All formats by their names in the configuration, each at the place of its code.
    pub const ALL: [(&'static str, Format); 5] = [
        ("json", Format::Json),
        ("value", Format::Value),
        ("senml", Format::Senml),
        ("cbor", Format::Cbor),
        ("influx", Format::Influx),
    ];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }

    /// The number in stored records.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The format with that number; nothing for any other.
    pub fn of(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).map(|(_, format)| *format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_go_both_ways() {
        for (at, (name, format)) in Format::ALL.into_iter().enumerate() {
            assert_eq!((format.name(), usize::from(format.code())), (name, at));
            assert_eq!(Format::of(format.code()), Some(format));
        }
        assert_eq!(Format::of(5), None);
    }
}
