//! A client that speaks MQTT over whatever stream it is given.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use weir::hub::codec::{Ack, Connect, Options, Packet, Publish, Reason, Subscribe, Version, decode};
use weir::model::Qos;

use crate::bench::soon;

/// Both directions of a connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

pub(crate) struct Client<S> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
}

impl<S: Stream> Client<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Connects with MQTT 5; gives the reason in CONNACK, or nothing when the hub closes.
    pub(crate) async fn connect(&mut self, client_id: &str) -> Option<Reason> {
        self.send(&connect(client_id)).await;
        let bytes = self.next().await?;
        match parse(&bytes) {
            Packet::Connack(connack) => Some(connack.reason),
            other => panic!("no CONNACK: {other:?}"),
        }
    }

    /// A client that was welcomed.
    pub(crate) async fn welcomed(stream: S, client_id: &str) -> Self {
        let mut client = Self::new(stream);
        assert_eq!(client.connect(client_id).await, Some(Reason::SUCCESS));
        client
    }

    pub(crate) async fn send(&mut self, packet: &Packet<'_>) {
        soon(self.stream.write_all(&encoded(packet))).await.unwrap();
        soon(self.stream.flush()).await.unwrap();
    }

    /// The next whole packet; nothing when the hub has closed the connection.
    pub(crate) async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Ok(Some((_, size))) = decode(&self.buffer, Version::V5, usize::MAX) {
                return Some(self.buffer.drain(..size).collect());
            }
            if soon(self.stream.read_buf(&mut self.buffer)).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Subscribes to `topic`, publishes `payload` there with QoS 1, and must get it back.
    pub(crate) async fn echo(&mut self, topic: &str, payload: &[u8]) {
        let filters = vec![(topic, Options::plain(Qos::AtLeastOnce))];
        self.send(&Packet::Subscribe(Subscribe { packet_id: 1, properties: None, filters })).await;
        assert!(matches!(parse(&self.next().await.expect("a SUBACK")), Packet::Suback(_)));
        self.send(&publish(topic, payload)).await;
        let (mut acknowledged, mut returned) = (false, false);
        while !(acknowledged && returned) {
            match parse(&self.next().await.expect("a packet")) {
                Packet::Puback(_) => acknowledged = true,
                Packet::Publish(publish) => {
                    assert_eq!((publish.topic, publish.payload), (topic, payload));
                    let id = publish.packet_id;
                    self.send(&Packet::Puback(Ack::new(id, Reason::SUCCESS))).await;
                    returned = true;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Answered, so still connected.
    pub(crate) async fn ping(&mut self) {
        self.send(&Packet::Pingreq).await;
        assert_eq!(parse(&self.next().await.expect("a PINGRESP")), Packet::Pingresp);
    }
}

pub(crate) fn connect(client_id: &str) -> Packet<'_> {
    let (will, user, password, properties) = (None, None, None, None);
    let version = Version::V5;
    let connect = Connect { version, clean_start: true, keep_alive_s: 0, client_id, will, user, password, properties };
    Packet::Connect(Box::new(connect))
}

pub(crate) fn publish<'a>(topic: &'a str, payload: &'a [u8]) -> Packet<'a> {
    let (dup, retain, packet_id, properties) = (false, false, 7, None);
    Packet::Publish(Publish { dup, qos: Qos::AtLeastOnce, retain, topic, packet_id, properties, payload })
}

pub(crate) fn encoded(packet: &Packet<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.encode(Version::V5, &mut bytes);
    bytes
}

pub(crate) fn parse(bytes: &[u8]) -> Packet<'_> {
    decode(bytes, Version::V5, usize::MAX).unwrap().unwrap().0
}
