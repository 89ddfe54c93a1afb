//! `tls` of the hub: files that must be there and fit each other.

use std::path::PathBuf;

use super::listen::Listening;
use crate::config::{Fields, Problems, Table, secret_path};
use crate::hub::Tls;

/// The files; `None` when they cannot be used, `Some(None)` when none are needed.
pub(super) fn read(fields: &mut Fields<'_, '_>, listening: &Listening) -> Option<Option<Tls>> {
    let table = fields.table("tls");
    let (encrypted, place) = (listening.encrypted(), fields.place("tls"));
    match (&table, encrypted) {
        (None, None) => return Some(None),
        (None, Some(key)) => {
            let help = "tls = { cert = \"/etc/weir/tls/hub.crt\", key = \"/etc/weir/tls/hub.key\" }";
            fields.wrong(key, format!("`{key}` needs `tls` with a certificate"), Some(help.into()));
        }
        (Some(_), None) => {
            let help = "write listen_tls = [\"0.0.0.0:8883\"], or leave `tls` out";
            fields.problems.warn(place, "`tls` is set, but nothing listens with it", Some(help.into()));
        }
        (Some(_), Some(_)) => {}
    }
    read_files(&table?, fields.problems).map(Some)
}

fn read_files(table: &Table<'_>, problems: &mut Problems) -> Option<Tls> {
    let mut fields = table.fields(problems);
    let cert = fields.need::<PathBuf>("cert");
    let key = key(&mut fields);
    let client_ca = fields.maybe::<PathBuf>("client_ca");
    let client_cert = fields.word("client_cert", &[("optional", false), ("required", true)]);
    if client_cert.is_some() && !fields.has("client_ca") {
        let help = "name the file with the authorities of your clients: client_ca = \"/etc/weir/tls/clients.pem\"";
        fields.wrong("client_cert", "`client_cert` needs `client_ca` beside it", Some(help.into()));
    }
    let tls = || Some(Tls { cert: cert?, key: key?, client_ca, client_cert_required: client_cert == Some(true) });
    let tls = tls();
    if let Some(tls) = &tls {
        examine(tls, &mut fields);
    }
    fields.finish();
    tls
}

fn examine(tls: &Tls, fields: &mut Fields<'_, '_>) {
    match tls.examine() {
        Ok(warnings) => {
            for warning in warnings {
                fields.problems.warn(fields.place(warning.key), warning.to_string(), warning.help);
            }
        }
        Err(error) => fields.problems.outside(fields.place(error.key), error.to_string(), error.help),
    }
}

/// The path of the key.
fn key(fields: &mut Fields<'_, '_>) -> Option<PathBuf> {
    if !fields.has("key") {
        return fields.need("key");
    }
    let value = fields.value("key")?;
    match value.text() {
        Some(path) => Some(path.into()),
        None => secret_path("key", &value, fields.problems),
    }
}
