//! TLS: who is let in, what a certificate says, handshakes that never end, certificates that change.

use std::process::{Command, Stdio};

use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use weir::hub::codec::Reason;
use weir::hub::{Anonymous, Limits, Settings};

use crate::bench::{self, soon, until};
use crate::client::Client;
use crate::common::authority::Authority;
use crate::encrypted::{asking, encrypt, settings, trust};

#[tokio::test]
async fn messages_of_any_size_pass() {
    let authority = Authority::new();
    let bench = bench::start(settings(&authority)).await;
    let config = trust(&authority.pem(), None);
    let mut client = Client::welcomed(encrypt(&bench, &config).await.unwrap(), "tls").await;
    for size in [0, 1, 16_383, 16_384, 100_000, 1_000_000] {
        client.echo(&format!("size/{size}"), &vec![b'x'; size]).await;
    }
}

#[tokio::test]
async fn a_hub_of_another_authority_is_not_trusted() {
    let (authority, other) = (Authority::new(), Authority::new());
    let bench = bench::start(settings(&authority)).await;
    let error = encrypt(&bench, &trust(&other.pem(), None)).await.unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    until(|| bench.hub.counters().closed.get("tls") == Some(&1)).await;
}

/// In TLS 1.3 a client learns only behind the handshake that its certificate was refused.
async fn is_refused(bench: &bench::Bench, config: &std::sync::Arc<rustls::ClientConfig>) -> String {
    let mut stream = match encrypt(bench, config).await {
        Ok(stream) => stream,
        Err(error) => return error.to_string(),
    };
    let mut byte = [0];
    match soon(stream.read(&mut byte)).await {
        Ok(_) => panic!("it was let in"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_required_certificate_must_be_there_be_good_and_be_of_the_right_authority() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let bench = bench::start(asking(&authority, &clients, true)).await;
    let good = trust(&authority.pem(), Some(&clients.client("pump")));
    Client::welcomed(encrypt(&bench, &good).await.unwrap(), "good").await.echo("a", b"b").await;
    for (shown, word) in [
        (None, "CertificateRequired"),
        (Some(clients.expired("old")), "CertificateExpired"),
        (Some(authority.client("stranger")), "UnknownCA"),
    ] {
        let error = is_refused(&bench, &trust(&authority.pem(), shown.as_ref())).await;
        assert!(error.contains(word), "{word}: {error}");
    }
    until(|| bench.hub.counters().closed.get("tls") == Some(&3)).await;
}

#[tokio::test]
async fn an_optional_certificate_may_be_missing_but_not_wrong() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let bench = bench::start(asking(&authority, &clients, false)).await;
    for shown in [None, Some(clients.client("pump"))] {
        let config = trust(&authority.pem(), shown.as_ref());
        Client::welcomed(encrypt(&bench, &config).await.unwrap(), "client").await.ping().await;
    }
    let error = is_refused(&bench, &trust(&authority.pem(), Some(&authority.client("stranger")))).await;
    assert!(error.contains("UnknownCA"), "{error}");
}

#[tokio::test]
async fn sessions_are_resumed() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let bench = bench::start(asking(&authority, &clients, true)).await;
    let config = trust(&authority.pem(), Some(&clients.client("pump")));
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
        let mut client = Client::welcomed(encrypt(&bench, &config).await.unwrap(), "client").await;
        client.ping().await;
        assert_eq!(client.stream.get_ref().1.handshake_kind(), Some(expected));
    }
}

#[tokio::test]
async fn handshakes_that_never_end_keep_nobody_out() {
    let authority = Authority::new();
    let limits = Limits { connections: 600, ..Limits::default() };
    let bench = bench::start(Settings { limits, ..settings(&authority) }).await;
    let mut idle = Vec::new();
    for _ in 0..500 {
        idle.push(soon(TcpStream::connect(bench.address)).await.unwrap());
    }
    until(|| bench.hub.counters().connections == 500).await;
    let began = tokio::time::Instant::now();
    let config = trust(&authority.pem(), None);
    Client::welcomed(encrypt(&bench, &config).await.unwrap(), "good").await.echo("a", b"b").await;
    assert!(began.elapsed() < std::time::Duration::from_secs(2), "{:?}", began.elapsed());
}

/// Time is paused: the deadline comes when nothing else happens.
#[tokio::test(start_paused = true)]
async fn handshakes_that_never_end_are_ended() {
    let authority = Authority::new();
    let bench = bench::start(settings(&authority)).await;
    let mut idle = Vec::new();
    // Nothing at all, and the beginning of a ClientHello.
    for begun in [&[][..], &[0x16, 0x03, 0x01, 0x02]] {
        let mut stream = TcpStream::connect(bench.address).await.unwrap();
        stream.write_all(begun).await.unwrap();
        idle.push(stream);
    }
    for mut stream in idle {
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    }
    assert_eq!(bench.hub.counters().closed.get("handshake_timeout"), Some(&2));
}

#[tokio::test]
async fn new_certificates_hold_for_new_connections_and_bad_ones_not_at_all() {
    let authority = Authority::new();
    let bench = bench::start(settings(&authority)).await;
    let config = trust(&authority.pem(), None);
    let mut old = Client::welcomed(encrypt(&bench, &config).await.unwrap(), "old").await;
    let shown = |client: &Client<tokio_rustls::client::TlsStream<TcpStream>>| {
        client.stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    let first = shown(&old);

    std::fs::write(authority.file("hub.pem"), "nothing").unwrap();
    let error = bench.hub.reload_certificates().await.unwrap_err();
    assert!(error.to_string().contains("there is no PEM certificate in "), "{error}");
    let fresh = || trust(&authority.pem(), None);
    let client = Client::welcomed(encrypt(&bench, &fresh()).await.unwrap(), "between").await;
    assert_eq!(shown(&client), first);

    authority.server("hub");
    bench.hub.reload_certificates().await.unwrap();
    let mut new = Client::welcomed(encrypt(&bench, &fresh()).await.unwrap(), "new").await;
    assert_ne!(shown(&new), first);
    old.echo("still", b"here").await;
    new.echo("here", b"too").await;
}

#[tokio::test]
async fn another_authority_for_clients_holds_after_a_reload_even_for_resumed_sessions() {
    let (authority, former, next) = (Authority::new(), Authority::new(), Authority::new());
    let settings = asking(&authority, &former, true);
    let bench = bench::start(settings.clone()).await;
    let shown = former.client("pump");
    let config = trust(&authority.pem(), Some(&shown));
    Client::welcomed(encrypt(&bench, &config).await.unwrap(), "client").await.ping().await;

    bench
        .hub
        .reload(Settings { listen_tls: settings.listen_tls.clone(), ..asking(&authority, &next, true) })
        .await
        .unwrap();
    bench.hub.reload_certificates().await.unwrap();
    let error = is_refused(&bench, &config).await;
    assert!(error.contains("UnknownCA"), "{error}");
    let config = trust(&authority.pem(), Some(&next.client("pump")));
    Client::welcomed(encrypt(&bench, &config).await.unwrap(), "client").await.ping().await;
}

#[tokio::test]
async fn without_a_usable_certificate_the_other_doors_are_open_until_there_is_one() {
    let authority = Authority::new();
    let good = settings(&authority);
    std::fs::rename(authority.file("hub.key"), authority.file("away.key")).unwrap();
    let bench = bench::start(good).await;
    let config = trust(&authority.pem(), None);
    encrypt(&bench, &config).await.unwrap_err();
    std::fs::rename(authority.file("away.key"), authority.file("hub.key")).unwrap();
    bench.hub.reload_certificates().await.unwrap();
    Client::welcomed(encrypt(&bench, &config).await.unwrap(), "client").await.ping().await;
}

#[tokio::test]
async fn encryption_alone_makes_nobody_welcome() {
    let authority = Authority::new();
    let bench = bench::start(Settings { allow_anonymous: Anonymous::Never, ..settings(&authority) }).await;
    let mut client = Client::new(encrypt(&bench, &trust(&authority.pem(), None)).await.unwrap());
    assert_eq!(client.connect("nobody").await, Some(Reason::NOT_AUTHORIZED));
}

/// What `openssl s_client` says when it connects with these options.
async fn openssl(bench: &bench::Bench, options: &[&str]) -> (bool, String) {
    let address = bench.address.to_string();
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &address, "-cipher", "DEFAULT@SECLEVEL=0"]).args(options);
    command.stdin(Stdio::null());
    let output = soon(tokio::task::spawn_blocking(move || command.output())).await.unwrap();
    let output = output.expect("openssl is installed: scripts/test does it");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test]
async fn openssl_gets_tls_1_2_and_1_3_and_nothing_older() {
    let authority = Authority::new();
    let bench = bench::start(settings(&authority)).await;
    let ca = authority.pem().display().to_string();
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let (good, text) = openssl(&bench, &["-CAfile", &ca, "-verify_return_error", version]).await;
        assert!(good && text.contains(&format!("New, {name}")) && text.contains("Verify return code: 0"), "{text}");
    }
    for version in ["-tls1", "-tls1_1"] {
        let (good, text) = openssl(&bench, &[version]).await;
        assert!(!good && text.contains("Cipher is (NONE)"), "{version}: {text}");
    }
}
