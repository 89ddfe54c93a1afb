//! The configurations we ship: all are good, and `config/weir.toml` shows every key with its default.
//!
//! In `config/weir.toml` a line that begins with `#` and no blank is a setting; taking the `#` away sets it.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;
use weir::config::{Report, Sources};
use weir::filters::FILTERS;
use weir::plan::{self, Plan};

/// A key that no table has, so that the answer lists those it has.
const NOBODY: &str = "zzzzzzzzzzzz";

#[test]
fn every_shipped_configuration_is_good() {
    let mut seen = 0;
    for entry in fs::read_dir("config").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let (_, report) = plan::load(&path).map_err(|report| report.to_string()).unwrap();
            assert_eq!(report.to_string(), "");
            seen += 1;
        }
    }
    assert!(seen >= 2);
}

/// The pieces of configuration in the README are one whole, in the order in which it shows them.
#[test]
fn the_readme_shows_a_good_configuration() {
    let (_, dir) = everything();
    let here = dir.path().to_str().expect("UTF-8");
    let readme = fs::read_to_string("README.md").expect("it is shipped");
    let pieces = readme.split("```toml\n").skip(1).map(|piece| piece.split("```").next().unwrap_or_default());
    let text: String = pieces.collect();
    let text = text.replace("{ file = \"", &format!("{{ file = \"{here}/"));
    let plan = good(&text.replace("/etc/weir/tls", here).replace("/etc/weir", here));
    assert_eq!((plan.sensors.len(), plan.bridges.len()), (1, 1));
}

fn sample() -> String {
    fs::read_to_string("config/weir.toml").expect("it is shipped")
}

/// The sample with every setting uncommented.
pub(crate) fn uncommented() -> String {
    let set = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    sample().lines().map(set).collect()
}

/// The same, with secrets and certificates in a directory of their own.
fn everything() -> (String, TempDir) {
    let dir = tempfile::tempdir().expect("a place for scratch files");
    let certificate = "-----BEGIN CERTIFICATE-----\n";
    let key = rcgen::KeyPair::generate().expect("a key");
    let hub = rcgen::CertificateParams::default().self_signed(&key).expect("a certificate").pem();
    for (name, text) in [
        ("hub.crt", &*hub),
        ("hub.key", &key.serialize_pem()),
        ("clients.pem", &hub),
        ("cloud-password", "secret"),
        ("ca.pem", certificate),
        ("client.pem", certificate),
        ("client.key", "-----BEGIN PRIVATE KEY-----\n"),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("a writable directory");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("our own file");
    }
    let here = dir.path().to_str().expect("UTF-8");
    let text = uncommented().replace("credential = \"", &format!("file = \"{here}/")).replace("/etc/weir/tls", here);
    let users = dir.path().join("users");
    weir::hub::users::add(&users, "ann", b"secret", dir.path()).expect("a writable directory");
    let text = text.replace("/etc/weir/users", users.to_str().expect("UTF-8"));
    (text, dir)
}

fn check(text: &str) -> Result<(Plan, Report), Report> {
    plan::check(Sources::from_text("all.toml", text))
}

fn good(text: &str) -> Plan {
    let (plan, report) = check(text).map_err(|report| panic!("{report}")).expect("errors panicked");
    assert_eq!(report.to_string(), "");
    plan
}

#[test]
fn the_sample_loads_with_everything_uncommented() {
    let (text, _dir) = everything();
    let plan = good(&text);
    assert_eq!((plan.sensors.len(), plan.outputs.len(), plan.bridges.len()), (1, 1, 1));
}

/// `NOBODY` is put into every table of the file; each complaint names the keys known there,
/// and each of those must stand in the same table of the sample.
#[test]
fn the_sample_mentions_every_key() {
    let (text, _dir) = everything();
    let mut tables = 0;
    for (at, _) in text.match_indices(['[', '{']) {
        let Some((inserted, table)) = insert(&text, at) else { continue };
        let report = check(&inserted).err().map(|report| report.to_string()).unwrap_or_default();
        let known = report.split("known here: ").nth(1).unwrap_or_else(|| panic!("nothing known in {table}: {report}"));
        for key in known.lines().next().unwrap_or_default().split(", ") {
            let beside = table.split([',', '{', '\n']).any(|part| part.trim().split([' ', '=']).next() == Some(key));
            let below = text.contains(&format!(".{key}]"));
            assert!(beside || below || one_of_several(key), "`{key}` is missing in {table}");
        }
        tables += 1;
    }
    assert!(tables >= 12, "{tables}");
}

#[test]
fn the_sample_shows_every_table() {
    let (text, _dir) = everything();
    let report = check(&format!("{NOBODY} = 0\n{text}")).err().unwrap().to_string();
    let known = report.split("known here: ").nth(1).unwrap().lines().next().unwrap();
    for table in known.split(", ") {
        assert!(["[{}]\n", "[[{}]]\n", "[{}."].iter().any(|form| text.contains(&form.replace("{}", table))), "{table}");
    }
}

/// Ways to give a secret, of which one is shown and the others are explained.
fn one_of_several(key: &str) -> bool {
    ["file", "env", "credential"].contains(&key) && sample().contains(&format!("{{ {key} = \"...\" }}"))
}

/// The text with `NOBODY` in the table that opens at `at`, and the text of that table.
/// Nothing for what is no table, and for tables whose keys are not the loader's: options and filters.
fn insert(text: &str, at: usize) -> Option<(String, &str)> {
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[line_start..].lines().next()?;
    let header = line.starts_with('[') && at == line_start;
    let foreign =
        line.starts_with('#') || line.starts_with("options") || line.contains("= [{") || line == "[sensor.filter]";
    if foreign || !(header || text[at..].starts_with('{')) {
        return None;
    }
    let (end, table) = match header {
        true => {
            let end = line_start + line.len() + 1;
            let next = text[end..].find("\n[").map_or(text.len(), |next| end + next);
            (end, &text[at..next])
        }
        false => (at + 1, &text[at..at + text[at..].find('}')?]),
    };
    let key = if header { format!("{NOBODY} = 0\n") } else { format!(" {NOBODY} = 0,") };
    Some((format!("{}{key}{}", &text[..end], &text[end..]), table))
}

#[test]
fn the_sample_shows_every_filter() {
    let text = sample();
    for spec in FILTERS {
        assert!(text.contains(&format!("{{ {} =", spec.name)), "{}", spec.name);
    }
}

/// Settings that are left out are as the sample shows them.
#[test]
fn the_sample_shows_the_defaults() {
    let (text, _dir) = everything();
    let (all, none) = (good(&text), good(&sample()));
    assert_eq!(all.gateway, none.gateway);
    assert_eq!(all.buses.bus("i2c-1"), none.buses.bus("i2c-1"));
    assert_eq!(all.store, none.store);
    assert_eq!((all.hub.listen, all.hub.allow_anonymous), (none.hub.listen, none.hub.allow_anonymous));
    assert_eq!(all.hub.limits, none.hub.limits);
}

/// The same for tables that have no default as a whole: only what is needed stands in these.
#[test]
fn the_sample_shows_the_defaults_of_devices_and_bridges() {
    let (text, _dir) = everything();
    let all = good(&text);
    let least = good(
        r#"
        [gateway]
        name = "weir"
        [[sensor]]
        name = "greenhouse"
        driver = "bme280"
        options = { bus = "i2c-1" }
        [[output]]
        name = "pump"
        driver = "gpio-out"
        options = { line = "GPIO27" }
        on_link_lost = { after = "10m" }
        [[bridge]]
        name = "cloud"
        url = "mqtts://broker.example.net"
        username = "weir"
        budget = { per_month = "40MB" }
        connect = { mode = "scheduled" }
        [[bridge.forward]]
        topics = ["weir/#"]
        ttl = "30d"
        batch = { topic = "weir/batch/telemetry" }
        [[bridge.receive]]
        topics = ["sites/north/cmd/#"]
        "#,
    );
    let (sensor, other) = (&all.sensors[0], &least.sensors[0]);
    assert_eq!(sensor.configured.claims, other.configured.claims);
    let settings = |sensor: &plan::SensorPlan| (sensor.every, sensor.deadline, sensor.strikes, sensor.publish);
    assert_eq!(settings(sensor), settings(other));
    assert_eq!(all.outputs[0].boot, least.outputs[0].boot);
    assert_eq!(all.outputs[0].on_link_lost, least.outputs[0].on_link_lost);
    let mut bridge = all.bridges[0].clone();
    bridge.password = None;
    bridge.tls = weir::bridge::Tls::default();
    assert!(bridge.proxy.take().is_some());
    assert_eq!(bridge, least.bridges[0]);
}

/// Every measure that the sample filters is one of its sensor.
#[test]
fn the_sample_filters_each_measure() {
    let (text, _dir) = everything();
    let plan = good(&text);
    let measures: HashSet<_> = plan.sensors[0].configured.measures.iter().map(|m| m.name.to_string()).collect();
    assert_eq!(plan.sensors[0].recipes.keys().cloned().collect::<HashSet<_>>(), measures);
}
