//! What goes to the client, and its answers.

use tokio::time::Instant;

use super::{Answer, BATCH, InFlight, Known, Outgoing, Session, Taken};
use crate::model::Qos;

enum Ready {
    Repeat,
    Fresh,
}

impl Session {
    /// Moves what may be sent now into `out`, at most `count` packets and about [`BATCH`] bytes.
    /// When nothing is left to send, the next push rings the bell.
    pub(crate) fn take(&mut self, count: usize, now: Instant, out: &mut Vec<Outgoing>) -> Taken {
        let mut taken = Taken::default();
        let before = out.len();
        let enough = before + count;
        let mut bytes = 0;
        while out.len() < enough && bytes < BATCH {
            let Some(front) = self.next_ready() else {
                self.asleep = true;
                taken.all = true;
                break;
            };
            let last = out.len();
            match front {
                Ready::Repeat => out.push(self.repeat()),
                Ready::Fresh => taken.expired += self.fresh(now, out),
            }
            bytes += out[last..].iter().map(Outgoing::size).sum::<usize>();
        }
        if out.len() > before {
            self.progress = now;
            self.taken += (out.len() - before) as u64;
            self.losing &= self.queue.is_half_full();
        }
        taken
    }

    fn next_ready(&self) -> Option<Ready> {
        if let Some(next) = self.in_flight.get(self.sent) {
            let waits = next.gate.as_ref().is_some_and(|gate| gate.is_closed());
            return ((next.parcel.is_none() || self.sent < self.window) && !waits).then_some(Ready::Repeat);
        }
        let front = self.queue.front().filter(|front| !front.is_gated())?;
        (front.qos == Qos::AtMostOnce || self.sent < self.window).then_some(Ready::Fresh)
    }

    fn repeat(&mut self) -> Outgoing {
        let entry = &mut self.in_flight[self.sent];
        self.sent += 1;
        match &entry.parcel {
            Some(parcel) => Outgoing::Publish { id: entry.id, dup: true, parcel: parcel.clone() },
            None => Outgoing::Release { id: entry.id },
        }
    }

    /// Sends the front of the queue, unless it has expired; returns 1 then.
    fn fresh(&mut self, now: Instant, out: &mut Vec<Outgoing>) -> usize {
        let Some(parcel) = self.queue.pop() else { return 0 };
        self.reserved.remove(&parcel.id);
        let withheld = self.is_withheld(&parcel);
        let expired = parcel.expires.is_some_and(|expires| expires <= now);
        if withheld || expired || parcel.is_refused() {
            self.withheld += usize::from(withheld);
            self.is_over(&parcel);
            return usize::from(expired && !withheld);
        }
        if parcel.qos == Qos::AtMostOnce {
            out.push(Outgoing::Publish { id: 0, dup: false, parcel });
            return 0;
        }
        let id = if parcel.id == 0 { self.free_id() } else { parcel.id };
        self.queue.sent(&parcel);
        self.in_flight.push_back(InFlight { id, parcel: Some(parcel.clone()), gate: None });
        self.sent += 1;
        out.push(Outgoing::Publish { id, dup: parcel.dup, parcel });
        0
    }

    /// The next packet id that is not in flight or reserved; those are fewer than there are ids.
    pub(super) fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            // Ids are given in rising order, so that one in use is met only after a full turn.
            let used = |id| self.in_flight.iter().any(|entry| entry.id == id) || self.reserved.contains(&id);
            if !used(self.last_id) {
                return self.last_id;
            }
        }
    }

    /// Where `id` is among what was sent on this connection; nearly always in front.
    fn find(&self, id: u16) -> Option<usize> {
        self.in_flight.iter().take(self.sent).position(|entry| entry.id == id)
    }

    pub(super) fn finish(&mut self, at: usize) {
        let gone = self.in_flight.remove(at);
        self.sent -= 1;
        if let Some(parcel) = gone.and_then(|gone| gone.parcel) {
            self.queue.done(&parcel);
            self.is_over(&parcel);
        }
    }

    /// PUBACK.
    pub(crate) fn acknowledged(&mut self, id: u16) -> Known {
        let qos1 = |entry: &InFlight| entry.parcel.as_ref().is_some_and(|it| it.qos == Qos::AtLeastOnce);
        match self.find(id).filter(|&at| qos1(&self.in_flight[at])) {
            Some(at) => {
                self.finish(at);
                Known::Yes
            }
            None => Known::No,
        }
    }

    /// PUBREC. With `Known::Yes` the answer is PUBREL, unless the client refused the message.
    pub(crate) fn received_by_client(&mut self, id: u16, refused: bool) -> Answer {
        let qos2 = |entry: &InFlight| entry.parcel.as_ref().is_none_or(|it| it.qos == Qos::ExactlyOnce);
        match self.find(id).filter(|&at| qos2(&self.in_flight[at])) {
            Some(at) if refused => {
                self.finish(at);
                Answer::Now(Known::Yes)
            }
            Some(at) => self.note_received(at),
            None => Answer::Now(Known::No),
        }
    }

    /// PUBCOMP.
    pub(crate) fn completed(&mut self, id: u16) -> Known {
        match self.find(id).filter(|&at| self.in_flight[at].parcel.is_none()) {
            Some(at) => {
                self.finish(at);
                self.place.iter().for_each(|place| place.completed(id));
                Known::Yes
            }
            None => Known::No,
        }
    }

    /// A message that cannot be sent to this client counts as delivered (MQTT-3.1.2-25).
    pub(crate) fn skip(&mut self, id: u16) {
        if let Some(at) = self.find(id) {
            self.finish(at);
        }
    }
}
