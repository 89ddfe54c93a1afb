//! A client that sends and expects single packets.

use std::net::IpAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use weir::hub::codec::{
    Ack, Connect, Notice, Options, Packet, Properties, Publish, Reason, Subscribe, Version, Will, decode,
};
use weir::model::Qos;

use crate::bench::{Bench, soon};

pub(crate) const QOS0: Qos = Qos::AtMostOnce;
pub(crate) const QOS1: Qos = Qos::AtLeastOnce;
pub(crate) const QOS2: Qos = Qos::ExactlyOnce;

pub(crate) struct Raw {
    stream: TcpStream,
    buffer: Vec<u8>,
    pub(crate) version: Version,
}

/// A CONNECT with nothing special.
pub(crate) fn connect(version: Version, client_id: &str) -> Connect<'_> {
    let (will, user, password, properties) = (None, None, None, None);
    Connect { version, clean_start: true, keep_alive_s: 0, client_id, will, user, password, properties }
}

pub(crate) fn will<'a>(topic: &'a str, payload: &'a str) -> Will<'a> {
    Will { topic, payload: payload.as_bytes(), qos: QOS1, retain: false, properties: None }
}

/// Properties as CONNECT, PUBLISH and the others take them.
pub(crate) fn with(properties: Properties<'_>) -> Option<Box<Properties<'_>>> {
    Some(Box::new(properties))
}

pub(crate) fn expiring<'a>(session_expiry_s: u32) -> Option<Box<Properties<'a>>> {
    with(Properties { session_expiry_s: Some(session_expiry_s), ..Properties::default() })
}

pub(crate) fn publish<'a>(topic: &'a str, qos: Qos, packet_id: u16, payload: &'a str) -> Publish<'a> {
    let payload = payload.as_bytes();
    Publish { dup: false, qos, retain: false, topic, packet_id, properties: None, payload }
}

pub(crate) fn ack<'a>(packet_id: u16) -> Ack<'a> {
    Ack::new(packet_id, Reason::SUCCESS)
}

impl Raw {
    /// A socket that has not said anything.
    pub(crate) async fn open(bench: &Bench, version: Version) -> Self {
        let stream = soon(TcpStream::connect(bench.address)).await.unwrap();
        Self { stream, buffer: Vec::new(), version }
    }

    /// Connects from this address; the hub must welcome it.
    pub(crate) async fn from(bench: &Bench, ip: IpAddr, connect: Connect<'_>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((ip, 0).into()).unwrap();
        let stream = soon(socket.connect(bench.address)).await.unwrap();
        let raw = Self { stream, buffer: Vec::new(), version: connect.version };
        raw.welcomed(connect).await.0
    }

    /// Connects; the hub must welcome it. Returns whether a session was present.
    pub(crate) async fn with(bench: &Bench, connect: Connect<'_>) -> (Self, bool) {
        Self::open(bench, connect.version).await.welcomed(connect).await
    }

    async fn welcomed(mut self, connect: Connect<'_>) -> (Self, bool) {
        self.send(&Packet::Connect(Box::new(connect))).await;
        let bytes = self.next().await.expect("a CONNACK");
        let Packet::Connack(connack) = self.parse(&bytes) else { panic!("no CONNACK: {bytes:?}") };
        assert_eq!(connack.reason, Reason::SUCCESS);
        let present = connack.session_present;
        (self, present)
    }

    pub(crate) async fn client(bench: &Bench, version: Version, client_id: &str) -> Self {
        Self::with(bench, connect(version, client_id)).await.0
    }

    pub(crate) async fn bytes(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes)).await.unwrap();
    }

    pub(crate) async fn send(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        packet.encode(self.version, &mut bytes);
        self.bytes(&bytes).await;
    }

    pub(crate) async fn publish(&mut self, publish: Publish<'_>) {
        self.send(&Packet::Publish(publish)).await;
    }

    /// Subscribes and waits for the SUBACK.
    pub(crate) async fn subscribe(&mut self, filter: &str, qos: Qos) -> Reason {
        self.subscribe_with(filter, Options::plain(qos), None).await
    }

    /// Subscribes; SUBACK comes among what is delivered.
    pub(crate) async fn send_subscribe(&mut self, filter: &str, qos: Qos) {
        let filters = vec![(filter, Options::plain(qos))];
        self.send(&Packet::Subscribe(Subscribe { packet_id: 9, properties: None, filters })).await;
    }

    pub(crate) async fn subscribe_with(&mut self, filter: &str, options: Options, id: Option<u32>) -> Reason {
        let properties = id.and_then(|id| with(Properties { subscription_ids: vec![id], ..Properties::default() }));
        self.send(&Packet::Subscribe(Subscribe { packet_id: 9, properties, filters: vec![(filter, options)] })).await;
        let bytes = self.next().await.expect("a SUBACK");
        match self.parse(&bytes) {
            Packet::Suback(verdicts) => verdicts.reasons[0],
            other => panic!("no SUBACK: {other:?}"),
        }
    }

    /// The next whole packet; nothing when the hub has closed the connection.
    pub(crate) async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Ok(Some((_, size))) = decode(&self.buffer, self.version, usize::MAX) {
                return Some(self.buffer.drain(..size).collect());
            }
            let count = soon(self.stream.read_buf(&mut self.buffer)).await.unwrap_or(0);
            if count == 0 {
                assert!(self.buffer.is_empty(), "half a packet: {:?}", self.buffer);
                return None;
            }
        }
    }

    pub(crate) fn parse<'a>(&self, bytes: &'a [u8]) -> Packet<'a> {
        decode(bytes, self.version, usize::MAX).unwrap().unwrap().0
    }

    /// The next packet must be this one.
    pub(crate) async fn expect(&mut self, packet: Packet<'_>) {
        let bytes = self.next().await.unwrap_or_else(|| panic!("closed, instead of {packet:?}"));
        assert_eq!(self.parse(&bytes), packet);
    }

    /// Everything the hub has for this client is here when PINGRESP is.
    pub(crate) async fn expect_nothing(&mut self) {
        self.send(&Packet::Pingreq).await;
        self.expect(Packet::Pingresp).await;
    }

    /// The hub must close the connection, in MQTT 5 with this reason.
    pub(crate) async fn expect_end(&mut self, wanted: Reason) {
        while let Some(bytes) = self.next().await {
            if let Packet::Disconnect(notice) = self.parse(&bytes) {
                assert_eq!(notice.reason, wanted);
                assert_eq!(self.next().await, None);
                return;
            }
        }
        assert_ne!(self.version, Version::V5, "closed without DISCONNECT");
    }

    pub(crate) async fn disconnect(mut self) {
        self.send(&Packet::Disconnect(Notice { reason: Reason::SUCCESS, properties: None })).await;
        assert_eq!(self.next().await, None);
    }

    /// Lets half of the socket go without a word.
    pub(crate) fn cut(self) {
        drop(self);
    }

    /// Publishes with QoS 1 and waits for the PUBACK: the message has been routed then.
    pub(crate) async fn tell(&mut self, topic: &str, payload: &str) {
        self.publish(publish(topic, QOS1, 77, payload)).await;
        let bytes = self.next().await.expect("a PUBACK");
        assert!(matches!(self.parse(&bytes), Packet::Puback(ack) if !ack.reason.is_error()), "{bytes:?}");
    }
}
