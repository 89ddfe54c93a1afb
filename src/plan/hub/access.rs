//! Who may come in, and do what.

use std::net::SocketAddr;

use crate::config::Fields;
use crate::hub::Anonymous;

/// `allow_anonymous`.
pub(super) fn allow_anonymous(fields: &mut Fields<'_, '_>, listen: &[SocketAddr]) -> Anonymous {
    let words = [("loopback", Anonymous::Loopback), ("never", Anonymous::Never), ("everywhere", Anonymous::Everywhere)];
    let allowed = fields.word("allow_anonymous", &words).unwrap_or(Anonymous::Loopback);
    let beyond = listen.iter().any(|address| !address.ip().to_canonical().is_loopback());
    let place = fields.place(if fields.has("allow_anonymous") { "allow_anonymous" } else { "listen" });
    match allowed {
        Anonymous::Everywhere if beyond => {
            let help = "everybody in the network can read every topic and switch every output";
            fields.problems.warn(place, "clients from everywhere need no password", Some(help.into()));
        }
        Anonymous::Loopback if beyond => {
            let help = "passwords are not yet supported; allow_anonymous = \"everywhere\" lets the whole network in";
            fields.problems.warn(place, "clients on other machines will be refused", Some(help.into()));
        }
        Anonymous::Never => {
            let help = "passwords are not yet supported, so nobody could connect";
            fields.problems.error(place, "`allow_anonymous = \"never\"` is not yet supported", Some(help.into()));
        }
        Anonymous::Loopback | Anonymous::Everywhere => {}
    }
    allowed
}
