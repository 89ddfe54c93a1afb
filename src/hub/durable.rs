//! Durable consumers: receivers whose word makes a message safe.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::journal::Journal;
use crate::model::{Message, Qos, Receipt, Ticket};

/// There is no room now; gives the ticket back.
#[derive(Debug)]
pub struct Full(pub Option<Ticket>);

/// Takes messages for a place that outlives this process, or for somebody beyond the hub.
pub trait Durable: Send + Sync {
    /// Takes the message (`ticket` is `None` when nobody waits, as with QoS 0), or gives the ticket back when there is no room now.
    /// Must never block.
    ///
    /// # Errors
    /// [`Full`] when there is no room now.
    fn offer(&self, message: &Arc<Message>, ticket: Option<Ticket>) -> Result<(), Full>;

    /// Resolves when there may be room again.
    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// One registered consumer.
pub(crate) struct Consumer {
    pub(crate) durable: Arc<dyn Durable>,
}

/// A message that some durable consumers have not taken yet.
pub(crate) struct Stuck {
    message: Arc<Message>,
    /// Those that have not taken it, in order, each with its ticket.
    left: Vec<(Arc<Consumer>, Option<Ticket>)>,
    room: Option<Room>,
}

type Room = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What became of a message at the durable consumers, as far as it is known at once.
pub(crate) struct Offered {
    /// For the acknowledgement; `None` when nobody has to settle anything.
    pub(crate) receipt: Option<Receipt>,
    /// Poll it until it is ready before the next message is offered.
    pub(crate) stuck: Option<Stuck>,
}

/// The tickets of one message: none with QoS 0, or when its publisher does not wait.
pub(crate) struct Tickets {
    qos: Qos,
    waits: bool,
    /// Begins with the first ticket.
    receipt: Option<Receipt>,
    /// The journal keeps something of the message.
    journaled: bool,
}

impl Tickets {
    pub(crate) fn new(qos: Qos, waits: bool) -> Self {
        Self { qos, waits, receipt: None, journaled: false }
    }

    fn one_more(&mut self) -> Option<Ticket> {
        (self.waits && self.qos != Qos::AtMostOnce).then(|| self.receipt.get_or_insert_default().ticket())
    }

    pub(crate) fn of_journal(&mut self) -> Option<Ticket> {
        self.journaled = self.qos != Qos::AtMostOnce;
        self.one_more()
    }
}

/// Offers `message` to all `consumers`. The journal may be pressed by its part of it.
pub(crate) fn offer(
    message: &Arc<Message>,
    consumers: &[Arc<Consumer>],
    mut tickets: Tickets,
    journal: Option<&Arc<Journal>>,
) -> Offered {
    let pressed = journal.filter(|journal| tickets.journaled && journal.is_pressed());
    let mut left: Vec<_> = consumers.iter().map(|consumer| (Arc::clone(consumer), tickets.one_more())).collect();
    let receipt = tickets.receipt;
    if left.is_empty() && pressed.is_none() {
        return Offered { receipt, stuck: None };
    }
    left = offer_each(message, left);
    let room = pressed.map(|journal| Box::pin(journal.room()) as Room);
    let stuck = !left.is_empty() || room.is_some();
    let stuck = stuck.then(|| Stuck { message: Arc::clone(message), left, room });
    Offered { receipt, stuck }
}

/// Gives back those that have no room.
fn offer_each(
    message: &Arc<Message>,
    consumers: Vec<(Arc<Consumer>, Option<Ticket>)>,
) -> Vec<(Arc<Consumer>, Option<Ticket>)> {
    let refuses = |(consumer, ticket): (Arc<Consumer>, Option<Ticket>)| {
        let Full(ticket) = consumer.durable.offer(message, ticket).err()?;
        Some((consumer, ticket))
    };
    consumers.into_iter().filter_map(refuses).collect()
}

impl Stuck {
    /// Ready when every consumer has taken the message.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let room = match (&mut self.room, self.left.first()) {
                (Some(room), _) => room,
                (None, None) => return Poll::Ready(()),
                (none, Some((first, _))) => {
                    let consumer = Arc::clone(first);
                    none.insert(Box::pin(async move { consumer.durable.room().await }))
                }
            };
            if room.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.room = None;
            self.left = offer_each(&self.message, std::mem::take(&mut self.left));
        }
    }
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Consumer")
    }
}
