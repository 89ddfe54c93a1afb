//! Who a client is.

use std::sync::Arc;

use super::{Access, Subject, Visitor};
use crate::hub::codec::Reason;
use crate::hub::settings::{Anonymous, Rule, Settings};

/// Who a client is, and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The name that was verified; nothing for an anonymous client.
    pub(crate) user: Option<Arc<str>>,
    /// It is on this machine.
    pub(crate) local: bool,
}

/// Why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) reason: Reason,
    pub(crate) why: &'static str,
}

impl Identity {
    /// What this client may do under `rules`.
    pub(crate) fn access(&self, rules: &[Rule], client_id: &str) -> Arc<Access> {
        Access::shared(rules, Subject { user: self.user.as_deref(), client_id, local: self.local })
    }
}

/// Finds out who a client is.
///
/// # Errors
/// It has no name, and those without one are not welcome from there.
pub(crate) fn identify(settings: &Settings, visitor: &Visitor) -> Result<Identity, Refused> {
    let local = visitor.is_local();
    if visitor.certified.is_some() {
        return Ok(Identity { user: visitor.certified.clone(), local });
    }
    let welcome = match settings.allow_anonymous {
        Anonymous::Everywhere => true,
        Anonymous::Loopback => local,
        Anonymous::Never => false,
    };
    if welcome {
        Ok(Identity { user: None, local })
    } else {
        Err(Refused { reason: Reason::NOT_AUTHORIZED, why: "anonymous clients are not welcome from there" })
    }
}
