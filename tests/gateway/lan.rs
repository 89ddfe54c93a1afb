//! A device on the LAN: publishes numbered messages at QoS 1 and remembers which were acknowledged.
//!
//! It speaks MQTT 3.1.1 with its own few bytes, so that nothing of the gateway's code judges the gateway.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Messages sent and not acknowledged at once.
const WINDOW: usize = 100;

/// What one device publishes.
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) topics: usize,
    pub(crate) every: Duration,
}

/// Numbers that the gateway acknowledged, by topic, in the order of the acknowledgements.
pub(crate) type Acknowledged = BTreeMap<String, Vec<u64>>;

/// What a connection is in the middle of.
struct Connection {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    /// Sent, not acknowledged: packet id, topic, number; oldest first.
    open: std::collections::VecDeque<(u16, String, u64)>,
}

impl Device {
    /// Publishes to `address` until `stop`, reconnecting for ever, then waits for what is still open.
    /// A message that was open when the connection broke is not sent again: nobody was promised anything.
    pub(crate) async fn run(self, address: SocketAddr, stop: CancellationToken) -> Acknowledged {
        let (mut acknowledged, mut number) = (Acknowledged::new(), 0);
        while !stop.is_cancelled() {
            if let Ok(connection) = self.connect(address).await {
                self.publish(connection, &mut number, &mut acknowledged, &stop).await;
            }
            stop.run_until_cancelled(sleep(Duration::from_millis(50))).await;
        }
        acknowledged
    }

    async fn connect(&self, address: SocketAddr) -> std::io::Result<Connection> {
        let (mut reader, mut writer) = TcpStream::connect(address).await?.into_split();
        let id = self.name.as_bytes();
        let mut packet = vec![0x10, 12 + id.len() as u8, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60, 0, id.len() as u8];
        packet.extend_from_slice(id);
        writer.write_all(&packet).await?;
        let mut connack = [0; 4];
        timeout(Duration::from_secs(5), reader.read_exact(&mut connack)).await.map_err(std::io::Error::other)??;
        assert_eq!(connack[..2], [0x20, 2], "not a CONNACK");
        if connack[3] != 0 {
            return Err(std::io::ErrorKind::ConnectionRefused.into());
        }
        Ok(Connection { reader, writer, open: Default::default() })
    }

    async fn publish(
        &self,
        mut connection: Connection,
        number: &mut u64,
        acknowledged: &mut Acknowledged,
        stop: &CancellationToken,
    ) {
        let mut ticks = interval(self.every);
        loop {
            let stopping = stop.is_cancelled();
            if stopping && connection.open.is_empty() {
                return;
            }
            let ended = tokio::select! {
                _ = ticks.tick(), if !stopping && connection.open.len() < WINDOW => {
                    *number += 1;
                    let topic = format!("lan/{}/{}", self.name, *number % self.topics as u64);
                    connection.send(topic, *number).await.is_err()
                }
                got = read_puback(&mut connection.reader) => match got {
                    Ok(id) => { connection.acknowledge(id, acknowledged); false }
                    Err(_) => true,
                },
                () = sleep(Duration::from_secs(20)), if stopping => true,
            };
            if ended {
                return;
            }
        }
    }
}

impl Connection {
    async fn send(&mut self, topic: String, number: u64) -> std::io::Result<()> {
        let id = (number % 65_535 + 1) as u16;
        let payload = format!("{number:064}");
        let length = 2 + topic.len() + 2 + payload.len();
        let mut packet = vec![0x32];
        if length > 127 {
            packet.push((length % 128) as u8 | 0x80);
            packet.push((length / 128) as u8);
        } else {
            packet.push(length as u8);
        }
        packet.extend_from_slice(&(topic.len() as u16).to_be_bytes());
        packet.extend_from_slice(topic.as_bytes());
        packet.extend_from_slice(&id.to_be_bytes());
        packet.extend_from_slice(payload.as_bytes());
        self.open.push_back((id, topic, number));
        self.writer.write_all(&packet).await
    }

    /// PUBACKs come in the order of the PUBLISH packets (MQTT-4.6.0-2).
    fn acknowledge(&mut self, id: u16, acknowledged: &mut Acknowledged) {
        let (expected, topic, number) = self.open.pop_front().expect("a PUBACK for something");
        assert_eq!(id, expected, "PUBACK out of order");
        acknowledged.entry(topic).or_default().push(number);
    }
}

/// Cancel-safe, because the four bytes of a PUBACK are peeked at before they are taken.
async fn read_puback(reader: &mut OwnedReadHalf) -> std::io::Result<u16> {
    let mut packet = [0; 4];
    loop {
        reader.readable().await?;
        if reader.peek(&mut packet).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if reader.peek(&mut packet).await? == packet.len() {
            reader.read_exact(&mut packet).await?;
            assert_eq!(packet[..2], [0x40, 2], "not a PUBACK");
            return Ok(u16::from_be_bytes([packet[2], packet[3]]));
        }
        tokio::task::yield_now().await;
    }
}
