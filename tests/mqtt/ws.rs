//! MQTT over WebSocket (RFC 6455), frame by frame, and what both specifications say of it in chapter 6.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use weir::hub::Settings;

use crate::bench::{Bench, settings, soon};
use crate::bytes::{PINGREQ, PINGRESP, PUBACK, ack};
use crate::connect::Connect;
use crate::packet::{Publish, Version};

/// The example of RFC 6455, section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const CONTINUATION: u8 = 0x00;
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const UNFINISHED: u8 = 0x02;
const FIN: u8 = 0x80;

struct WebSocket {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What frames carried and nobody has expected yet.
    carried: Vec<u8>,
}

/// A hub that listens for WebSocket too.
async fn hub() -> Bench {
    Bench::with(Settings { listen_ws: vec!["127.0.0.1:0".parse().unwrap()], ..settings() }).await
}

impl WebSocket {
    /// Asks for a WebSocket with these subprotocols; the second value is the head of the answer.
    async fn open(bench: &Bench, protocols: &str) -> (Self, String) {
        let address = bench.hub.local_addrs()[1];
        let mut stream = soon(TcpStream::connect(address)).await.unwrap();
        let protocols = if protocols.is_empty() { "" } else { &format!("Sec-WebSocket-Protocol: {protocols}\r\n") };
        let request = format!(
            "GET /mqtt HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{protocols}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut socket = Self { stream, buffer: Vec::new(), carried: Vec::new() };
        let end = loop {
            if let Some(at) = socket.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(socket.read().await, "the hub closes without an answer");
        };
        let head: Vec<u8> = socket.buffer.drain(..end).collect();
        (socket, String::from_utf8(head).unwrap())
    }

    /// One that the hub has accepted for MQTT.
    async fn mqtt(bench: &Bench) -> Self {
        let (socket, head) = Self::open(bench, "mqtt").await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains(ACCEPT), "{head}");
        socket
    }

    /// False at the end.
    async fn read(&mut self) -> bool {
        soon(self.stream.read_buf(&mut self.buffer)).await.unwrap_or(0) > 0
    }

    /// Sends one frame of less than 126 bytes, masked as a client's must be.
    async fn send(&mut self, first: u8, payload: &[u8]) {
        assert!(payload.len() < 126, "a short frame");
        let masked = payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        let frame: Vec<u8> = [first, 0x80 | payload.len() as u8].into_iter().chain(MASK).chain(masked).collect();
        soon(self.stream.write_all(&frame)).await.unwrap();
    }

    /// Takes a whole frame, if there is one: its first byte and its payload.
    fn take(&mut self) -> Option<(u8, Vec<u8>)> {
        let (first, length) = (*self.buffer.first()?, *self.buffer.get(1)?);
        assert!(length < 0x80, "a server's frame is not masked");
        let (head, length) = match length {
            126 => (4, u16::from_be_bytes(self.buffer.get(2..4)?.try_into().unwrap()).into()),
            127 => panic!("a frame that long is not expected"),
            short => (2, usize::from(short)),
        };
        let payload = self.buffer.get(head..head + length)?.to_vec();
        self.buffer.drain(..head + length);
        Some((first, payload))
    }

    /// The MQTT bytes that follow, from binary frames only.
    async fn expect(&mut self, wanted: &[u8]) {
        while self.carried.len() < wanted.len() {
            let Some((first, payload)) = self.take() else {
                assert!(self.read().await, "closed after {:02x?}", self.carried);
                continue;
            };
            assert_eq!(first & 0x0f, 2, "a frame that is not binary: {payload:02x?}");
            self.carried.extend(payload);
        }
        let found: Vec<u8> = self.carried.drain(..wanted.len()).collect();
        assert_eq!(found, wanted);
    }

    /// The hub must close; a closing frame, and in MQTT 5 a DISCONNECT, may come before.
    async fn expect_closed(&mut self) {
        while self.read().await {}
        while let Some((first, payload)) = self.take() {
            let is_farewell = first == 0x88 || (first == BINARY && payload.first() == Some(&0xe0));
            assert!(is_farewell, "{first:02x} {payload:02x?}");
        }
    }

    async fn connect(&mut self, version: Version) {
        self.send(BINARY, &Connect::new(version, "c").bytes()).await;
        let first = loop {
            match self.take() {
                Some((first, payload)) => break (first, payload[0], payload[3]),
                None => assert!(self.read().await),
            }
        };
        assert_eq!(first, (BINARY, 0x20, 0), "CONNACK in one binary frame");
    }
}

/// Other frames than binary ones close the connection.
pub(crate) async fn only_binary_frames(version: Version) {
    let bench = hub().await;
    let connect = Connect::new(version, "c").bytes();
    let mut socket = WebSocket::mqtt(&bench).await;
    socket.send(TEXT, &connect).await;
    socket.expect_closed().await;
    let mut socket = WebSocket::mqtt(&bench).await;
    socket.connect(version).await;
    socket.send(TEXT, &PINGREQ).await;
    socket.expect_closed().await;
    let mut socket = WebSocket::mqtt(&bench).await;
    socket.connect(version).await;
    socket.send(BINARY, &PINGREQ).await;
    socket.expect(&PINGRESP).await;
}

/// Packets and frames begin and end where they like.
pub(crate) async fn packets_across_frames(version: Version) {
    let bench = hub().await;
    let mut socket = WebSocket::mqtt(&bench).await;
    socket.connect(version).await;
    let mut watcher = bench.client(version, "w").await;
    watcher.subscribe("t", 0).await;
    let publish = |id: u16, text: &str| Publish::new("t", 1, id, text).bytes(version);
    let stream = [publish(1, "one"), publish(2, "two"), publish(3, "three")].concat();
    // All in one frame; each byte in its own; in one message of several frames; cut in the middle of packets.
    socket.send(BINARY, &stream).await;
    for byte in &stream {
        socket.send(BINARY, std::slice::from_ref(byte)).await;
    }
    let (head, tail) = stream.split_at(5);
    socket.send(UNFINISHED, head).await;
    socket.send(CONTINUATION, &tail[..7]).await;
    socket.send(CONTINUATION | FIN, &tail[7..]).await;
    for part in stream.chunks(9) {
        socket.send(BINARY, part).await;
    }
    for _ in 0..4 {
        for (text, id) in [("one", 1), ("two", 2), ("three", 3)] {
            assert_eq!(watcher.delivery().await.text(), text);
            socket.expect(&ack(PUBACK, id)).await;
        }
    }
}

/// The hub chooses the subprotocol that both specifications name.
pub(crate) async fn the_subprotocol_is_mqtt() {
    let bench = hub().await;
    for offer in ["mqtt", "chat, mqtt", "mqtt,mqttv3.1"] {
        let (_socket, head) = WebSocket::open(&bench, offer).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let lines: Vec<String> = head.lines().map(str::to_ascii_lowercase).collect();
        let chosen: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix("sec-websocket-protocol:")).collect();
        assert_eq!(chosen.iter().map(|it| it.trim()).collect::<Vec<_>>(), ["mqtt"], "{offer}");
    }
}

/// A client that does not offer it is refused, or served without a subprotocol; never with another one.
pub(crate) async fn without_the_subprotocol() {
    let bench = hub().await;
    for offer in ["", "chat", "chat, soap"] {
        let (_socket, head) = WebSocket::open(&bench, offer).await;
        let head = head.to_ascii_lowercase();
        assert!(!head.contains("sec-websocket-protocol:"), "{offer}: {head}");
    }
}
