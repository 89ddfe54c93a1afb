//! The acknowledgement that travels back along the road.
//!
//! A publisher holds a [`Receipt`]; every durable consumer of the message holds a [`Ticket`].
//! The receipt is ready when all tickets are settled. A ticket that is dropped without a word
//! never turns into an acknowledgement: the receipt then says [`Verdict::Abandoned`].

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Why a durable consumer did not take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Its quota is used up (MQTT 5 reason 0x97).
    QuotaExceeded,
    /// It cannot write (MQTT 5 reason 0x83).
    Failed,
}

/// What became of a message at all its durable consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// On disk, or acknowledged by the receiver, at every consumer.
    Safe,
    /// At least one consumer refused it.
    Refused(Refusal),
    /// At least one consumer went away: nothing may be acknowledged.
    Abandoned,
}

#[derive(Debug)]
struct State {
    open: usize,
    verdict: Verdict,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Shared(Mutex<State>);

impl Shared {
    fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Closes one ticket; the worst verdict of all tickets stands.
    fn close(&self, verdict: Verdict) {
        let waker = self.change(|state| {
            state.open -= 1;
            state.verdict = worse(state.verdict, verdict);
            if state.open == 0 { state.waker.take() } else { None }
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

fn worse(a: Verdict, b: Verdict) -> Verdict {
    match (a, b) {
        (Verdict::Abandoned, _) | (_, Verdict::Abandoned) => Verdict::Abandoned,
        (Verdict::Refused(why), _) | (_, Verdict::Refused(why)) => Verdict::Refused(why),
        (Verdict::Safe, Verdict::Safe) => Verdict::Safe,
    }
}

/// The publisher's half: a future of the [`Verdict`].
#[derive(Debug)]
pub struct Receipt(Arc<Shared>);

impl Receipt {
    /// A receipt with no ticket yet: ready at once, as [`Verdict::Safe`].
    pub fn new() -> Self {
        Self(Arc::new(Shared(Mutex::new(State { open: 0, verdict: Verdict::Safe, waker: None }))))
    }

    /// One more durable consumer that has to settle.
    pub fn ticket(&self) -> Ticket {
        self.0.change(|state| state.open += 1);
        Ticket(Some(Arc::clone(&self.0)))
    }

    /// The verdict, when every ticket is settled already.
    pub fn verdict(&self) -> Option<Verdict> {
        self.0.change(|state| (state.open == 0).then_some(state.verdict))
    }
}

impl Default for Receipt {
    fn default() -> Self {
        Self::new()
    }
}

impl Future for Receipt {
    type Output = Verdict;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Verdict> {
        self.0.change(|state| {
            if state.open == 0 {
                return Poll::Ready(state.verdict);
            }
            state.waker = Some(context.waker().clone());
            Poll::Pending
        })
    }
}

/// One durable consumer's half. Settle it, or the message is never acknowledged.
#[derive(Debug)]
#[must_use = "a dropped ticket means that the message is never acknowledged"]
pub struct Ticket(Option<Arc<Shared>>);

impl Ticket {
    /// The message is safe here: on disk, or acknowledged by the receiver.
    pub fn settle(mut self) {
        self.close(Verdict::Safe);
    }

    /// The message is not taken.
    pub fn refuse(mut self, why: Refusal) {
        self.close(Verdict::Refused(why));
    }

    fn close(&mut self, verdict: Verdict) {
        if let Some(shared) = self.0.take() {
            shared.close(verdict);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.close(Verdict::Abandoned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_ticket_is_safe_at_once() {
        assert_eq!(Receipt::new().verdict(), Some(Verdict::Safe));
    }

    #[test]
    fn the_last_ticket_decides_when_and_the_worst_decides_what() {
        let receipt = Receipt::new();
        let (a, b) = (receipt.ticket(), receipt.ticket());
        a.refuse(Refusal::QuotaExceeded);
        assert_eq!(receipt.verdict(), None);
        b.settle();
        assert_eq!(receipt.verdict(), Some(Verdict::Refused(Refusal::QuotaExceeded)));
    }

    #[test]
    fn a_dropped_ticket_never_acknowledges() {
        let receipt = Receipt::new();
        drop(receipt.ticket());
        assert_eq!(receipt.verdict(), Some(Verdict::Abandoned));
    }

    #[tokio::test]
    async fn the_receipt_wakes_its_waiter() {
        let receipt = Receipt::new();
        let ticket = receipt.ticket();
        let waiter = tokio::spawn(receipt);
        tokio::task::yield_now().await;
        ticket.settle();
        assert_eq!(waiter.await.unwrap(), Verdict::Safe);
    }
}
