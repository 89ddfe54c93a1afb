//! From the cloud into the hub. The cloud is acknowledged, in order, when everybody here who must
//! keep a message has it.

use tokio::sync::mpsc;

use super::tally::Tally;
use crate::hub::Hub;
use crate::model::{Message, Qos, Receipt, Verdict};

/// What came: the message, unless no rule lets it in, and what to acknowledge it by.
#[derive(Debug)]
pub(super) struct Arrival {
    /// Packet id; 0 at QoS 0.
    pub(super) id: u16,
    /// QoS of the delivery.
    pub(super) qos: Qos,
    /// For the hub.
    pub(super) message: Option<Message>,
}

/// What can be acknowledged now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    /// Packet id.
    pub(super) id: u16,
    /// QoS of the delivery, 1 or 2.
    pub(super) qos: Qos,
    /// Whether it may be acknowledged. If not, the cloud has to deliver it again.
    pub(super) safe: bool,
}

/// Publishes all arrivals, one after the other, and tells when each is kept. Never ends before `arrivals` does.
pub(super) async fn deliver(
    hub: &Hub,
    tally: &Tally,
    mut arrivals: mpsc::Receiver<Arrival>,
    kept: mpsc::Sender<Kept>,
    in_flight: usize,
) {
    let (receipts, mut to_settle) = mpsc::channel::<(u16, Qos, Receipt)>(in_flight);
    let publish = async move {
        while let Some(Arrival { id, qos, message }) = arrivals.recv().await {
            let receipt = match message {
                Some(message) => {
                    tally.received.one();
                    hub.publish(message).await
                }
                None => Receipt::new(),
            };
            if qos != Qos::AtMostOnce && receipts.send((id, qos, receipt)).await.is_err() {
                return;
            }
        }
    };
    let settle = async move {
        while let Some((id, qos, receipt)) = to_settle.recv().await {
            let safe = match receipt.await {
                Verdict::Safe => true,
                // A consumer without room follows its own policy; the way down must not wedge on it.
                Verdict::Refused(_) => {
                    tally.refused_here.one();
                    true
                }
                Verdict::Abandoned => false,
            };
            if kept.send(Kept { id, qos, safe }).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(publish, settle);
}
