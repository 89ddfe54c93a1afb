//! `[gateway]`, and `[web]` as far as it exists.

use std::path::PathBuf;
use std::time::Duration;

use super::Gateway;
use crate::config::units::Every;
use crate::config::{Fields, Problems, Table};
use crate::model::Name;

/// Where durable things are when nothing else is said.
pub(super) const STATE_DIR: &str = "/var/lib/weir";

/// How long samples wait for the clock when nothing else is said.
pub(super) const CLOCK_WAIT: Duration = Duration::from_secs(600);

pub(super) fn read(table: Option<&Table<'_>>, problems: &mut Problems) -> Option<Gateway> {
    let Some(table) = table else {
        let help = "write\n[gateway]\nname = \"shed\"";
        problems.error(None, "the table [gateway] is missing", Some(help.into()));
        return None;
    };
    let mut fields = table.fields(problems);
    let name = name(&mut fields);
    let state_dir = fields.or("state_dir", PathBuf::from(STATE_DIR));
    if state_dir.as_os_str().is_empty() {
        fields.wrong("state_dir", "`state_dir` is empty", Some(format!("the default is {STATE_DIR:?}")));
    }
    let clock_wait = Every(Duration::ZERO)..=Every(Duration::from_secs(7 * 86_400));
    let clock_wait = fields.within("clock_wait", Every(CLOCK_WAIT), clock_wait).0;
    fields.finish();
    Some(Gateway { name: name?, state_dir, clock_wait })
}

/// The `name` of whatever the table is about; a problem if it is missing or not one topic level.
pub(super) fn name(fields: &mut Fields<'_, '_>) -> Option<Name> {
    if !fields.has("name") {
        return fields.need("name").and_then(|text: String| Name::new(&text).ok());
    }
    fields.text("name", |text| Name::new(text).map_err(|error| error.to_string()))
}

/// `[web]` has nothing to switch on yet.
pub(super) fn read_web(table: Option<&Table<'_>>, problems: &mut Problems) {
    let Some(table) = table else { return };
    let mut fields = table.fields(problems);
    let listen: String = fields.or("listen", String::new());
    if !listen.is_empty() {
        let help = "leave it empty: listen = \"\"";
        fields.wrong("listen", "the web page is not yet supported", Some(help.into()));
    }
    fields.finish();
}
