//! Passwords over real sockets: who gets in, from where, and how soon after a power cut.

use std::time::Duration;

use tokio::time::Instant;
use weir::hub::codec::{Connect, Packet, Reason, Version};
use weir::hub::{Anonymous, Settings, users};

use crate::bench::{self, Bench, soon};
use crate::raw::{Raw, connect};

/// A hub with these users, whose passwords are their names backwards.
async fn hub(names: &[&str], allow_anonymous: Anonymous, listen: &str) -> (Bench, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("users");
    for name in names {
        users::add(&file, name, &password(name), dir.path()).unwrap();
    }
    let listen = vec![listen.parse().unwrap()];
    let settings = Settings { allow_anonymous, users_file: Some(file), listen, ..bench::settings() };
    (bench::start(settings).await, dir)
}

fn password(name: &str) -> Vec<u8> {
    name.bytes().rev().collect()
}

fn login<'a>(version: Version, id: &'a str, user: &'a str, password: &'a [u8]) -> Connect<'a> {
    Connect { user: Some(user), password: Some(password), ..connect(version, id) }
}

/// The CONNACK.
async fn answer(bench: &Bench, connect: Connect<'_>) -> (Vec<u8>, Raw) {
    let mut raw = Raw::open(bench, connect.version).await;
    raw.send(&Packet::Connect(Box::new(connect))).await;
    (raw.next().await.expect("a CONNACK"), raw)
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_get_the_same_answer() {
    let (bench, _dir) = hub(&["ann"], Anonymous::Loopback, "127.0.0.1:0").await;
    for (version, code) in [(Version::V5, 0x86), (Version::V4, 4)] {
        let (wrong, _) = answer(&bench, login(version, "c", "ann", b"x")).await;
        let (unknown, _) = answer(&bench, login(version, "c", "eve", b"x")).await;
        assert_eq!((wrong[3], &wrong), (code, &unknown));
        assert_eq!(answer(&bench, login(version, "c", "ann", b"nna")).await.0[3], 0);
    }
    assert_eq!(answer(&bench, connect(Version::V5, "c")).await.0[3], 0, "anonymous from this machine");
}

#[tokio::test]
async fn never_is_never_and_loopback_has_several_addresses() {
    for listen in ["127.0.0.1:0", "[::1]:0", "[::ffff:127.0.0.1]:0"] {
        let (bench, _dir) = hub(&["ann"], Anonymous::Loopback, listen).await;
        assert_eq!(answer(&bench, connect(Version::V4, "c")).await.0[3], 0, "{listen}");
        let (bench, _dir) = hub(&["ann"], Anonymous::Never, listen).await;
        assert_eq!(answer(&bench, connect(Version::V4, "c")).await.0[3], 5, "{listen}");
        assert_eq!(answer(&bench, connect(Version::V5, "c")).await.0[3], 0x87, "{listen}");
    }
}

#[tokio::test]
async fn a_client_id_is_one_users_own() {
    let (bench, _dir) = hub(&["ann", "bob"], Anonymous::Loopback, "127.0.0.1:0").await;
    let (_, mut first) = answer(&bench, login(Version::V5, "c", "ann", b"nna")).await;
    for thief in [login(Version::V5, "c", "bob", b"bob"), connect(Version::V5, "c")] {
        assert_eq!(answer(&bench, thief).await.0[3], Reason::NOT_AUTHORIZED.0);
    }
    first.expect_nothing().await;
    assert_eq!(answer(&bench, login(Version::V5, "c", "ann", b"nna")).await.0[3], 0);
    first.expect_end(Reason::SESSION_TAKEN_OVER).await;
}

/// The whole of it, 200 devices of 20 users on one core, is `taskset -c 0 cargo test --release --test hub devices`.
#[tokio::test]
async fn all_devices_of_all_users_are_in_soon_after_a_power_cut() {
    let (names, each) = if cfg!(debug_assertions) { (5, 10) } else { (20, 10) };
    let names: Vec<String> = (0..names).map(|n| format!("user{n}")).collect();
    let listed: Vec<&str> = names.iter().map(String::as_str).collect();
    let (bench, _dir) = hub(&listed, Anonymous::Never, "127.0.0.1:0").await;
    let began = Instant::now();
    let devices = names.iter().flat_map(|name| (0..each).map(move |n| (name, format!("{name}-{n}"))));
    let logins = devices.map(|(name, id)| {
        let bench = &bench;
        async move { answer(bench, login(Version::V4, &id, name, &password(name))).await }
    });
    let answers = soon(futures_util::future::join_all(logins)).await;
    let took = began.elapsed();
    assert!(answers.iter().all(|(connack, _)| connack[3] == 0));
    println!("{} devices of {} users were in after {took:?}", answers.len(), names.len());
    assert!(took < Duration::from_secs(30), "{took:?}");
}
