//! `[hub]`.

mod access;
mod limits;
mod listen;
mod tls;

use super::Gateway;
use std::time::Duration;

use crate::config::units::Every;
use crate::config::{Fields, Problems, Table};
use crate::hub::Settings;

/// Keys of the design that come later.
const LATER: [&str; 4] = ["listen_ws", "listen_wss", "users_file", "acl"];

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
    let allow_anonymous = access::allow_anonymous(&mut fields, &listening.all());
    let sys_interval = sys_interval(&mut fields);
    let limits = fields.table("limits");
    LATER.into_iter().for_each(|key| fields.not_yet(key));
    fields.finish();
    let limits = limits.map(|table| limits::read(&table, problems)).unwrap_or_default();
    let settings = Settings::new(gateway?.name.clone());
    let (listen, listen_tls) = (listening.plain, listening.tls);
    Some(Settings { listen, listen_tls, tls: tls?, allow_anonymous, sys_interval, limits, ..settings })
}
