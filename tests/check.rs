//! Wrong configurations and what `weir check` says about them; and that the configurations we ship are good.
//!
//! Each `tests/check/NAME.toml` (or `tests/check/NAME/weir.toml` with a `conf.d`) has a `NAME.expected` beside it,
//! compared byte for byte. `UPDATE_EXPECTED=1 cargo test --test check` writes them anew; read the difference
//! before you commit it.

#[path = "check/anything.rs"]
mod anything;
#[path = "check/secrets.rs"]
mod secrets;
#[path = "check/shipped.rs"]
mod shipped;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use weir::plan;

/// The wrong configurations, with their expected renderings.
fn wrong_files() -> Vec<(PathBuf, PathBuf)> {
    let mut files = Vec::new();
    for entry in fs::read_dir("tests/check").expect("tests run in the crate's root") {
        let path = entry.expect("a readable directory").path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push((path.clone(), path.with_extension("expected")));
        } else if path.join("weir.toml").exists() {
            files.push((path.join("weir.toml"), path.with_extension("expected")));
        }
    }
    files.sort();
    files
}

/// What `check` prints about `path`, without colour.
fn rendered(path: &Path) -> String {
    match plan::load(path) {
        Ok((_, report)) | Err(report) => report.render(false),
    }
}

#[test]
fn every_wrong_configuration_is_told_as_expected() {
    // A checkout under a strict umask would make this file private, and so a good secret.
    fs::set_permissions("tests/check/secrets/open", PermissionsExt::from_mode(0o644)).unwrap();
    for (name, mode) in [("good", 0o600), ("bad", 0o644)] {
        fs::set_permissions(format!("tests/check/users/{name}"), PermissionsExt::from_mode(mode)).unwrap();
    }
    let files = wrong_files();
    assert!(files.len() >= 30, "{}", files.len());
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut different = Vec::new();
    for (path, expected_path) in files {
        let found = rendered(&path);
        assert!(!found.is_empty(), "{} has no problem", path.display());
        assert!(!found.contains("geheim"), "{} shows a secret", path.display());
        if update {
            fs::write(&expected_path, &found).unwrap();
        } else if fs::read_to_string(&expected_path).unwrap_or_default() != found {
            different.push(format!("--- {}\n{found}", expected_path.display()));
        }
    }
    assert!(different.is_empty(), "not as expected; found:\n{}", different.join("\n"));
}

#[test]
fn nobody_expects_what_is_not_there() {
    let known: Vec<_> = wrong_files().into_iter().map(|(_, expected)| expected).collect();
    for entry in fs::read_dir("tests/check").unwrap() {
        let path = entry.unwrap().path();
        let stray = path.extension().is_some_and(|extension| extension == "expected") && !known.contains(&path);
        assert!(!stray, "{} has no .toml", path.display());
    }
}

fn weir_check(path: &str) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_weir")).args(["check", path]).output().expect("it was built");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
}

#[test]
fn errors_end_with_78_and_warnings_with_0() {
    let (code, text) = weir_check("tests/check/unknown-key.toml");
    assert_eq!((code, text.as_str()), (Some(78), &*rendered(Path::new("tests/check/unknown-key.toml"))));
    let (code, text) = weir_check("tests/check/open-hub.toml");
    assert!(code == Some(0) && text.starts_with("warning: "), "{code:?} {text}");
    assert!(
        text.ends_with(
            "is good: gateway `shed` with a hub and nothing else; the hub listens on 0.0.0.0:1883, [::]:1883\n"
        ),
        "{text}"
    );
    let (code, text) = weir_check("tests/check/there-is-none.toml");
    assert!(code == Some(78) && text.contains("cannot read tests/check/there-is-none.toml"), "{code:?} {text}");
}

#[test]
fn wrong_usage_ends_with_2() {
    let output = Command::new(env!("CARGO_BIN_EXE_weir")).args(["check", "--frobnicate"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
