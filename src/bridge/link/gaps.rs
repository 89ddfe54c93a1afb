//! Gaps are told to the cloud: what was stored and will never come.

use bytes::Bytes;
use tokio::time::Instant;

use super::flights::Cargo;
use super::{DEDUPE_KEY, End, Link};
use crate::bridge::gaps::{chain, document};
use crate::bridge::uplink::codec::{Out, Publish};
use crate::model::{Properties, Qos};
use crate::store::Gap;

impl Link<'_> {
    /// Looks for gaps that the cloud does not know.
    pub(super) fn learn_gaps(&mut self) {
        self.untold.extend(self.seen.new_ones(&self.core.outbox));
    }

    /// Publishes a gap of a chain.
    pub(super) fn tell_gap(&mut self, index: usize, gap: Gap) -> Result<(), End> {
        let (key, payload) = document(self.core.store.id(), chain(&self.core.outbox, index).key(), &gap);
        let properties = Properties {
            utf8_payload: Some(true),
            content_type: Some("application/json".into()),
            user: vec![(DEDUPE_KEY.into(), key.into())],
            ..Properties::default()
        };
        let publish = Publish {
            topic: self.core.outbox.rules.cloud_gap(),
            payload: Bytes::from(payload),
            qos: Qos::AtLeastOnce,
            retain: false,
            dup: false,
            id: self.flights.next_id(),
            properties: Some(Box::new(properties)),
        };
        self.put(&Out::Publish(&publish))?;
        self.flights.depart(publish.id, Cargo::Gap(index, gap), 0, Instant::now());
        Ok(())
    }

    /// The cloud knows a gap, unless it refused to hear of it: then it is told again on the next connection.
    pub(super) fn gap_told(&mut self, index: usize, gap: &Gap, reason: u8) {
        if reason < 0x80 {
            chain(&self.core.outbox, index).told(gap);
        } else {
            tracing::warn!(bridge = %self.core.settings.name, reason, "the cloud refuses to be told of a gap");
        }
    }
}
