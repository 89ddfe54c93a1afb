//! `[hub]`.

mod access;
mod limits;
mod listen;

use super::Gateway;
use std::time::Duration;

use crate::config::units::Every;
use crate::config::{Fields, Problems, Table};
use crate::hub::Settings;

/// Keys of the design that come later.
const LATER: [&str; 6] = ["listen_tls", "listen_ws", "listen_wss", "tls", "users_file", "acl"];

/// Zero is never.
fn sys_interval(fields: &mut Fields<'_, '_>) -> Duration {
    let range = Every(Duration::ZERO)..=Every(Duration::from_secs(86_400));
    fields.within("sys_interval", Every(Duration::from_secs(10)), range).0
}

pub(super) fn read(table: Option<&Table<'_>>, gateway: Option<&Gateway>, problems: &mut Problems) -> Option<Settings> {
    let table = table.cloned().unwrap_or_else(Table::empty);
    let mut fields = table.fields(problems);
    let listen = listen::read(&mut fields);
    let allow_anonymous = access::allow_anonymous(&mut fields, &listen);
    let sys_interval = sys_interval(&mut fields);
    let limits = fields.table("limits");
    LATER.into_iter().for_each(|key| fields.not_yet(key));
    fields.finish();
    let limits = limits.map(|table| limits::read(&table, problems)).unwrap_or_default();
    Some(Settings { listen, allow_anonymous, sys_interval, limits, ..Settings::new(gateway?.name.clone()) })
}
