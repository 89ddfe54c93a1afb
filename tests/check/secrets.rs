//! Secrets from the environment and from the service manager, seen by the whole program.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// What `weir check` says about a bridge whose password is `reference`, in an environment with `variables`.
fn check(dir: &Path, reference: &str, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let file = dir.join("weir.toml");
    let text = format!(
        "[gateway]\nname = \"x\"\n[[bridge]]\nname = \"c\"\nurl = \"mqtts://x\"\nusername = \"u\"\npassword = {reference}\n"
    );
    fs::write(&file, text).expect("a writable directory");
    let mut weir = Command::new(env!("CARGO_BIN_EXE_weir"));
    weir.arg("check").arg(&file).env_remove("CREDENTIALS_DIRECTORY").envs(variables.iter().copied());
    let output = weir.output().expect("it was built");
    (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
}

#[test]
fn a_password_comes_from_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let found = |variables| check(dir.path(), "{ env = \"WEIR_TEST_PASSWORD\" }", variables);
    assert_eq!(found(&[("WEIR_TEST_PASSWORD", "geheim")]).0, Some(0));
    let (code, text) = found(&[("WEIR_TEST_PASSWORD", "")]);
    assert!(code == Some(78) && text.contains("`password`: it is empty"), "{text}");
    assert!(found(&[]).1.contains("the environment has no WEIR_TEST_PASSWORD"));
}

/// systemd names the files of the directory that a unit calls `weir` `weir_NAME` (systemd.exec, LoadCredential=).
#[test]
fn a_password_comes_from_the_credentials_of_the_unit() {
    let dir = tempfile::tempdir().unwrap();
    let variables = [("CREDENTIALS_DIRECTORY", dir.path().to_str().unwrap())];
    let found = || check(dir.path(), "{ credential = \"cloud\" }", &variables);
    assert_eq!(found().0, Some(78));
    for name in ["cloud", "weir_cloud"] {
        let path = dir.path().join(name);
        fs::write(&path, "geheim\n").unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let (code, text) = found();
        assert!(code == Some(0) && !text.contains("geheim"), "{text}");
        fs::remove_file(&path).unwrap();
    }
}
