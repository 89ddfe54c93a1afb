//! `[hub]`.

mod access;
mod acl;
mod limits;
mod listen;
mod tls;
mod web;

use super::Gateway;
use std::time::Duration;

use crate::config::units::Every;
use crate::config::{Fields, Problems, Table};
use crate::hub::Settings;

/// Zero is never.
fn sys_interval(fields: &mut Fields<'_, '_>) -> Duration {
    let range = Every(Duration::ZERO)..=Every(Duration::from_secs(86_400));
    fields.within("sys_interval", Every(Duration::from_secs(10)), range).0
}

pub(super) fn read(table: Option<&Table<'_>>, gateway: Option<&Gateway>, problems: &mut Problems) -> Option<Settings> {
    let table = table.cloned().unwrap_or_else(Table::empty);
    let mut fields = table.fields(problems);
    let listening = listen::read(&mut fields);
    let tls = tls::read(&mut fields, &listening);
    let ws_hosts = web::hosts(&mut fields, &listening);
    let ws_origins = web::origins(&mut fields, &listening);
    let certified = matches!(&tls, Some(Some(tls)) if tls.client_ca.is_some());
    let names = access::names(&mut fields, &listening, certified);
    let allow_anonymous = access::allow_anonymous(&mut fields, &listening.all(), &names);
    let rules = fields.tables("acl", "hub.acl");
    let sys_interval = sys_interval(&mut fields);
    let limits = fields.table("limits");
    fields.finish();
    let limits = limits.map(|table| limits::read(&table, problems)).unwrap_or_default();
    let acl = acl::read(&rules, &names, allow_anonymous, problems);
    let settings = Settings::new(gateway?.name.clone());
    let listen::Listening { plain, tls: listen_tls, ws: listen_ws, wss: listen_wss } = listening;
    let settings = Settings { listen: plain, listen_tls, listen_ws, listen_wss, ws_hosts, ws_origins, ..settings };
    let users_file = names.file.map(|(path, _)| path);
    Some(Settings { tls: tls?, allow_anonymous, users_file, acl, sys_interval, limits, ..settings })
}
