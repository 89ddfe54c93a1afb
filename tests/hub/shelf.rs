//! A durable consumer for tests.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;
use weir::hub::{Durable, Full};
use weir::model::{Message, Ticket};

/// Takes as many messages as it has places, and keeps their tickets.
pub(crate) struct Shelf {
    places: Semaphore,
    taken: Mutex<Vec<(Arc<Message>, Option<Ticket>)>>,
}

impl Shelf {
    pub(crate) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self { places: Semaphore::new(places), taken: Mutex::default() })
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        let text = |message: &Message| String::from_utf8(message.payload.to_vec()).unwrap();
        self.taken.lock().unwrap().iter().map(|(message, _)| text(message)).collect()
    }

    pub(crate) fn add_places(&self, count: usize) {
        self.places.add_permits(count);
    }

    /// The ticket of the message at this place.
    pub(crate) fn ticket(&self, at: usize) -> Ticket {
        self.taken.lock().unwrap()[at].1.take().expect("it has one, and it is taken once")
    }

    pub(crate) fn settle_all(&self) {
        self.taken.lock().unwrap().iter_mut().filter_map(|(_, ticket)| ticket.take()).for_each(Ticket::settle);
    }
}

impl Durable for Shelf {
    fn offer(&self, message: &Arc<Message>, ticket: Option<Ticket>) -> Result<(), Full> {
        let Ok(place) = self.places.try_acquire() else { return Err(Full(ticket)) };
        place.forget();
        self.taken.lock().unwrap().push((Arc::clone(message), ticket));
        Ok(())
    }

    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            match self.places.acquire().await {
                Ok(_) => {}
                Err(_) => pending().await,
            }
        })
    }
}
