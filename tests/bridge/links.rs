//! Names, TCP and TLS that hang, fail or have to be proven.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};
use weir::bridge::{Condition, Endpoint, Options, Settings, Timing, Tls, Transport};

use crate::common::collector::Collector;
use crate::common::mosquitto::{Mosquitto, free_address_on};
use crate::harness::{Gateway, quick, settings};

/// What local publishers notice of a link that hangs: nothing.
async fn local_traffic_is_undisturbed(gateway: &Gateway) {
    let began = Instant::now();
    for number in 1..=20 {
        gateway.acknowledged("shed/dev/a", [number]).await;
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

fn named(settings: &mut Settings, host: &str, transport: Transport) {
    settings.endpoints[0] = Endpoint { host: host.into(), transport, ..settings.endpoints[0].clone() };
}

#[tokio::test]
async fn a_resolver_that_hangs_holds_one_thread_and_nobody_else() {
    let cloud = Mosquitto::start().await;
    let mut collector = Collector::start(cloud.address(), "up/shed/dev/#");
    let (release, gate) = mpsc::sync_channel::<()>(1);
    let (gate, calls) = (Mutex::new(gate), Arc::new(Mutex::new(0)));
    let (counted, address) = (Arc::clone(&calls), cloud.address());
    let resolve = move |_: &str, _: u16| {
        *counted.lock().unwrap() += 1;
        // Hangs until the test lets go.
        gate.lock().unwrap().recv().unwrap_err();
        Ok(vec![address])
    };
    let timing = Timing { open: Duration::from_millis(200), ..quick().timing };
    let mut settings = settings(cloud.address());
    named(&mut settings, "cloud.example", Transport::Tcp);
    let gateway =
        Gateway::start(settings, Options { timing, resolve: Some(Arc::new(resolve)), ..Options::default() }).await;
    let timed_out = |condition: &Condition| condition.reason.as_deref().is_some_and(|r| r.contains("no answer"));
    gateway.until_condition("timed out", timed_out).await;
    local_traffic_is_undisturbed(&gateway).await;
    assert_eq!(*calls.lock().unwrap(), 1, "one look-up at a time");
    drop(release);
    collector.one("up/shed/dev/a", "20").await;
}

#[tokio::test]
async fn a_tls_server_that_never_answers_disturbs_nobody_and_the_next_endpoint_is_tried() {
    let mute = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let cloud = Mosquitto::start().await;
    let mut collector = Collector::start(cloud.address(), "up/shed/dev/#");
    let ca = Authority::new();
    let mut settings = settings(mute.local_addr().unwrap());
    named(&mut settings, "127.0.0.1", Transport::Tls);
    settings.tls.ca = Some(ca.file("ca.pem"));
    let timing = Timing { open: Duration::from_millis(300), ..quick().timing };
    let only_mute = settings.clone();
    let gateway = Gateway::start(only_mute, Options { timing, ..Options::default() }).await;
    let timed_out = |condition: &Condition| condition.reason.as_deref().is_some_and(|r| r.contains("no answer"));
    gateway.until_condition("timed out", timed_out).await;
    local_traffic_is_undisturbed(&gateway).await;
    gateway.stop().await;

    settings.endpoints.push(Endpoint::plain(cloud.address()));
    let gateway = Gateway::start(settings, Options { timing, ..Options::default() }).await;
    gateway.acknowledged("shed/dev/a", 1..=3).await;
    collector.one("up/shed/dev/a", "3").await;
}

#[tokio::test]
async fn an_address_that_hangs_does_not_hide_the_next_one_of_the_same_name() {
    let cloud = Mosquitto::start().await;
    let (hole, _listener, _full) = black_hole().await;
    let addresses = vec![hole, cloud.address()];
    let resolve = move |_: &str, _: u16| Ok(addresses.clone());
    let mut settings = settings(cloud.address());
    named(&mut settings, "cloud.example", Transport::Tcp);
    let options = Options { resolve: Some(Arc::new(resolve)), ..quick() };
    let gateway = Gateway::start(settings, options).await;
    gateway.until_up().await;
}

/// An address that answers no SYN: a listener whose queue of connections is full.
async fn black_hole() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(connected) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        queue.push(connected.unwrap());
        assert!(queue.len() < 100, "the queue has a bound");
    }
    (address, listener, queue)
}

/// A certificate authority with files, gone when dropped.
struct Authority {
    dir: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { dir: tempfile::tempdir().unwrap(), issuer };
        std::fs::write(authority.file("ca.pem"), authority.issuer.pem()).unwrap();
        authority
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes `<name>.pem` and `<name>.key` of a certificate for `host`.
    fn issue(&self, name: &str, host: &str, usage: ExtendedKeyUsagePurpose) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = (self.file(&format!("{name}.pem")), self.file(&format!("{name}.key")));
        std::fs::write(&files.0, certificate.pem()).unwrap();
        std::fs::write(&files.1, key.serialize_pem()).unwrap();
        files
    }
}

/// A mosquitto with a TLS listener too, and that listener's address.
async fn encrypted(ca: &Authority, host: &str, client_certificates: bool) -> (Mosquitto, SocketAddr) {
    let (cert, key) = ca.issue("server", host, ExtendedKeyUsagePurpose::ServerAuth);
    let address = free_address_on(std::net::Ipv4Addr::LOCALHOST);
    let path = |file: &Path| file.display().to_string();
    let config = format!(
        "listener {} 127.0.0.1\ncafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate {client_certificates}",
        address.port(),
        path(&ca.file("ca.pem")),
        path(&cert),
        path(&key),
    );
    (Mosquitto::start_with(&config).await, address)
}

fn over_tls(address: SocketAddr, host: &str, tls: Tls) -> (Settings, Options) {
    let mut settings = settings(address);
    named(&mut settings, host, Transport::Tls);
    settings.tls = tls;
    (settings, Options { resolve: Some(Arc::new(move |_, _| Ok(vec![address]))), ..quick() })
}

#[tokio::test]
async fn mqtts_with_an_authority_of_our_own_and_a_client_certificate() {
    let ca = Authority::new();
    let (cloud, address) = encrypted(&ca, "cloud.example", true).await;
    let mut collector = Collector::start(cloud.address(), "up/shed/dev/#");
    let (cert, key) = ca.issue("gateway", "gateway", ExtendedKeyUsagePurpose::ClientAuth);
    let tls = Tls { ca: Some(ca.file("ca.pem")), cert: Some(cert), key: Some(key), alpn: vec![] };
    let (settings, options) = over_tls(address, "cloud.example", tls);
    let gateway = Gateway::start(settings, options).await;
    gateway.acknowledged("shed/dev/a", 1..=100).await;
    collector.one("up/shed/dev/a", "100").await;
    gateway.until_drained().await;
    gateway.stop().await;
}

#[tokio::test]
async fn mqtts_refuses_a_stranger_and_a_wrong_name_and_says_so() {
    let ca = Authority::new();
    let (_cloud, address) = encrypted(&ca, "cloud.example", false).await;
    for (host, trusted) in [("other.example", &ca), ("cloud.example", &Authority::new())] {
        let tls = Tls { ca: Some(trusted.file("ca.pem")), ..Tls::default() };
        let (settings, options) = over_tls(address, host, tls);
        let gateway = Gateway::start(settings, options).await;
        let refused = |condition: &Condition| condition.reason.as_deref().is_some_and(|r| r.contains("TLS"));
        gateway.until_condition("refused", refused).await;
    }
}

#[tokio::test]
async fn a_certificate_that_is_replaced_is_used_at_the_next_attempt() {
    let ca = Authority::new();
    let (_cloud, address) = encrypted(&ca, "cloud.example", false).await;
    let file = ca.file("trusted.pem");
    std::fs::write(&file, std::fs::read(Authority::new().file("ca.pem")).unwrap()).unwrap();
    let (settings, options) = over_tls(address, "cloud.example", Tls { ca: Some(file.clone()), ..Tls::default() });
    let gateway = Gateway::start(settings, options).await;
    let refused = |condition: &Condition| condition.reason.as_deref().is_some_and(|r| r.contains("TLS"));
    gateway.until_condition("refused", refused).await;
    std::fs::copy(ca.file("ca.pem"), &file).unwrap();
    gateway.until_up().await;
}
