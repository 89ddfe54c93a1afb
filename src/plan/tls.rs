//! `tls` of a bridge: files that must be there, and be what they are named for.

use std::path::{Path, PathBuf};

use crate::bridge::{Endpoint, Tls};
use crate::config::{Fields, Problems, Table, secret_path};

/// What stands in a PEM file (RFC 7468): `BEGIN RSA PRIVATE KEY` and its like end with the second one.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
const KEY: &str = "PRIVATE KEY-----";

/// The files and protocols; `None` when they cannot be used.
pub(super) fn read(table: Option<&Table<'_>>, endpoints: &[Endpoint], problems: &mut Problems) -> Option<Tls> {
    let Some(table) = table else { return Some(Tls::default()) };
    let mut fields = table.fields(problems);
    let ca = certificate(&mut fields, "ca");
    let cert = certificate(&mut fields, "cert");
    let key = key(&mut fields);
    let alpn: Vec<String> = fields.or("alpn", Vec::new());
    for (given, missing) in [("cert", "key"), ("key", "cert")] {
        if fields.has(given) && !fields.has(missing) {
            fields.wrong(given, format!("`{given}` needs `{missing}` beside it"), None);
        }
    }
    if alpn.iter().any(|protocol| protocol.is_empty() || protocol.len() > 255) {
        fields.wrong("alpn", "a protocol name has 1 to 255 bytes (RFC 7301 section 3.1)", None);
    }
    fields.finish();
    if !endpoints.is_empty() && !endpoints.iter().any(|endpoint| endpoint.transport.is_encrypted()) {
        let help = "write mqtts:// or wss:// in `url`, or leave `tls` out";
        problems.error(table.place(), "`tls` is set, but every `url` is without it", Some(help.into()));
    }
    Some(Tls { ca: ca?, cert: cert?, key: key?, alpn })
}

/// The path of a file with certificates, if one is named; `None` when it cannot be used now.
fn certificate(fields: &mut Fields<'_, '_>, key: &'static str) -> Option<Option<PathBuf>> {
    let Some(path) = fields.maybe::<PathBuf>(key) else { return Some(None) };
    holds(fields, key, &path, CERTIFICATE, "PEM certificate")?;
    Some(Some(path))
}

/// The path of the key, if one is named; `None` when it cannot be used now.
fn key(fields: &mut Fields<'_, '_>) -> Option<Option<PathBuf>> {
    let Some(value) = fields.value("key") else { return Some(None) };
    let path = secret_path("key", &value, fields.problems)?;
    holds(fields, "key", &path, KEY, "PEM private key")?;
    Some(Some(path))
}

/// Notes when the file cannot be read, or does not contain `mark`.
fn holds(fields: &mut Fields<'_, '_>, key: &str, path: &Path, mark: &str, what: &str) -> Option<()> {
    let why = match std::fs::read(path) {
        Ok(bytes) if bytes.windows(mark.len()).any(|window| window == mark.as_bytes()) => return Some(()),
        Ok(_) => format!("`{key}`: there is no {what} in {}", path.display()),
        Err(error) => format!("`{key}`: cannot read {}: {error}", path.display()),
    };
    let place = fields.place(key);
    fields.problems.outside(place, why, None);
    None
}
