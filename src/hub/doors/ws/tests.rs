//! Frames in every cut, handshakes good and bad, answers between frames.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::frame::{Frames, Notice, PROTOCOL_ERROR, UNACCEPTABLE, put_header};
use super::head::{Refusal, Wish, parse};
use super::{Names, WebSocket};

/// A frame as a client sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_header(&mut bytes, payload.len());
    (bytes[0], bytes[1]) = (first, bytes[1] | 0x80);
    let mask = [0x12, 0x34, 0x56, 0x78];
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

#[test]
fn data_and_notices_survive_every_cut() {
    let long = vec![7; 70_000];
    let mut bytes = Vec::new();
    for (first, payload) in [
        (0x82, &b"whole"[..]),
        (0x02, b"be"),
        (0x89, b"in between"),
        (0x00, b""),
        (0x80, b"gun"),
        (0x8A, b"unasked"),
        (0x82, &[b'x'; 126]),
        (0x82, &long),
        (0x88, &[0x03, 0xE8, b'b', b'y', b'e']),
    ] {
        bytes.extend(frame(first, payload));
    }
    let expected = [b"wholebegun", &[b'x'; 126][..], &long].concat();
    for step in [1, 2, 3, 5, 7, 64, 1000, bytes.len()] {
        let (mut frames, mut data, mut notices) = (Frames::default(), Vec::new(), Vec::new());
        for chunk in bytes.clone().chunks_mut(step) {
            let (kept, notice) = frames.strip(chunk);
            data.extend_from_slice(&chunk[..kept]);
            notices.extend(notice);
        }
        assert!(data == expected, "{step}");
        let close = Notice::Close(Some(1000));
        // Where all comes at once, closing is all there is left to say.
        let said = if step == bytes.len() { vec![close] } else { vec![Notice::Ping(b"in between".into()), close] };
        assert_eq!(notices, said, "{step}");
    }
}

#[test]
fn what_a_client_must_not_send_ends_it() {
    let unmasked = vec![0x82, 0x01, b'x'];
    let huge = vec![0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
    for (bytes, code, word) in [
        (frame(0x81, b"text"), UNACCEPTABLE, "binary"),
        (frame(0x01, b"text"), UNACCEPTABLE, "binary"),
        (unmasked, PROTOCOL_ERROR, "not masked"),
        (frame(0xC2, b"x"), PROTOCOL_ERROR, "extension"),
        (frame(0x92, b"x"), PROTOCOL_ERROR, "extension"),
        (frame(0x80, b"x"), PROTOCOL_ERROR, "continuation"),
        ([frame(0x02, b"x"), frame(0x82, b"y")].concat(), PROTOCOL_ERROR, "inside"),
        (frame(0x83, b"x"), PROTOCOL_ERROR, "unknown"),
        (frame(0x8B, b"x"), PROTOCOL_ERROR, "unknown"),
        (frame(0x09, b"x"), PROTOCOL_ERROR, "pieces"),
        (frame(0x89, &[0; 126]), PROTOCOL_ERROR, "too long"),
        (frame(0x88, b"x"), PROTOCOL_ERROR, "damaged"),
        (frame(0x88, &[0x03, 0xE8, 0xFF]), PROTOCOL_ERROR, "damaged"),
        (frame(0x88, &[0x03, 0xED]), PROTOCOL_ERROR, "must not be sent"),
        (huge, PROTOCOL_ERROR, "longer"),
    ] {
        let (_, notice) = Frames::default().strip(&mut bytes.clone());
        match notice {
            Some(Notice::Wrong(found, why)) => assert!(found == code && why.contains(word), "{bytes:?}: {found} {why}"),
            other => panic!("{bytes:?}: {other:?}"),
        }
    }
}

const GOOD: &str = "GET /mqtt HTTP/1.1\r\nHost: 10.0.0.1:9001\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqttv3.1, mqtt";

#[test]
fn a_good_request_is_understood_however_it_is_written() {
    let wish = Wish { host: "10.0.0.1:9001", origin: None, key: "dGhlIHNhbXBsZSBub25jZQ==", protocol: "mqtt" };
    for request in [
        GOOD.to_owned(),
        GOOD.replace("/mqtt HTTP", "/mqtt?token=1 HTTP"),
        GOOD.replace("Upgrade: websocket", "UPGRADE:WebSocket").replace("Host: ", "host:\t "),
        GOOD.replace("mqttv3.1, mqtt", "amqp\r\nSec-WebSocket-Protocol: mqtt"),
        format!("{GOOD}\r\nSec-WebSocket-Extensions: permessage-deflate\r\nX-Anything: ä"),
    ] {
        assert_eq!(parse(request.as_bytes()), Ok(wish_of(&wish)), "{request}");
    }
    let old = GOOD.replace("mqttv3.1, mqtt", "mqttv3.1");
    assert_eq!(parse(old.as_bytes()).unwrap().protocol, "mqttv3.1");
    let page = format!("{GOOD}\r\nOrigin: http://page");
    assert_eq!(parse(page.as_bytes()).unwrap().origin, Some("http://page"));
}

fn wish_of<'a>(wish: &Wish<'a>) -> Wish<'a> {
    Wish { ..*wish }
}

#[test]
fn any_other_request_is_answered_with_its_status() {
    for (from, to, status) in [
        ("GET /mqtt", "GET /", "404"),
        ("GET /mqtt", "GET /mqtt/", "404"),
        ("GET /mqtt", "POST /mqtt", "405"),
        ("GET /mqtt", "GET  /mqtt", "400"),
        ("HTTP/1.1", "HTTP/1.0", "426"),
        ("HTTP/1.1", "MQTT/5.0", "400"),
        ("Upgrade: websocket", "Upgrade: h2c", "426"),
        ("keep-alive, Upgrade", "keep-alive", "426"),
        ("Version: 13", "Version: 8", "426"),
        ("Version: 13", "Version: 13\r\nSec-WebSocket-Version: 13", "426"),
        ("Host: 10.0.0.1:9001\r\n", "", "400"),
        ("Host: ", "Host: a\r\nHost: ", "400"),
        ("Host: ", "Host : ", "400"),
        ("Host: ", " folded\r\nHost: ", "400"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ==", "400"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ--", "400"),
        ("mqttv3.1, mqtt", "mqttv5, xmqtt", "400"),
        ("\r\nSec-WebSocket-Protocol: mqttv3.1, mqtt", "", "400"),
        ("Sec-WebSocket-Protocol", "Origin: http://a\r\nOrigin: http://b\r\nSec-WebSocket-Protocol", "400"),
    ] {
        let request = GOOD.replace(from, to);
        let refusal = parse(request.as_bytes()).expect_err(&request);
        assert!(refusal.status.starts_with(status), "{request}: {refusal:?}");
    }
    assert!(parse(b"").is_err() && parse(b"\xFF\xFE").is_err());
}

#[test]
fn web_pages_and_strange_names_are_kept_out() {
    let (hosts, origins) = (["hub.example.net".to_owned()], ["https://dash.example.net".to_owned()]);
    let names = Names { machine: "shed.lan", hosts: &hosts, origins: &origins };
    let status = |host, origin| {
        let wish = Wish { host, origin, key: "", protocol: "mqtt" };
        names.judge(&wish).err().map(|refusal: Refusal| &refusal.status[..3])
    };
    for host in [
        "10.0.0.1",
        "10.0.0.1:9001",
        "[fd00::1]:9001",
        "[::1]",
        "localhost:9001",
        "LOCALHOST",
        "shed",
        "Shed.lan:80",
        "shed.local",
        "SHED.LOCAL.",
        "hub.example.net:9001",
    ] {
        assert_eq!(status(host, None), None, "{host}");
    }
    for host in [
        "",
        ":9001",
        "evil.example",
        "shed.evil.example",
        "10.0.0.1.evil.example",
        "xshed.local",
        ".local",
        "[evil]",
        "local",
        "ö.local",
        "hub.example.net.evil",
    ] {
        assert_eq!(status(host, None), Some("403"), "{host}");
    }
    assert_eq!(status("shed", Some("https://DASH.example.net")), None);
    for origin in ["https://evil.example", "http://dash.example.net", "https://dash.example.net:8443", "null", ""] {
        assert_eq!(status("shed", Some(origin)), Some("403"), "{origin}");
    }
    assert_eq!(status("10.0.0.1:9001", Some("https://10.0.0.1:9001")), None);
    assert_eq!(status("10.0.0.1:9001", Some("http://10.0.0.1")), Some("403"));
    assert_eq!(status("evil.example:9001", Some("http://evil.example:9001")), Some("403"));
    let nameless = Names { machine: "", hosts: &[], origins: &[] };
    let wish = |host| Wish { host, origin: None, key: "", protocol: "mqtt" };
    assert!(nameless.judge(&wish("")).is_err() && nameless.judge(&wish(".local")).is_err());
}

#[tokio::test]
async fn a_pong_waits_for_the_end_of_the_frame_that_was_begun() {
    let (mut peer, ours) = duplex(64);
    let mut socket = WebSocket::new(ours, Vec::new());
    // A PUBLISH that is too large to be gathered.
    let data = [&[0x30, 0xA0, 0x9C, 0x01][..], &[b'd'; 20_000]].concat();
    let (mut reader, mut writer) = tokio::io::split(&mut socket);
    let serving = async {
        let mut byte = [0];
        let (_, read) = tokio::join!(async { writer.write_all(&data).await.unwrap() }, reader.read_exact(&mut byte));
        read.unwrap();
        writer.flush().await.unwrap();
        byte
    };
    let talking = async {
        let mut begun = [0; 4];
        peer.read_exact(&mut begun).await.unwrap();
        assert_eq!(begun, [0x82, 126, 0x4E, 0x24]);
        let (mut from, mut to) = tokio::io::split(&mut peer);
        let mut rest = vec![0; 20_004 + 2 + 4];
        let said = [frame(0x89, b"ping"), frame(0x82, b"x")].concat();
        let (said, heard) = tokio::join!(to.write_all(&said), from.read_exact(&mut rest));
        said.unwrap();
        heard.unwrap();
        rest
    };
    let (byte, rest) = tokio::join!(serving, talking);
    assert_eq!(byte, *b"x");
    assert_eq!((&rest[..20_004], &rest[20_004..]), (&data[..], &b"\x8A\x04ping"[..]));
}

#[tokio::test]
async fn every_packet_gets_a_frame_of_its_own() {
    let (mut peer, ours) = duplex(32);
    let mut socket = WebSocket::new(ours, Vec::new());
    let long = [&[0x30, 0xFA, 0x01][..], &[b'l'; 250]].concat();
    let packets = [&[0xD0, 0x00][..], &[0x40, 0x02, 0x00, 0x01], &long, &[0xD0, 0x00]];
    let sending = async {
        socket.write_all(&packets.concat()).await.unwrap();
        socket.flush().await.unwrap();
    };
    let mut expected = Vec::new();
    for packet in packets {
        put_header(&mut expected, packet.len());
        expected.extend_from_slice(packet);
    }
    let mut heard = vec![0; expected.len()];
    tokio::join!(sending, async { peer.read_exact(&mut heard).await.unwrap() });
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn what_came_with_the_handshake_is_read_first() {
    let (mut peer, ours) = duplex(64);
    peer.write_all(&frame(0x82, b"second")).await.unwrap();
    let mut socket = WebSocket::new(ours, frame(0x82, b"first "));
    let mut text = [0; 12];
    socket.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"first second");
}

#[tokio::test]
async fn both_sides_can_close() {
    let (mut peer, ours) = duplex(64);
    let mut socket = WebSocket::new(ours, Vec::new());
    peer.write_all(&[frame(0x82, b"last"), frame(0x88, &[0x03, 0xE9]), frame(0x82, b"late")].concat()).await.unwrap();
    let mut text = Vec::new();
    socket.read_to_end(&mut text).await.unwrap();
    assert_eq!(text, b"last");
    socket.write_all(b"more").await.unwrap_err();
    drop(socket);
    let mut heard = Vec::new();
    peer.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, [0x88, 2, 0x03, 0xE9]);

    let (mut peer, ours) = duplex(64);
    WebSocket::new(ours, Vec::new()).shutdown().await.unwrap();
    let mut heard = Vec::new();
    peer.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, [0x88, 2, 0x03, 0xE8]);
}
