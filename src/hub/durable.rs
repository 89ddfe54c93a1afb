//! Durable consumers: receivers whose word makes a message safe.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::model::{Message, Receipt, Ticket};

/// There is no room now; gives the ticket back.
#[derive(Debug)]
pub struct Full(pub Option<Ticket>);

/// Takes messages for a place that outlives this process, or for somebody beyond the hub.
pub trait Durable: Send + Sync {
    /// Takes the message (`ticket` is `None` for QoS 0), or gives the ticket back when there is no room now.
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
    room: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// What became of a message at the durable consumers, as far as it is known at once.
pub(crate) struct Offered {
    /// For the acknowledgement; `None` when nobody has to settle anything.
    pub(crate) receipt: Option<Receipt>,
    /// Poll it until it is ready before the next message is offered.
    pub(crate) stuck: Option<Stuck>,
}

impl Offered {
    pub(crate) const DONE: Self = Self { receipt: None, stuck: None };
}

/// Offers `message` to all `consumers`; with QoS 1 and 2 they get tickets.
pub(crate) fn offer(message: &Arc<Message>, consumers: &[Arc<Consumer>]) -> Offered {
    if consumers.is_empty() {
        return Offered::DONE;
    }
    let receipt = (message.qos as u8 > 0).then(Receipt::new);
    let ticket = || receipt.as_ref().map(Receipt::ticket);
    let mut left: Vec<_> = consumers.iter().map(|consumer| (Arc::clone(consumer), ticket())).collect();
    left = offer_each(message, left);
    let stuck = (!left.is_empty()).then(|| Stuck { message: Arc::clone(message), left, room: None });
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
            let Some((first, _)) = self.left.first() else { return Poll::Ready(()) };
            let room = self.room.get_or_insert_with(|| {
                let consumer = Arc::clone(first);
                Box::pin(async move { consumer.durable.room().await })
            });
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
