//! Names in certificates, files that are wrong, files that are exchanged.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DnType, KeyPair, SanType, date_time_ymd};
use tempfile::TempDir;
use x509_parser::prelude::ASN1Time;

use super::super::super::Tls;
use super::name::name_in;
use super::{Certificates, TlsError};

/// A certificate as DER, with these common names and alternative names.
fn certificate(common: &[&str], alternatives: Vec<SanType>) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for name in common {
        params.distinguished_name.push(DnType::CommonName, *name);
    }
    params.subject_alt_names = alternatives;
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

#[test]
fn a_client_is_called_by_its_common_name_or_else_by_an_alternative_one() {
    let dns = || SanType::DnsName("pump.lan".try_into().unwrap());
    let email = || SanType::Rfc822Name("pump@lan".try_into().unwrap());
    let uri = || SanType::URI("urn:pump".try_into().unwrap());
    let ip = || SanType::IpAddress("10.0.0.1".parse().unwrap());
    let long = "x".repeat(256);
    for (common, alternatives, expected) in [
        (&["pump"][..], vec![dns()], Some("pump")),
        (&["pümp 1"], vec![], Some("pümp 1")),
        (&[], vec![ip(), dns(), email()], Some("pump.lan")),
        (&[], vec![email(), uri()], Some("pump@lan")),
        (&[], vec![uri()], Some("urn:pump")),
        (&[], vec![ip()], None),
        (&[], vec![], None),
        // Whoever is called something that cannot be used is not called something else instead.
        (&[""], vec![dns()], None),
        (&["admin\0.example.org"], vec![dns()], None),
        (&["two\nlines"], vec![dns()], None),
        (&[&long], vec![dns()], None),
    ] {
        let found = name_in(&certificate(common, alternatives), ASN1Time::now());
        assert_eq!(found.as_deref(), expected, "{common:?}");
    }
    assert_eq!(name_in(b"no certificate", ASN1Time::now()), None);
}

#[test]
fn a_certificate_that_expired_meanwhile_names_nobody() {
    let der = certificate(&["pump"], vec![]);
    let far = ASN1Time::from_timestamp(95_617_584_000).unwrap();
    assert_eq!(name_in(&der, ASN1Time::now()).as_deref(), Some("pump"));
    assert_eq!(name_in(&der, far), None);
}

/// A directory with a certificate and its key.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.renew(CertificateParams::default());
        files
    }

    fn renew(&self, params: CertificateParams) {
        let key = KeyPair::generate().unwrap();
        std::fs::write(self.path("hub.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(self.path("hub.key"), key.serialize_pem()).unwrap();
        std::fs::set_permissions(self.path("hub.key"), PermissionsExt::from_mode(0o600)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn tls(&self) -> Tls {
        Tls { cert: self.path("hub.crt"), key: self.path("hub.key"), client_ca: None, client_cert_required: false }
    }
}

/// The error, with the directory taken out.
fn refusal(files: &Files, tls: &Tls) -> String {
    let error = tls.examine().expect_err("it cannot be used");
    error.to_string().replace(&format!("{}/", files.0.path().display()), "")
}

#[test]
fn what_is_wrong_is_told_with_file_and_reason() {
    let files = Files::new();
    let good = files.tls();
    assert_eq!(good.examine(), Ok(vec![]));
    let other_key = files.write("other.key", &KeyPair::generate().unwrap().serialize_pem());
    let empty = files.write("empty", "nothing\n");
    let locked =
        files.write("locked.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMA==\n-----END ENCRYPTED PRIVATE KEY-----\n");
    let garbage = files.write("garbage.crt", "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n");
    let cut = files.write("cut.crt", "-----BEGIN CERTIFICATE-----\nMA==\n");
    let missing = files.path("missing");
    let cert = |file: &Path| Tls { cert: file.to_owned(), ..good.clone() };
    let key = |file: &Path| Tls { key: file.to_owned(), ..good.clone() };
    let ca = |file: &Path| Tls { client_ca: Some(file.to_owned()), ..good.clone() };
    for (tls, expected) in [
        (cert(&missing), "`cert`: cannot read missing: No such file or directory (os error 2)"),
        (cert(&empty), "`cert`: there is no PEM certificate in empty"),
        (key(&missing), "`key`: cannot read missing: No such file or directory (os error 2)"),
        (key(&empty), "`key`: there is no PEM private key in empty"),
        (key(&other_key), "`key`: the key in other.key does not belong to the first certificate in hub.crt"),
        (key(&locked), "`key`: the key in locked.key is locked with a pass phrase, which nobody could type in"),
        (ca(&missing), "`client_ca`: cannot read missing: No such file or directory (os error 2)"),
        (ca(&empty), "`client_ca`: there is no PEM certificate in empty"),
    ] {
        assert_eq!(refusal(&files, &tls), expected);
    }
    for (tls, expected) in [
        (cert(&garbage), "`cert`: garbage.crt cannot be used: "),
        (cert(&cut), "`cert`: cut.crt is damaged: "),
        (ca(&garbage), "`client_ca`: garbage.crt cannot be used: "),
    ] {
        let found = refusal(&files, &tls);
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn what_should_be_looked_at_is_told_and_used() {
    let files = Files::new();
    let keys = |warnings: Vec<TlsError>| warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for ((from, to), word) in [((2001, 2002), "has expired"), ((3001, 3002), "is not valid yet")] {
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        files.renew(params);
        let told = keys(files.tls().examine().unwrap());
        assert!(told.starts_with("`cert`: the certificate in ") && told.contains(word), "{told}");
    }
    files.renew(CertificateParams::default());
    std::fs::set_permissions(files.path("hub.key"), PermissionsExt::from_mode(0o644)).unwrap();
    let warnings = files.tls().examine().unwrap();
    assert_eq!(warnings[0].help, Some(format!("chmod o= {}", files.path("hub.key").display())));
    assert!(keys(warnings).starts_with("`key`: everybody on this machine can read "));
}

#[test]
fn what_cannot_be_used_changes_nothing() {
    let files = Files::new();
    let certificates = Certificates::default();
    assert!(certificates.current().is_none());
    certificates.load(&files.tls()).unwrap();
    let first = certificates.current().unwrap();
    files.write("hub.crt", "");
    certificates.load(&files.tls()).unwrap_err();
    assert!(std::sync::Arc::ptr_eq(&first, &certificates.current().unwrap()));
    files.renew(CertificateParams::default());
    certificates.load(&files.tls()).unwrap();
    assert!(!std::sync::Arc::ptr_eq(&first, &certificates.current().unwrap()));
}
