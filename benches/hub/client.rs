//! Clients of the benchmark: MQTT 3.1.1, clean sessions, no more work than is needed.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use weir::hub::codec::{Connect, Options, Packet, Publish, Subscribe, Version};
use weir::model::Qos;

const VERSION: Version = Version::V4;

/// A socket whose client has been welcomed.
pub(crate) async fn client(broker: SocketAddr, client_id: &str) -> TcpStream {
    let mut socket = TcpStream::connect(broker).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let (will, user, password, properties) = (None, None, None, None);
    let (version, clean_start, keep_alive_s) = (VERSION, true, 600);
    let connect = Connect { version, clean_start, keep_alive_s, client_id, will, user, password, properties };
    request(&mut socket, &Packet::Connect(Box::new(connect)), 4).await;
    socket
}

/// A client that has subscribed.
pub(crate) async fn subscriber(broker: SocketAddr, client_id: &str, filter: &str, qos: Qos) -> TcpStream {
    let mut socket = client(broker, client_id).await;
    let filters = vec![(filter, Options::plain(qos))];
    request(&mut socket, &Packet::Subscribe(Subscribe { packet_id: 1, properties: None, filters }), 5).await;
    socket
}

/// Sends a packet and takes an answer of `size` bytes.
async fn request(socket: &mut TcpStream, packet: &Packet<'_>, size: usize) {
    let mut bytes = Vec::new();
    packet.encode(VERSION, &mut bytes);
    socket.write_all(&bytes).await.unwrap();
    socket.read_exact(&mut vec![0; size]).await.unwrap();
}

/// Appends a PUBLISH.
pub(crate) fn put(topic: &str, qos: Qos, retain: bool, packet_id: u16, payload: &[u8], out: &mut Vec<u8>) {
    let publish = Publish { dup: false, qos, retain, topic, packet_id, properties: None, payload };
    Packet::Publish(publish).encode(VERSION, out);
}

/// Packet type and size of the first packet in `bytes`, when it is whole.
pub(crate) fn frame(bytes: &[u8]) -> Option<(u8, usize)> {
    let (mut left, mut at) = (0, 1);
    loop {
        let byte = *bytes.get(at)?;
        left |= usize::from(byte & 0x7f) << (7 * (at - 1));
        at += 1;
        if byte & 0x80 == 0 {
            return (bytes.len() >= at + left).then_some((bytes[0] >> 4, at + left));
        }
    }
}

/// Bytes that arrive, taken packet by packet.
pub(crate) struct Input {
    bytes: Vec<u8>,
    held: usize,
}

impl Input {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; 128 << 10], held: 0 }
    }

    /// Reads once and shows every whole packet; false when the broker has closed.
    pub(crate) async fn read(&mut self, socket: &mut TcpStream, mut see: impl FnMut(u8, &[u8])) -> bool {
        let read = socket.read(&mut self.bytes[self.held..]).await.unwrap_or(0);
        self.held += read;
        let mut at = 0;
        while let Some((kind, size)) = frame(&self.bytes[at..self.held]) {
            see(kind, &self.bytes[at..at + size]);
            at += size;
        }
        self.bytes.copy_within(at..self.held, 0);
        self.held -= at;
        read > 0
    }
}
