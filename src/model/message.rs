//! The MQTT currency: what hub, store and bridge hand to each other.

use std::sync::Arc;

use super::{Source, Topic};

/// MQTT quality of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Qos {
    /// Fire and forget.
    AtMostOnce = 0,
    /// Acknowledged.
    AtLeastOnce = 1,
    /// Acknowledged, without repeats.
    ExactlyOnce = 2,
}

impl Qos {
    /// The level 0, 1 or 2; nothing for any other number.
    pub fn from_level(level: u8) -> Option<Self> {
        match level {
            0 => Some(Qos::AtMostOnce),
            1 => Some(Qos::AtLeastOnce),
            2 => Some(Qos::ExactlyOnce),
            _ => None,
        }
    }
}

/// The user property of a message that its sender says it may have sent before (DUP, MQTT section 3.3.1.1):
/// whoever obeys it must know whether it did so already.
pub const REPEATED: &str = "weir-repeated";

/// Shared payload bytes.
pub type Payload = Arc<[u8]>;

/// The MQTT 5 properties of a PUBLISH that travel with the message (MQTT 5.0 section 3.3.2.3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties {
    /// Payload Format Indicator: true when the payload is UTF-8 text.
    pub utf8_payload: Option<bool>,
    /// Message Expiry Interval in seconds, counted from `Message`'s arrival at the hub.
    pub expiry_s: Option<u32>,
    /// Content Type.
    pub content_type: Option<Arc<str>>,
    /// Response Topic.
    pub response_topic: Option<Topic>,
    /// Correlation Data.
    pub correlation: Option<Arc<[u8]>>,
    /// User Properties, in order.
    pub user: Vec<(Arc<str>, Arc<str>)>,
}

impl Properties {
    /// The memory they take, in bytes.
    fn weight(&self) -> usize {
        // Two shared texts: where they are, and their reference counts.
        const PAIR: usize = 64;
        let texts = [self.content_type.as_ref(), self.response_topic.as_ref().map(|topic| &topic.0)];
        let pairs = self.user.iter().map(|(key, value)| PAIR + key.len() + value.len());
        size_of::<Self>()
            + texts.into_iter().flatten().map(|text| text.len()).sum::<usize>()
            + self.correlation.as_ref().map_or(0, |bytes| bytes.len())
            + pairs.sum::<usize>()
    }
}

/// Who brought a message into the hub. Decides what the gateway's own topics accept,
/// MQTT 5 no-local, and that a bridge does not send back what it received.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// This gateway itself.
    Gateway,
    /// A client of the hub, by its client id.
    Client(Arc<str>),
    /// A bridge, by its name.
    Bridge(Arc<str>),
}

/// One application message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Where to.
    pub topic: Topic,
    /// What; at most 268,435,455 bytes less the header.
    pub payload: Payload,
    /// As published.
    pub qos: Qos,
    /// As published: the hub keeps it as the topic's last value.
    pub retain: bool,
    /// MQTT 5 properties, when there are any.
    pub properties: Option<Box<Properties>>,
    /// Who published it.
    pub origin: Origin,
    /// The raw sample behind `payload`, and its format, for messages of our own sensors.
    pub source: Option<Arc<Source>>,
}

impl Message {
    /// A message of this gateway: QoS 0, not retained, no properties.
    pub fn own(topic: Topic, payload: impl Into<Payload>) -> Self {
        Self {
            topic,
            payload: payload.into(),
            qos: Qos::AtMostOnce,
            retain: false,
            properties: None,
            origin: Origin::Gateway,
            source: None,
        }
    }

    /// The bytes of topic, payload and properties: what it counts against a bound.
    pub fn weight(&self) -> usize {
        self.topic.as_str().len() + self.payload.len() + self.properties.as_ref().map_or(0, |it| it.weight())
    }

    /// The same with another QoS.
    pub fn with_qos(self, qos: Qos) -> Self {
        Self { qos, ..self }
    }

    /// The same, retained.
    pub fn retained(self) -> Self {
        Self { retain: true, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_have_weight() {
        let bare = Message::own(Topic::new("t").unwrap(), &b"xy"[..]);
        assert_eq!(bare.weight(), 3);
        let pair = |size| (Arc::from("k"), "v".repeat(size).into());
        let properties = Properties { user: vec![pair(1000), pair(0)], ..Properties::default() };
        let heavy = Message { properties: Some(Box::new(properties)), ..bare };
        assert!((1100..1400).contains(&heavy.weight()), "{}", heavy.weight());
    }
}
