//! Who comes in, and what they may do.

mod acl;
mod cover;
mod failures;
mod gate;
mod identity;
pub mod users;

use std::net::SocketAddr;
use std::sync::Arc;

pub(crate) use acl::{Access, Subject};
pub(crate) use gate::Gate;
pub(crate) use identity::{Claim, Identity, Refused, identify};

/// What is known of a peer before its CONNECT.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    /// Its address, as the listener saw it.
    pub(crate) peer: SocketAddr,
    /// The name in its certificate, when it showed one that was verified.
    pub(crate) certified: Option<Arc<str>>,
}

impl Visitor {
    /// A peer without a certificate.
    pub(crate) fn plain(peer: SocketAddr) -> Self {
        Self { peer, certified: None }
    }

    /// 127.0.0.0/8, ::1 and ::ffff:127.0.0.0/104.
    pub(crate) fn is_local(&self) -> bool {
        self.peer.ip().to_canonical().is_loopback()
    }
}
