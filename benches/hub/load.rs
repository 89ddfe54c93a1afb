//! The load: publishers that never wait longer than their window, subscribers that count.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use weir::model::Qos;

use crate::broker::Broker;
use crate::client::{Input, client, put, subscriber};

const PAYLOAD: [u8; 64] = [b'x'; 64];
/// QoS 1 and 2 messages that are not done: of one publisher, and of each of many.
const WINDOW: usize = 100;
const WINDOW_OF_MANY: usize = 10;
/// A subscriber that hears nothing for this long has lost the rest.
const SILENCE: Duration = Duration::from_secs(3);
/// Packet types.
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const PUBREC: u8 = 5;
const PUBREL: u8 = 6;
const PUBCOMP: u8 = 7;

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) qos: Qos,
    pub(crate) publishers: usize,
    pub(crate) subscribers: usize,
    /// Published in all; each subscriber gets every one.
    pub(crate) messages: usize,
}

/// What one run of a case has given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    /// Messages that arrived per second.
    pub(crate) rate: f64,
    /// CPU time of the broker per message that arrived, in microseconds.
    pub(crate) cpu_us: f64,
    /// Of a hundred messages.
    pub(crate) arrived: f64,
}

impl Case {
    /// Publishes all messages and waits until the subscribers have them. `scale` divides their number.
    pub(crate) async fn run(&self, broker: &Broker, scale: usize) -> Figure {
        let messages = (self.messages / scale).next_multiple_of(self.publishers);
        let mut subscribers = Vec::new();
        for number in 0..self.subscribers {
            let name = format!("subscriber{number}");
            subscribers.push(subscriber(broker.address, &name, "bench/+", self.qos).await);
        }
        let mut publishers = Vec::new();
        for number in 0..self.publishers {
            publishers.push(client(broker.address, &format!("publisher{number}")).await);
        }
        let (began, cpu) = (Instant::now(), broker.cpu_us());
        let counting: JoinSet<_> = subscribers.into_iter().map(|socket| count(socket, self.qos, messages)).collect();
        let publishing = publishers.into_iter().enumerate();
        let publishing: JoinSet<()> = publishing.map(|(at, socket)| self.publish(at, socket, messages)).collect();
        let counted = counting.join_all().await;
        drop(timeout(SILENCE, publishing.join_all()).await);
        let arrived = counted.iter().map(|(arrived, _)| arrived).sum::<usize>() as f64;
        let last = counted.iter().map(|(_, last)| *last).max().unwrap();
        Figure {
            rate: arrived / last.duration_since(began).as_secs_f64(),
            cpu_us: (broker.cpu_us() - cpu) as f64 / arrived,
            arrived: arrived * 100.0 / (messages * self.subscribers) as f64,
        }
    }

    fn publish(&self, at: usize, socket: TcpStream, messages: usize) -> impl Future<Output = ()> + use<> {
        let topic = format!("bench/{at:03}");
        let each = messages / self.publishers;
        let (qos, window) = (self.qos, if self.publishers == 1 { WINDOW } else { WINDOW_OF_MANY });
        async move {
            match qos {
                Qos::AtMostOnce => pour(socket, &topic, each).await,
                _ => publish(socket, qos, each, window, |_| topic.clone(), false).await,
            }
        }
    }
}

/// QoS 0: as fast as the socket takes it.
async fn pour(mut socket: TcpStream, topic: &str, count: usize) {
    let mut batch = Vec::new();
    for sent in 1..=count {
        put(topic, Qos::AtMostOnce, false, 0, &PAYLOAD, &mut batch);
        if batch.len() > 16 << 10 || sent == count {
            socket.write_all(&batch).await.unwrap();
            batch.clear();
        }
    }
    // The broker may still read: close politely.
    socket.shutdown().await.unwrap();
    socket.read_to_end(&mut Vec::new()).await.ok();
}

/// QoS 1 and 2: at most `window` that are not done.
pub(crate) async fn publish(
    mut socket: TcpStream,
    qos: Qos,
    count: usize,
    window: usize,
    topic: impl Fn(usize) -> String,
    retain: bool,
) {
    let (mut sent, mut done) = (0, 0);
    let (mut batch, mut input) = (Vec::new(), Input::new());
    while done < count {
        while sent < count && sent - done < window {
            sent += 1;
            put(&topic(sent), qos, retain, (sent % 60_000) as u16 + 1, &PAYLOAD, &mut batch);
        }
        socket.write_all(&batch).await.unwrap();
        batch.clear();
        let open = input.read(&mut socket, |kind, packet| match kind {
            PUBACK | PUBCOMP => done += 1,
            PUBREC => batch.extend([0x62, 2, packet[2], packet[3]]),
            _ => {}
        });
        assert!(open.await, "the broker closed the connection");
    }
}

/// Counts what arrives, answers it, and says when the last one was done.
async fn count(mut socket: TcpStream, qos: Qos, wanted: usize) -> (usize, Instant) {
    let (mut input, mut answers) = (Input::new(), Vec::new());
    let (mut arrived, mut released, mut last) = (0, 0, Instant::now());
    while arrived < wanted || (qos == Qos::ExactlyOnce && released < wanted) {
        let read = input.read(&mut socket, |kind, packet| match kind {
            PUBLISH => {
                arrived += 1;
                // Behind the header and the topic, when there is an id at all.
                let at = 4 + usize::from(packet[3]);
                match packet[0] >> 1 & 3 {
                    1 => answers.extend([PUBACK << 4, 2, packet[at], packet[at + 1]]),
                    2 => answers.extend([PUBREC << 4, 2, packet[at], packet[at + 1]]),
                    _ => {}
                }
            }
            PUBREL => {
                released += 1;
                answers.extend([PUBCOMP << 4, 2, packet[2], packet[3]]);
            }
            _ => {}
        });
        let Ok(true) = timeout(SILENCE, read).await else { break };
        if !answers.is_empty() && socket.write_all(&answers).await.is_err() {
            break;
        }
        answers.clear();
        last = Instant::now();
    }
    (arrived, last)
}
