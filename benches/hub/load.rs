//! The load: publishers that never wait longer than their window, one subscriber that counts.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use weir::hub::codec::{Ack, Connect, Options, Packet, Publish, Reason, Subscribe, Version};
use weir::model::Qos;

use crate::Figure;

const VERSION: Version = Version::V4;
const PAYLOAD: [u8; 64] = [b'x'; 64];
/// QoS 1 messages without PUBACK: of one publisher, and of each of many.
const WINDOW: usize = 100;
const WINDOW_OF_MANY: usize = 10;
/// A subscriber that hears nothing for this long has lost the rest.
const SILENCE: Duration = Duration::from_secs(3);

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) qos: u8,
    pub(crate) publishers: usize,
    pub(crate) messages: usize,
}

impl Case {
    /// Publishes all messages and waits until the subscriber has them.
    pub(crate) async fn run(&self, broker: SocketAddr) -> Figure {
        let qos = Qos::from_level(self.qos).unwrap();
        let mut subscriber = client(broker, "subscriber").await;
        let filters = vec![("bench/+", Options::plain(qos))];
        request(&mut subscriber, &Packet::Subscribe(Subscribe { packet_id: 1, properties: None, filters }), 5).await;
        let mut publishers = Vec::new();
        for number in 0..self.publishers {
            publishers.push(client(broker, &format!("publisher{number}")).await);
        }
        let each = self.messages / self.publishers;
        let window = if self.publishers == 1 { WINDOW } else { WINDOW_OF_MANY };
        let began = Instant::now();
        let counting = tokio::spawn(count(subscriber, qos, self.messages));
        for (number, socket) in publishers.into_iter().enumerate() {
            let topic = format!("bench/{number:03}");
            tokio::spawn(async move {
                match qos {
                    Qos::AtMostOnce => pour(socket, &topic, each).await,
                    _ => publish(socket, &topic, each, window).await,
                }
            });
        }
        let (arrived, last) = counting.await.unwrap();
        let rate = arrived as f64 / last.duration_since(began).as_secs_f64();
        Figure { rate, arrived: arrived as f64 * 100.0 / self.messages as f64 }
    }
}

async fn client(broker: SocketAddr, client_id: &str) -> TcpStream {
    let mut socket = TcpStream::connect(broker).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let (will, user, password, properties) = (None, None, None, None);
    let (version, clean_start, keep_alive_s) = (VERSION, true, 0);
    let connect = Connect { version, clean_start, keep_alive_s, client_id, will, user, password, properties };
    request(&mut socket, &Packet::Connect(Box::new(connect)), 4).await;
    socket
}

/// Sends a packet and takes an answer of `size` bytes.
async fn request(socket: &mut TcpStream, packet: &Packet<'_>, size: usize) {
    let mut bytes = Vec::new();
    packet.encode(VERSION, &mut bytes);
    socket.write_all(&bytes).await.unwrap();
    socket.read_exact(&mut vec![0; size]).await.unwrap();
}

fn put(topic: &str, qos: Qos, packet_id: u16, out: &mut Vec<u8>) {
    let publish = Publish { dup: false, qos, retain: false, topic, packet_id, properties: None, payload: &PAYLOAD };
    Packet::Publish(publish).encode(VERSION, out);
}

/// QoS 0: as fast as the socket takes it.
async fn pour(mut socket: TcpStream, topic: &str, count: usize) {
    let mut batch = Vec::new();
    for sent in 1..=count {
        put(topic, Qos::AtMostOnce, 0, &mut batch);
        if batch.len() > 16 << 10 || sent == count {
            socket.write_all(&batch).await.unwrap();
            batch.clear();
        }
    }
    // The broker may still read: close politely.
    socket.shutdown().await.unwrap();
    socket.read_to_end(&mut Vec::new()).await.ok();
}

/// QoS 1: at most `window` without PUBACK.
async fn publish(mut socket: TcpStream, topic: &str, count: usize, window: usize) {
    let (mut sent, mut acknowledged, mut odd) = (0, 0, 0);
    let (mut batch, mut answers) = (Vec::new(), vec![0; 4096]);
    while acknowledged < count {
        while sent < count && sent - acknowledged < window {
            sent += 1;
            put(topic, Qos::AtLeastOnce, (sent % 60_000) as u16 + 1, &mut batch);
        }
        socket.write_all(&batch).await.unwrap();
        batch.clear();
        let bytes = odd + socket.read(&mut answers).await.unwrap();
        assert!(bytes > odd, "the broker closed the connection");
        (acknowledged, odd) = (acknowledged + bytes / 4, bytes % 4);
    }
}

/// Counts what arrives, acknowledges QoS 1, and says when the last one came.
async fn count(mut socket: TcpStream, qos: Qos, wanted: usize) -> (usize, Instant) {
    let mut model = Vec::new();
    put("bench/000", qos, 1, &mut model);
    let (size, id_at) = (model.len(), 2 + 2 + "bench/000".len());
    let (mut buffer, mut held, mut answers) = (vec![0; 256 << 10], 0, Vec::new());
    let (mut arrived, mut last) = (0, Instant::now());
    while arrived < wanted {
        let Ok(Ok(read @ 1..)) = timeout(SILENCE, socket.read(&mut buffer[held..])).await else { break };
        held += read;
        let whole = held / size;
        if qos == Qos::AtLeastOnce {
            for packet in buffer[..whole * size].chunks_exact(size) {
                let id = u16::from_be_bytes([packet[id_at], packet[id_at + 1]]);
                Packet::Puback(Ack::new(id, Reason::SUCCESS)).encode(VERSION, &mut answers);
            }
            socket.write_all(&answers).await.unwrap();
            answers.clear();
        }
        buffer.copy_within(whole * size..held, 0);
        held -= whole * size;
        (arrived, last) = (arrived + whole, Instant::now());
    }
    (arrived, last)
}
