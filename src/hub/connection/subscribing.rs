//! SUBSCRIBE and UNSUBSCRIBE of one connection, and the retained messages that follow.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::super::codec::{Options, Packet, Reason, RetainHandling, Subscribe, Unsubscribe, Verdicts};
use super::super::journal::Grant;
use super::super::memory::Level;
use super::super::queue::Parcel;
use super::super::router::Target;
use super::super::routes::Subscription;
use super::super::tree::levels;
use super::profile::Profile;
use super::{Connection, End};
use crate::model::{Filter, Receipt, Topic};

/// Retained messages queued at once for one client.
const STEP: usize = 64;

/// Retained messages that a subscription still has to get.
#[derive(Debug)]
pub(super) struct Replay {
    filter: Filter,
    options: Options,
    id: Option<u32>,
    /// How far it has come.
    after: Option<Topic>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn subscribe(&mut self, subscribe: &Subscribe<'_>) -> Result<(), End> {
        let id = subscribe.properties.as_ref().and_then(|it| it.subscription_ids.first().copied());
        let mut reasons = Vec::with_capacity(subscribe.filters.len());
        let (receipt, mut replays) = (Receipt::new(), Vec::new());
        // More than a client may have are not worth the work.
        let most = self.rules.limits.subscriptions;
        for (number, &(text, options)) in subscribe.filters.iter().enumerate() {
            let full = number >= most;
            reasons.push(match full {
                true => Reason::QUOTA_EXCEEDED,
                false => self.subscribe_one(text, options, id, &receipt, &mut replays)?,
            });
        }
        let suback = Packet::Suback(Verdicts { packet_id: subscribe.packet_id, properties: None, reasons });
        self.owe_soon(&suback, receipt, replays);
        Ok(())
    }

    fn subscribe_one(
        &mut self,
        text: &str,
        mut options: Options,
        id: Option<u32>,
        receipt: &Receipt,
        replays: &mut Vec<Replay>,
    ) -> Result<Reason, End> {
        let limits = &self.rules.limits;
        let target = Target::parse(text).filter(|target| levels(target.filter.as_str()) <= limits.topic_levels);
        let Some(target) = target else { return Ok(Reason::TOPIC_FILTER_INVALID) };
        if target.group.is_some() && options.no_local {
            return Err(End::Closed(Reason::PROTOCOL_ERROR, "no-local on a shared subscription"));
        }
        if !self.access.may_subscribe(&target.filter) {
            // No more is revealed than that there is no subscription, as in MQTT 3.1.1 (0x80).
            return Ok(Reason::UNSPECIFIED);
        }
        options.qos = Profile::grant(options.qos, &self.settings.limits);
        let mut session = self.session()?;
        let known = session.subscriptions.contains(text);
        let full = self.hub.router.memory.level() >= Level::Full;
        if !known && (full || session.subscriptions.len() >= limits.subscriptions) {
            return Ok(Reason::QUOTA_EXCEEDED);
        }
        if let Some(place) = &session.place
            && place.subscribe(text, Grant::new(options, id), || receipt.ticket()).is_err()
        {
            return Ok(Reason::QUOTA_EXCEEDED);
        }
        session.subscribe(text);
        drop(session);
        self.hub.router.subscribe(&target, Subscription { member: Arc::clone(&self.member), options, id });
        if !known {
            self.hub.router.tally.subscribed(text);
        }
        let wanted = match options.retain_handling {
            RetainHandling::Always => true,
            RetainHandling::IfNew => !known,
            RetainHandling::Never => false,
        };
        // A shared subscription gets no retained messages (MQTT 5.0 section 4.8.2).
        if wanted && target.group.is_none() {
            replays.push(Replay { filter: target.filter, options, id, after: None });
        }
        Ok(Reason(options.qos as u8))
    }

    pub(super) fn unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) -> Result<(), End> {
        let mut reasons = Vec::with_capacity(unsubscribe.filters.len());
        let receipt = Receipt::new();
        for &text in &unsubscribe.filters {
            let mut session = self.session()?;
            let removed = session.unsubscribe(text);
            if let Some(place) = session.place.as_ref().filter(|_| removed) {
                place.unsubscribe(text, receipt.ticket());
            }
            drop(session);
            match Target::parse(text) {
                Some(target) if removed => {
                    let replayed = |replay: &Replay| target.group.is_none() && replay.filter == target.filter;
                    self.replays.retain(|replay| !replayed(replay));
                    self.owed.forget(replayed);
                    self.hub.router.unsubscribe(&[target], &self.member);
                    self.hub.router.tally.unsubscribed(text);
                    reasons.push(Reason::SUCCESS);
                }
                Some(_) => reasons.push(Reason::NO_SUBSCRIPTION_EXISTED),
                None => reasons.push(Reason::TOPIC_FILTER_INVALID),
            }
        }
        let unsuback = Packet::Unsuback(Verdicts { packet_id: unsubscribe.packet_id, properties: None, reasons });
        self.owe_soon(&unsuback, receipt, Vec::new());
        Ok(())
    }

    /// However often a client asks for the same, it is replayed once; when it asks for much, each filter is.
    pub(super) fn start_replays(&mut self, replays: Vec<Replay>) {
        let most = self.rules.limits.subscriptions;
        for new in replays {
            let crowded = self.replays.len() >= most;
            let same = |it: &Replay| crowded || (it.options == new.options && it.id == new.id);
            self.replays.retain(|it| it.filter != new.filter || !same(it));
            self.replays.push_back(new);
        }
    }

    /// Queues some more retained messages while little else waits. True when there was something to do.
    pub(super) fn replay(&mut self) -> Result<bool, End> {
        let Some(replay) = self.replays.front_mut() else { return Ok(false) };
        // The lock is held until the messages are queued: a newer value then comes behind them.
        let retained = self.hub.router.retained();
        let step = retained.some(&replay.filter, replay.after.as_ref(), STEP, Instant::now());
        let mut session = self.member.lock();
        if session.epoch != self.epoch {
            return Err(End::TakenOver);
        }
        let ids = replay.id.map(|id| Arc::from([id]));
        let mut moved = false;
        for kept in step.found {
            if session.is_half_full() {
                return Ok(moved);
            }
            let qos = kept.message.qos.min(replay.options.qos);
            replay.after = Some(kept.message.topic.clone());
            moved = true;
            if !self.access.may_receive(&kept.message.topic) {
                continue;
            }
            if replay.options.no_local && kept.message.origin == self.origin {
                continue;
            }
            let mut entry = None;
            session.push(Parcel::new(kept.message, qos, true, kept.expires, ids.clone()), &mut entry);
            if let (Some(entry), Some(journal)) = (entry, self.hub.router.journal()) {
                journal.seal(entry, None, || None);
            }
        }
        drop(session);
        replay.after = step.next;
        if replay.after.is_none() {
            self.replays.pop_front();
        }
        Ok(true)
    }
}
