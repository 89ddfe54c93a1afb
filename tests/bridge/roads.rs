//! WebSockets, and proxies that connect for us.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use weir::bridge::{Condition, Endpoint, Proxy, ProxyKind, Settings, Tls, Transport};
use weir::config::units::Secret;

use crate::common::authority::Authority;
use crate::common::collector::Collector;
use crate::common::mosquitto::{Mosquitto, free_address_on};
use crate::common::proxy;
use crate::front::Front;
use crate::harness::{Gateway, PATIENCE, quick, receive, settings};

/// A mosquitto with a WebSocket listener too, and that listener's address.
async fn websockets() -> (Mosquitto, SocketAddr) {
    let address = free_address_on(Ipv4Addr::LOCALHOST);
    let config = format!("listener {} 127.0.0.1\nprotocol websockets", address.port());
    (Mosquitto::start_with(&config).await, address)
}

fn over(transport: Transport, address: SocketAddr) -> Settings {
    let mut settings = settings(address);
    settings.endpoints = vec![Endpoint { transport, path: "/mqtt".into(), ..Endpoint::plain(address) }];
    settings
}

/// A thousand messages up, some of them large, through a cut, and one down.
async fn carries_everything(settings: Settings, cut: &proxy::Proxy, cloud: &Mosquitto) {
    let mut settings = settings;
    settings.receive = vec![receive("down/shed/cmd/#", "down/")];
    let mut collector = Collector::start(cloud.address(), "up/shed/dev/#");
    let gateway = Gateway::start(settings, quick()).await;
    let mut commands = gateway.hub.subscribe(vec![weir::model::Filter::new("shed/cmd/#").unwrap()], 4);
    gateway.until_up().await;
    gateway.acknowledged("shed/dev/a", 1..=500).await;
    let large = "x".repeat(300_000);
    crate::harness::safe(gateway.publish("shed/dev/large", &large).await).await;
    cut.cut();
    gateway.acknowledged("shed/dev/a", 501..=1000).await;
    collector.one("up/shed/dev/a", "1000").await;
    collector.one("up/shed/dev/large", &large).await;
    let wanted: Vec<_> = (1..=1000).map(|number: u32| number.to_string()).collect();
    assert_eq!(collector.firsts()["up/shed/dev/a"], wanted);
    gateway.until_drained().await;
    gateway.until_up().await;

    let (host, port) = (cloud.address().ip().to_string(), cloud.address().port().to_string());
    let sent = std::process::Command::new("mosquitto_pub")
        .args(["-h", &host, "-p", &port, "-q", "1", "-t", "down/shed/cmd/x", "-m", "now"])
        .status()
        .unwrap();
    assert!(sent.success());
    let command = timeout(PATIENCE, commands.recv()).await.expect("the command arrives").unwrap();
    assert_eq!(&*command.message.payload, b"now");
    gateway.stop().await;
}

#[tokio::test]
async fn a_websocket_carries_everything() {
    let (cloud, address) = websockets().await;
    let cable = proxy::Proxy::start(address).await;
    carries_everything(over(Transport::Ws, cable.address()), &cable, &cloud).await;
}

#[tokio::test]
async fn an_encrypted_websocket_carries_everything() {
    let (ca, (cloud, address)) = (Authority::new(), websockets().await);
    let front = Front::start(&ca, ca.server("front"), false, address).await;
    let cable = proxy::Proxy::start(front.address).await;
    let tls = Tls { ca: Some(ca.pem()), ..Tls::default() };
    let settings = Settings { tls, ..over(Transport::Wss, cable.address()) };
    carries_everything(settings, &cable, &cloud).await;
}

#[tokio::test]
async fn a_server_that_is_no_websocket_is_told_as_such() {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = server.accept().await {
            let mut request = vec![0; 4096];
            drop(client.read(&mut request).await);
            drop(client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await);
        }
    });
    let gateway = Gateway::start(over(Transport::Ws, address), quick()).await;
    let is =
        |condition: &Condition| condition.reason.as_deref().is_some_and(|reason| reason.contains("HTTP status 403"));
    gateway.until_condition("forbidden", is).await;
}

/// A proxy that asks for `me` and `secret`, and knows one name.
struct Helper {
    address: SocketAddr,
    /// What clients asked to be connected to.
    asked: watch::Receiver<Vec<String>>,
}

impl Helper {
    async fn start(kind: ProxyKind, server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (told, asked) = watch::channel(Vec::new());
        let told = Arc::new(told);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(help(kind, client, server, Arc::clone(&told)));
            }
        });
        Self { address, asked }
    }

    fn settings(&self, kind: ProxyKind, password: &str) -> Proxy {
        let login = Some(("me".to_owned(), Secret::new(password)));
        Proxy { kind, host: self.address.ip().to_string(), port: self.address.port(), login }
    }
}

async fn help(kind: ProxyKind, mut client: TcpStream, server: SocketAddr, told: Arc<watch::Sender<Vec<String>>>) {
    let asked = match kind {
        ProxyKind::Http => http(&mut client).await,
        ProxyKind::Socks5 => socks(&mut client).await,
    };
    let Some(asked) = asked else { return };
    told.send_modify(|all| all.push(asked));
    let mut server = TcpStream::connect(server).await.unwrap();
    // Either side may go; that ends both.
    drop(copy_bidirectional(&mut client, &mut server).await);
}

async fn http(client: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    // RFC 7617: base64 of `me:secret`.
    if !head.contains("\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n") {
        client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await.ok()?;
        return None;
    }
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.ok()?;
    head.split(' ').nth(1).map(str::to_owned)
}

async fn socks(client: &mut TcpStream) -> Option<String> {
    let mut hello = [0; 4];
    client.read_exact(&mut hello).await.ok()?;
    client.write_all(&[5, 2]).await.ok()?;
    let mut login = [0; 11];
    client.read_exact(&mut login).await.ok()?;
    let good = login == *b"\x01\x02me\x06secret";
    client.write_all(&[1, u8::from(!good)]).await.ok()?;
    let mut request = [0; 5];
    client.read_exact(&mut request).await.ok().filter(|_| good)?;
    assert_eq!(request[..4], [5, 1, 0, 3], "CONNECT to a name");
    let mut name = vec![0; usize::from(request[4]) + 2];
    client.read_exact(&mut name).await.ok()?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.ok()?;
    let (name, port) = name.split_at(name.len() - 2);
    Some(format!("{}:{}", String::from_utf8_lossy(name), u16::from_be_bytes([port[0], port[1]])))
}

#[tokio::test]
async fn both_kinds_of_proxies_resolve_and_connect_for_us() {
    for kind in [ProxyKind::Http, ProxyKind::Socks5] {
        let cloud = Mosquitto::start().await;
        let cable = proxy::Proxy::start(cloud.address()).await;
        let helper = Helper::start(kind, cable.address()).await;
        let mut settings = settings(cloud.address());
        // Only the proxy knows this name (RFC 6761 section 6.4).
        settings.endpoints[0].host = "broker.invalid".into();
        settings.proxy = Some(helper.settings(kind, "secret"));
        let wanted = format!("broker.invalid:{}", cloud.address().port());
        carries_everything(settings, &cable, &cloud).await;
        assert!(helper.asked.borrow().iter().all(|asked| *asked == wanted), "{:?}", helper.asked.borrow());
    }
}

#[tokio::test]
async fn a_proxy_that_does_not_know_us_is_named() {
    for kind in [ProxyKind::Http, ProxyKind::Socks5] {
        let cloud = Mosquitto::start().await;
        let helper = Helper::start(kind, cloud.address()).await;
        let mut settings = settings(cloud.address());
        settings.proxy = Some(helper.settings(kind, "geheim"));
        let gateway = Gateway::start(settings, quick()).await;
        let is =
            |condition: &Condition| condition.reason.as_deref().is_some_and(|r| r.contains("not accept our login"));
        gateway.until_condition("refused", is).await;
    }
}

#[tokio::test]
async fn tls_goes_through_a_proxy_to_the_broker() {
    let (ca, cloud) = (Authority::new(), Mosquitto::start().await);
    let front = Front::start(&ca, ca.server("front"), false, cloud.address()).await;
    let helper = Helper::start(ProxyKind::Http, front.address).await;
    let mut settings = over(Transport::Tls, front.address);
    settings.tls.ca = Some(ca.pem());
    settings.proxy = Some(helper.settings(ProxyKind::Http, "secret"));
    let gateway = Gateway::start(settings, quick()).await;
    gateway.until_up().await;
    assert_eq!(*helper.asked.borrow(), [front.address.to_string()]);
}

#[tokio::test]
async fn a_proxy_that_says_nothing_has_the_same_deadline_as_everybody() {
    let mute = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut settings = settings(free_address_on(Ipv4Addr::LOCALHOST));
    let (host, port) = (mute.local_addr().unwrap().ip().to_string(), mute.local_addr().unwrap().port());
    settings.proxy = Some(Proxy { kind: ProxyKind::Socks5, host, port, login: None });
    let mut options = quick();
    options.timing.open = Duration::from_millis(200);
    let gateway = Gateway::start(settings, options).await;
    let is = |condition: &Condition| condition.reason.as_deref().is_some_and(|reason| reason.contains("no answer"));
    gateway.until_condition("timed out", is).await;
    gateway.acknowledged("shed/dev/a", 1..=5).await;
}
