//! A client that sends bytes and looks at what comes back, packet by packet.

use std::collections::VecDeque;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bench::soon;
use crate::bytes::{DISCONNECT, PINGREQ, PINGRESP, PUBACK, PUBCOMP, PUBREC, PUBREL, ack, hex};
use crate::packet::{Answer, Connack, Packet, Publish, Version, subscribe, unsubscribe};
use crate::properties::{Properties, Reader};

pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Packets that came between those that `receive` waited for.
    between: VecDeque<Packet>,
    pub(crate) version: Version,
}

impl Client {
    pub(crate) async fn open(address: SocketAddr, version: Version) -> Self {
        let stream = soon(TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new(), between: VecDeque::new(), version }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes)).await.unwrap();
    }

    /// Sends bytes that the hub may cut short by closing the connection.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) {
        drop(soon(self.stream.write_all(bytes)).await);
    }

    pub(crate) async fn send_hex(&mut self, digits: &str) {
        self.send(&hex(digits)).await;
    }

    /// The next packet; nothing when the hub has closed the connection.
    pub(crate) async fn try_next(&mut self) -> Option<Packet> {
        if let Some(packet) = self.between.pop_front() {
            return Some(packet);
        }
        loop {
            if let Some(packet) = self.take() {
                return Some(packet);
            }
            // A reset is an end too: the hub need not read what follows a malformed packet.
            let count = soon(self.stream.read_buf(&mut self.buffer)).await.unwrap_or(0);
            if count == 0 {
                assert!(self.buffer.is_empty(), "the hub sends half a packet: {:02x?}", self.buffer);
                return None;
            }
        }
    }

    fn take(&mut self) -> Option<Packet> {
        let complete = self.buffer.get(1..).is_some_and(|rest| rest.iter().take(4).any(|byte| byte & 0x80 == 0));
        if !complete {
            return None;
        }
        let mut reader = Reader(&self.buffer[1..]);
        let length = reader.varint();
        if reader.0.len() < length {
            return None;
        }
        let (first, body) = (self.buffer[0], reader.take(length).to_vec());
        self.buffer = reader.rest().to_vec();
        Some(Packet { version: self.version, first, body })
    }

    pub(crate) async fn next(&mut self) -> Packet {
        self.try_next().await.expect("the hub closed the connection")
    }

    /// The next packet must have exactly these bytes.
    pub(crate) async fn expect(&mut self, bytes: &[u8]) {
        let packet = self.next().await;
        assert_eq!(crate::bytes::packet(packet.first, &packet.body), bytes);
    }

    pub(crate) async fn connack(&mut self) -> Connack {
        self.next().await.connack()
    }

    pub(crate) async fn publish(&mut self, publish: &Publish) {
        let bytes = publish.bytes(self.version);
        self.send(&bytes).await;
    }

    /// Publishes and goes through all acknowledgements: the hub has taken the message then.
    pub(crate) async fn tell(&mut self, publish: &Publish) {
        self.publish(publish).await;
        match publish.qos {
            0 => self.expect_silence().await,
            1 => assert_eq!(self.acked(PUBACK).await, publish.id),
            _ => {
                assert_eq!(self.acked(PUBREC).await, publish.id);
                self.send(&ack(PUBREL, publish.id)).await;
                assert_eq!(self.acked(PUBCOMP).await, publish.id);
            }
        }
    }

    /// The packet id of the next packet, which must be this acknowledgement, and no error.
    pub(crate) async fn acked(&mut self, first: u8) -> u16 {
        let answer = self.next().await.ack(first);
        assert!(answer.codes[0] < 0x80, "refused: {answer:02x?}");
        answer.id
    }

    /// The next packet, which must be a PUBLISH; it is not acknowledged.
    pub(crate) async fn delivery(&mut self) -> Publish {
        self.next().await.publish()
    }

    /// The next packet must be a PUBLISH; it is acknowledged to the end.
    pub(crate) async fn receive(&mut self) -> Publish {
        let publish = self.delivery().await;
        match publish.qos {
            0 => {}
            1 => self.send(&ack(PUBACK, publish.id)).await,
            _ => {
                self.send(&ack(PUBREC, publish.id)).await;
                self.wait_for(&ack(PUBREL, publish.id)).await;
                self.send(&ack(PUBCOMP, publish.id)).await;
            }
        }
        publish
    }

    /// Takes the first packet that has these bytes; those before it are left for later.
    pub(crate) async fn wait_for(&mut self, bytes: &[u8]) {
        let mut before = VecDeque::new();
        loop {
            let packet = self.next().await;
            if crate::bytes::packet(packet.first, &packet.body) == bytes {
                break;
            }
            before.push_back(packet);
        }
        before.append(&mut self.between);
        self.between = before;
    }

    /// Subscribes and returns the SUBACK's codes.
    pub(crate) async fn subscribe_all(&mut self, filters: &[(&str, u8)]) -> Vec<u8> {
        self.subscribe_with(&Properties::default(), filters).await.codes
    }

    pub(crate) async fn subscribe_with(&mut self, properties: &Properties, filters: &[(&str, u8)]) -> Answer {
        let bytes = subscribe(self.version, 0x7007, properties, filters);
        self.send(&bytes).await;
        let answer = self.next().await.verdicts(0x90);
        assert_eq!((answer.id, answer.codes.len()), (0x7007, filters.len()), "SUBACK does not fit");
        answer
    }

    /// Subscribes to one filter; the hub must grant exactly this QoS.
    pub(crate) async fn subscribe(&mut self, filter: &str, qos: u8) {
        assert_eq!(self.subscribe_all(&[(filter, qos)]).await, [qos], "{filter} is not granted");
    }

    /// Unsubscribes and returns the UNSUBACK.
    pub(crate) async fn unsubscribe(&mut self, filters: &[&str]) -> Answer {
        let bytes = unsubscribe(self.version, 0x7008, &Properties::default(), filters);
        self.send(&bytes).await;
        let answer = self.next().await.verdicts(0xb0);
        assert_eq!(answer.id, 0x7008);
        answer
    }

    /// The hub has nothing for this client: what was there at the first PINGREQ comes before the second PINGRESP.
    pub(crate) async fn expect_silence(&mut self) {
        for _ in 0..2 {
            self.send(&PINGREQ).await;
            self.expect(&PINGRESP).await;
        }
    }

    /// The hub must close the connection without another packet.
    pub(crate) async fn expect_closed(&mut self) {
        let packet = self.try_next().await;
        assert_eq!(packet, None, "the hub sends something instead of closing the connection");
    }

    /// The hub must close the connection and say so with this reason.
    pub(crate) async fn expect_reason(&mut self, wanted: u8) {
        assert_eq!(self.dismissal().await, Some(wanted), "the reason of DISCONNECT");
    }

    pub(crate) async fn dismissal(&mut self) -> Option<u8> {
        let packet = self.try_next().await?;
        assert_eq!(self.version, Version::V5, "the hub sends something instead of closing: {packet:?}");
        let notice = packet.notice(0xe0);
        self.expect_closed().await;
        Some(notice.reason)
    }

    /// DISCONNECT; the hub closes the connection.
    pub(crate) async fn disconnect(mut self) {
        self.send(&DISCONNECT).await;
        self.expect_closed().await;
    }

    /// The socket goes without a word.
    pub(crate) fn cut(self) {
        drop(self);
    }
}
