//! A crate that touches the outside is named in one room only.

use super::source::rust_files;

/// Crates that every room may name.
const SHARED: &[&str] = &[
    "tokio",
    "tokio_util",
    "futures_util",
    "async_trait",
    "bytes",
    "serde",
    "serde_json",
    "thiserror",
    "tracing",
    "rustix",
    "rustls",
    "fastrand",
    "jiff",
    "libm",
];

/// The others, each with its only room.
const OWNED: &[(&str, &str)] = &[
    ("anyhow", "cli gateway"),
    ("argon2", "hub"),
    ("base64ct", "format"),
    ("blake2", "hub"),
    ("clap", "cli"),
    ("clap_complete", "cli"),
    ("clap_mangen", "cli"),
    ("crc32c", "store"),
    ("embedded_hal", "bus"),
    ("gpiocdev", "bus"),
    ("log", "runtime"),
    ("minicbor", "format"),
    ("regex", "drivers"),
    ("ring", "hub"),
    ("rppal", "bus"),
    ("rumqttc", "bridge"),
    ("rustls_native_certs", "bridge"),
    ("sd_notify", "runtime"),
    ("systemd_journal_logger", "runtime"),
    ("tokio_rustls", "hub bridge"),
    ("tokio_serial", "bus"),
    ("tokio_tungstenite", "bridge"),
    ("toml", "config"),
    ("tracing_subscriber", "runtime"),
    ("x509_parser", "hub bridge"),
    ("zstd", "format"),
];

#[test]
fn a_crate_is_named_in_its_room_only() {
    let mut wrong = Vec::new();
    for file in rust_files("src").iter().filter(|file| !file.is_test()) {
        let (room, code) = (file.room(), file.code());
        for (name, rooms) in OWNED {
            if names(&code, name) && !rooms.split(' ').any(|owner| owner == room) {
                wrong.push(format!("{}: {name} belongs to {rooms}", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether `code` names the crate: `name::` that is not part of a longer path or word.
fn names(code: &str, name: &str) -> bool {
    let path = format!("{name}::");
    code.match_indices(&path).any(|(at, _)| {
        let before = code[..at].chars().next_back().unwrap_or(' ');
        !(before.is_alphanumeric() || matches!(before, '_' | ':'))
    })
}

#[test]
fn every_dependency_has_a_room_and_a_reason() {
    let manifest = std::fs::read_to_string(super::root().join("Cargo.toml")).expect("Cargo.toml is there");
    let (_, rest) = manifest.split_once("[dependencies]\n").expect("there are dependencies");
    let (dependencies, _) = rest.split_once("\n[").expect("another table follows");
    let mut commented = false;
    for line in dependencies.lines() {
        if let Some((name, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            let name = name.replace('-', "_");
            let known = SHARED.contains(&&*name) || OWNED.iter().any(|(owned, _)| *owned == name);
            assert!(known, "{name} has no room in tests/tidy/crates.rs");
            assert!(commented, "{name} has no comment in Cargo.toml that says what it is for");
        } else {
            commented = line.starts_with('#') || (commented && !line.is_empty());
        }
    }
}

#[test]
fn unsafe_code_stays_in_its_two_files() {
    for file in rust_files("src") {
        let allowed = ["src/bus/sys.rs", "src/main.rs"].contains(&file.path.as_str());
        assert!(allowed || !file.text.contains("allow(unsafe_code)"), "{}", file.path);
    }
}
