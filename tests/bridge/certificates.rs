//! Certificates: shown, asked for, resumed, replaced, too early and too late.

use std::net::SocketAddr;
use std::time::Duration;

use rustls::HandshakeKind;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::time::Instant;
use weir::bridge::{Condition, Endpoint, Options, Settings, Tls, Transport};
use weir::model::{Stamp, TimeQuality};
use weir::runtime::Clock;

use crate::common::authority::{Authority, Files};
use crate::common::collector::Collector;
use crate::common::mosquitto::Mosquitto;
use crate::common::proxy::Proxy;
use crate::front::Front;
use crate::harness::{Gateway, quick, settings};

fn over(transport: Transport, address: SocketAddr, tls: Tls) -> Settings {
    let mut settings = settings(address);
    settings.endpoints = vec![Endpoint { transport, ..Endpoint::plain(address) }];
    settings.tls = tls;
    settings
}

fn trusting(ca: &Authority) -> Tls {
    Tls { ca: Some(ca.pem()), ..Tls::default() }
}

fn reason_has(text: &'static str) -> impl Fn(&Condition) -> bool {
    move |condition| condition.reason.as_deref().is_some_and(|reason| reason.contains(text))
}

#[tokio::test]
async fn sessions_are_resumed_and_protocols_offered() {
    let (ca, cloud) = (Authority::new(), Mosquitto::start().await);
    let front = Front::start(&ca, ca.server("front"), false, cloud.address()).await;
    let cable = Proxy::start(front.address).await;
    let tls = Tls { alpn: vec!["mqtt".into(), "x-weir".into()], ..trusting(&ca) };
    let gateway = Gateway::start(over(Transport::Tls, cable.address(), tls), quick()).await;
    for connections in 1..=4 {
        gateway.until_up().await;
        gateway.acknowledged("shed/dev/a", [connections as u32]).await;
        gateway.until_drained().await;
        let seen = front.until(connections).await;
        assert_eq!(seen[connections - 1].alpn.as_deref(), Some(&b"mqtt"[..]));
        cable.cut();
        gateway.until_condition("noticed", |condition| !condition.is_up()).await;
    }
    let kinds: Vec<_> = front.until(4).await.into_iter().take(4).map(|seen| seen.kind).collect();
    let full = kinds.iter().filter(|kind| **kind != HandshakeKind::Resumed).count();
    assert_eq!(full, 1, "{kinds:?}");
}

#[tokio::test]
async fn a_client_certificate_that_is_replaced_is_shown_after_a_reload_and_after_a_cut() {
    let (ca, cloud) = (Authority::new(), Mosquitto::start().await);
    let mut collector = Collector::start(cloud.address(), "up/shed/dev/#");
    let front = Front::start(&ca, ca.server("front"), true, cloud.address()).await;
    let cable = Proxy::start(front.address).await;
    let [first, second, third] = ["one", "two", "three"].map(|name| ca.client(name));
    let used: Files = (ca.file("used.pem"), ca.file("used.key"));
    let put = |files: &Files| {
        std::fs::copy(&files.0, &used.0).unwrap();
        std::fs::copy(&files.1, &used.1).unwrap();
    };
    let der = |files: &Files| CertificateDer::from_pem_file(&files.0).unwrap().to_vec();
    put(&first);
    let tls = Tls { cert: Some(used.0.clone()), key: Some(used.1.clone()), ..trusting(&ca) };
    let gateway = Gateway::start(over(Transport::Tls, cable.address(), tls), quick()).await;
    gateway.acknowledged("shed/dev/a", 1..=3).await;
    assert_eq!(front.until(1).await[0].client, Some(der(&first)));

    gateway.until_up().await;
    gateway.bridge.reload_certificates().await;
    put(&second);
    gateway.bridge.reload_certificates().await;
    let seen = front.until(2).await;
    assert_eq!(seen[1].client, Some(der(&second)), "nothing was opened anew before the files changed");
    gateway.acknowledged("shed/dev/a", 4..=6).await;

    gateway.until_up().await;
    put(&third);
    cable.cut();
    assert_eq!(front.until(3).await[2].client, Some(der(&third)));

    // Only one of the two is written yet: the old pair stays in use, and nothing stops.
    std::fs::copy(&first.0, &used.0).unwrap();
    gateway.until_up().await;
    cable.cut();
    assert_eq!(front.until(4).await[3].client, Some(der(&third)));
    gateway.acknowledged("shed/dev/a", 7..=9).await;
    collector.one("up/shed/dev/a", "9").await;
    gateway.until_drained().await;
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_waits_for_the_clock() {
    let (ca, cloud) = (Authority::new(), Mosquitto::start().await);
    let front = Front::start(&ca, ca.server_between("front", (2024, 2100)), false, cloud.address()).await;
    // The clock of a machine without a battery: some day in 1981.
    let now = Clock::system().now();
    let (clock, hand) = Clock::by_hand(Stamp { wall_ms: 350_000_000_000, quality: TimeQuality::Unsynced, ..now });
    let options = Options { clock: Some(clock), ..quick() };
    let gateway = Gateway::start(over(Transport::Tls, front.address, trusting(&ca)), options).await;
    let waits = gateway.until_condition("too early", reason_has("waiting for the clock to be set")).await;
    assert!(waits.reason.unwrap().contains("is not valid before 2024-01-01"));
    hand.turn(|stamp| (stamp.wall_ms, stamp.quality) = (now.wall_ms, TimeQuality::Synced));
    let began = Instant::now();
    gateway.until_up().await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_expired_certificate_is_told_as_such_on_either_side() {
    let (ca, cloud) = (Authority::new(), Mosquitto::start().await);
    let front = Front::start(&ca, ca.server_between("front", (2001, 2002)), false, cloud.address()).await;
    let gateway = Gateway::start(over(Transport::Tls, front.address, trusting(&ca)), quick()).await;
    let expired = gateway.until_condition("expired", reason_has("has expired at 2002-01-01")).await;
    assert!(expired.reason.unwrap().contains("127.0.0.1"));

    let front = Front::start(&ca, ca.server("front"), true, cloud.address()).await;
    let (cert, key) = ca.expired("gateway");
    let tls = Tls { cert: Some(cert), key: Some(key), ..trusting(&ca) };
    let gateway = Gateway::start(over(Transport::Tls, front.address, tls), quick()).await;
    gateway.until_condition("ours", reason_has("our certificate has expired")).await;
    let gateway = Gateway::start(over(Transport::Tls, front.address, trusting(&ca)), quick()).await;
    gateway.until_condition("none", reason_has("wants a certificate from us")).await;
}
