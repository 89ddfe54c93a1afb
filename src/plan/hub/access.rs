//! Who may come in.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::listen::Listening;
use crate::config::Fields;
use crate::hub::Anonymous;
use crate::hub::users::Users;

/// How clients get their names.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// `users_file`, and who is in it, if it can be read.
    pub(super) file: Option<(PathBuf, Option<Users>)>,
    /// Certificates give names too.
    pub(super) certified: bool,
}

impl Names {
    /// Whether a client can have a name at all.
    pub(super) fn exist(&self) -> bool {
        self.file.is_some() || self.certified
    }

    /// Whether a client can be called `name`, as far as that is known.
    pub(super) fn may_be(&self, name: &str) -> bool {
        match &self.file {
            _ if self.certified => true,
            Some((_, Some(users))) => users.contains(name),
            Some((_, None)) => true,
            None => false,
        }
    }
}

fn beyond(addresses: &[SocketAddr]) -> bool {
    addresses.iter().any(|address| !address.ip().to_canonical().is_loopback())
}

/// `users_file`; what is wrong with the file itself is a warning, because those without a name can go on.
pub(super) fn names(fields: &mut Fields<'_, '_>, listening: &Listening, certified: bool) -> Names {
    let named = |text: &str| if text.is_empty() { Err("name a file".to_owned()) } else { Ok(PathBuf::from(text)) };
    let Some(path) = fields.text("users_file", named) else { return Names { file: None, certified } };
    for (key, addresses) in [("listen", &listening.plain), ("listen_ws", &listening.ws)] {
        if beyond(addresses) {
            let help = format!(
                "use {}, or keep `{key}` on 127.0.0.1",
                if key == "listen" { "listen_tls" } else { "listen_wss" }
            );
            fields.problems.warn(fields.place(key), "passwords cross the network in clear here", Some(help));
        }
    }
    let users = read_users(fields, &path);
    Names { file: Some((path, users)), certified }
}

fn read_users(fields: &mut Fields<'_, '_>, path: &Path) -> Option<Users> {
    let (place, file) = (fields.place("users_file"), path.display());
    let (users, bad) = match Users::read(path) {
        Ok(read) => read,
        Err(error) => {
            let message = format!("cannot read {file}: {error}: nobody can log in with a name");
            let help = format!("`weir user add NAME --file {file}` makes it");
            fields.problems.warn(place, message, Some(help));
            return None;
        }
    };
    for line in bad {
        fields.problems.warn(place.clone(), format!("line {} of {file}: {}", line.number, line.why), None);
    }
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o004 != 0 {
        let message = format!("everybody on this machine can read the hashes in {file}");
        fields.problems.warn(place, message, Some(format!("chmod o= {file}")));
    }
    Some(users)
}

/// `allow_anonymous`.
pub(super) fn allow_anonymous(fields: &mut Fields<'_, '_>, listen: &[SocketAddr], names: &Names) -> Anonymous {
    let words = [("loopback", Anonymous::Loopback), ("never", Anonymous::Never), ("everywhere", Anonymous::Everywhere)];
    let allowed = fields.word("allow_anonymous", &words).unwrap_or(Anonymous::Loopback);
    let place = fields.place(if fields.has("allow_anonymous") { "allow_anonymous" } else { "listen" });
    match allowed {
        Anonymous::Everywhere if beyond(listen) => {
            let help = "everybody in the network can read every topic and switch every output, but for [[hub.acl]]";
            fields.problems.warn(place, "clients from everywhere need no password", Some(help.into()));
        }
        Anonymous::Loopback if beyond(listen) && !names.exist() => {
            let help = "users_file = \"/etc/weir/users\" lets in who has a password, allow_anonymous = \"everywhere\" everybody";
            fields.problems.warn(place, "clients on other machines will be refused", Some(help.into()));
        }
        Anonymous::Never if !names.exist() => {
            let help = "write users_file = \"/etc/weir/users\" as well";
            fields.problems.error(place, "nobody could connect: there are no passwords", Some(help.into()));
        }
        Anonymous::Never | Anonymous::Loopback | Anonymous::Everywhere => {}
    }
    allowed
}
