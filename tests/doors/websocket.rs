//! MQTT over WebSocket, as an independent implementation of WebSocket sees it, and as raw bytes do.

use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::{Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use weir::hub::Settings;
use weir::hub::codec::{Packet, Reason, Version, decode};

use crate::bench::{self, Bench, soon, until};
use crate::client::{Stream, connect, encoded, parse, publish};
use crate::common::authority::Authority;
use crate::encrypted::{self, encrypt, trust};

fn settings() -> Settings {
    Settings { listen: vec![], listen_ws: vec!["127.0.0.1:0".parse().unwrap()], ..bench::settings() }
}

fn request(bench: &Bench, protocol: &str) -> Request {
    let mut request = format!("ws://{}/mqtt", bench.address).into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", protocol.parse().unwrap());
    request
}

async fn open<S: Stream>(stream: S, request: Request) -> Result<(WebSocketStream<S>, Response), Error> {
    soon(tokio_tungstenite::client_async(request, stream)).await
}

async fn tcp(bench: &Bench) -> TcpStream {
    soon(TcpStream::connect(bench.address)).await.unwrap()
}

/// A client and what it has received.
struct Client<S> {
    socket: WebSocketStream<S>,
    buffer: Vec<u8>,
}

impl<S: Stream> Client<S> {
    async fn welcomed(stream: S, bench: &Bench) -> Self {
        let (socket, response) = open(stream, request(bench, "mqtt")).await.unwrap();
        assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "mqtt");
        let mut client = Self { socket, buffer: Vec::new() };
        client.send(encoded(&connect("web"))).await;
        assert!(matches!(parse(&client.next().await), Packet::Connack(connack) if connack.reason == Reason::SUCCESS));
        client
    }

    async fn send(&mut self, bytes: Vec<u8>) {
        soon(self.socket.send(Message::Binary(bytes.into()))).await.unwrap();
    }

    async fn message(&mut self) -> Message {
        soon(self.socket.next()).await.expect("a message").unwrap()
    }

    /// The next packet.
    async fn next(&mut self) -> Vec<u8> {
        loop {
            if let Ok(Some((_, size))) = decode(&self.buffer, Version::V5, usize::MAX) {
                return self.buffer.drain(..size).collect();
            }
            match self.message().await {
                Message::Binary(bytes) => {
                    // A frame per packet: not every client understands more.
                    let size = decode(&bytes, Version::V5, usize::MAX).unwrap().map(|(_, size)| size);
                    assert_eq!(size, Some(bytes.len()));
                    self.buffer.extend_from_slice(&bytes);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    async fn ping(&mut self) {
        self.send(encoded(&Packet::Pingreq)).await;
        assert_eq!(parse(&self.next().await), Packet::Pingresp);
    }
}

/// SUBSCRIBE with id 1 to `#` at QoS 0.
const SUBSCRIBE: [u8; 9] = [0x82, 7, 0, 1, 0, 0, 1, b'#', 0];

async fn echoes<S: Stream>(mut client: Client<S>) {
    client.send(SUBSCRIBE.into()).await;
    assert!(matches!(parse(&client.next().await), Packet::Suback(_)));
    for size in [0, 1, 125, 126, 65_535, 65_536, 1_000_000] {
        let payload = vec![b'x'; size];
        client.send(encoded(&publish("web/a", &payload))).await;
        for _ in 0..2 {
            match parse(&client.next().await) {
                Packet::Puback(_) => {}
                Packet::Publish(publish) => assert!(publish.payload == payload, "{size}"),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn messages_of_any_size_pass() {
    let bench = bench::start(settings()).await;
    echoes(Client::welcomed(tcp(&bench).await, &bench).await).await;
}

#[tokio::test]
async fn messages_of_any_size_pass_encrypted() {
    let authority = Authority::new();
    let settings = encrypted::settings(&authority);
    let settings = Settings { listen_wss: settings.listen_tls.clone(), listen_tls: vec![], ..settings };
    let bench = bench::start(settings).await;
    let stream = encrypt(&bench, &trust(&authority.pem(), None)).await.unwrap();
    echoes(Client::welcomed(stream, &bench).await).await;
}

#[tokio::test]
async fn packets_share_frames_and_span_them() {
    let bench = bench::start(settings()).await;
    let mut client = Client::welcomed(tcp(&bench).await, &bench).await;
    let mut bytes = SUBSCRIBE.to_vec();
    for number in 0..10 {
        bytes.extend(encoded(&publish(&format!("n/{number}"), b"payload")));
    }
    client.send(bytes.clone()).await;
    for byte in &bytes[SUBSCRIBE.len()..] {
        client.send(vec![*byte]).await;
    }
    let (mut acknowledged, mut arrived) = (0, Vec::new());
    while (acknowledged, arrived.len()) != (20, 20) {
        match parse(&client.next().await) {
            Packet::Puback(_) => acknowledged += 1,
            Packet::Publish(publish) => arrived.push(publish.topic.to_owned()),
            other => assert!(matches!(other, Packet::Suback(_)), "{other:?}"),
        }
    }
    let expected: Vec<_> = (0..20).map(|number| format!("n/{}", number % 10)).collect();
    assert_eq!(arrived, expected);
}

#[tokio::test]
async fn pings_are_answered_and_closing_is() {
    let bench = bench::start(settings()).await;
    let mut client = Client::welcomed(tcp(&bench).await, &bench).await;
    for text in ["", "here?"] {
        soon(client.socket.send(Message::Ping(text.into()))).await.unwrap();
        assert_eq!(client.message().await, Message::Pong(text.into()));
    }
    client.ping().await;
    soon(client.socket.close(None)).await.unwrap();
    assert_eq!(client.message().await, Message::Close(None));
    until(|| bench.hub.counters().clients == 0).await;
}

#[tokio::test]
async fn a_disconnect_is_answered_with_a_closing_frame() {
    let bench = bench::start(settings()).await;
    let mut client = Client::welcomed(tcp(&bench).await, &bench).await;
    client.send(vec![0xE0, 0]).await;
    match client.message().await {
        Message::Close(Some(frame)) => assert_eq!(frame.code, CloseCode::Normal),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn text_closes_the_connection() {
    let bench = bench::start(settings()).await;
    let mut client = Client::welcomed(tcp(&bench).await, &bench).await;
    soon(client.socket.send(Message::Text("hello".into()))).await.unwrap();
    match client.message().await {
        Message::Close(Some(frame)) => assert_eq!(frame.code, CloseCode::Unsupported),
        other => panic!("{other:?}"),
    }
    until(|| bench.hub.counters().clients == 0).await;
}

#[tokio::test]
async fn a_frame_may_claim_any_size_and_costs_nothing() {
    let bench = bench::start(settings()).await;
    let (socket, _) = open(tcp(&bench).await, request(&bench, "mqtt")).await.unwrap();
    let mut stream = socket.into_inner();
    let mut bytes = vec![0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0];
    bytes.extend(encoded(&connect("endless")));
    soon(stream.write_all(&bytes)).await.unwrap();
    let mut heard = [0; 3];
    soon(stream.read_exact(&mut heard)).await.unwrap();
    assert_eq!((heard[0], heard[2]), (0x82, 0x20));
}

/// The status that answers a handshake.
async fn status(bench: &Bench, change: impl FnOnce(&mut Request)) -> StatusCode {
    let mut request = request(bench, "mqtt");
    change(&mut request);
    match open(tcp(bench).await, request).await {
        Ok((_, response)) => response.status(),
        Err(Error::Http(response)) => response.status(),
        Err(error) => panic!("{error}"),
    }
}

fn set(name: &'static str, value: &'static str) -> impl FnOnce(&mut Request) {
    move |request| drop(request.headers_mut().insert(name, value.parse().unwrap()))
}

#[tokio::test]
async fn pages_and_strangers_are_turned_away() {
    let mut settings = settings();
    settings.ws_origins = vec!["https://dash.example.net".into()];
    let bench = bench::start(settings.clone()).await;
    assert_eq!(status(&bench, |_| {}).await, 101);
    assert_eq!(status(&bench, set("Origin", "https://dash.example.net")).await, 101);
    assert_eq!(status(&bench, set("Origin", "https://evil.example")).await, 403);
    assert_eq!(status(&bench, set("Host", "evil.example")).await, 403);
    assert_eq!(status(&bench, set("Host", "localhost:9001")).await, 101);
    assert_eq!(status(&bench, set("Sec-WebSocket-Protocol", "chat")).await, 400);
    assert_eq!(status(&bench, set("Sec-WebSocket-Protocol", "mqttv3.1")).await, 101);
    assert_eq!(status(&bench, |request| *request.uri_mut() = "ws://localhost/".parse().unwrap()).await, 404);
    until(|| bench.hub.counters().closed.get("websocket") == Some(&4)).await;
    settings.ws_hosts = vec!["evil.example".into()];
    bench.hub.reload(settings).await.unwrap();
    assert_eq!(status(&bench, set("Host", "evil.example")).await, 101);
}

/// What the hub answers to these bytes until it closes.
async fn answer(bench: &Bench, bytes: &[u8]) -> String {
    let mut stream = tcp(bench).await;
    soon(stream.write_all(bytes)).await.unwrap();
    let mut text = Vec::new();
    // A reset behind the answer is as good.
    drop(soon(stream.read_to_end(&mut text)).await);
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn what_is_no_handshake_is_answered_and_closed() {
    let bench = bench::start(settings()).await;
    let page = answer(&bench, b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(page.starts_with("HTTP/1.1 426 ") && page.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{page}");
    assert!(answer(&bench, b"\x10\x10\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    let long = format!("GET /mqtt HTTP/1.1\r\nCookie: {}\r\n", "x".repeat(9000));
    assert!(answer(&bench, long.as_bytes()).await.starts_with("HTTP/1.1 431 "));
}

/// Time is paused: the deadline comes when nothing else happens.
#[tokio::test(start_paused = true)]
async fn a_handshake_that_never_ends_is_ended() {
    let bench = bench::start(settings()).await;
    let mut streams = Vec::new();
    for begun in [&b""[..], b"GET /mqtt HT", b"GET /mqtt HTTP/1.1\r\nHost: a\r\n"] {
        let mut stream = TcpStream::connect(bench.address).await.unwrap();
        stream.write_all(begun).await.unwrap();
        streams.push(stream);
    }
    for mut stream in streams {
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    }
    assert_eq!(bench.hub.counters().closed.get("handshake_timeout"), Some(&3));
}

#[tokio::test]
async fn idle_sockets_keep_nobody_out() {
    let bench = Arc::new(bench::start(settings()).await);
    let mut idle = Vec::new();
    for _ in 0..400 {
        idle.push(tcp(&bench).await);
    }
    Client::welcomed(tcp(&bench).await, &bench).await.ping().await;
}
