//! A hub with all its doors open.

use std::net::SocketAddr;

use weir::hub::{Settings, Tls};

use crate::bench::{self, Bench};
use crate::common::authority::Authority;

pub(crate) struct House {
    pub(crate) bench: Bench,
    pub(crate) authority: Authority,
}

/// Ways in, as the hub orders them.
pub(crate) const SCHEMES: [&str; 4] = ["mqtt", "mqtts", "ws", "wss"];

impl House {
    pub(crate) async fn open() -> Self {
        let authority = Authority::new();
        let (cert, key) = authority.server("hub");
        let tls = Some(Tls { cert, key, client_ca: None, client_cert_required: false });
        let any = || vec!["127.0.0.1:0".parse().unwrap()];
        let listeners = Settings { listen_tls: any(), listen_ws: any(), listen_wss: any(), tls, ..bench::settings() };
        Self { bench: bench::start(listeners).await, authority }
    }

    pub(crate) fn address(&self, scheme: &str) -> SocketAddr {
        let at = SCHEMES.iter().position(|known| *known == scheme).expect("one of them");
        self.bench.hub.local_addrs()[at]
    }

    pub(crate) fn url(&self, scheme: &str) -> String {
        let path = if scheme.starts_with("ws") { "/mqtt" } else { "" };
        format!("{scheme}://{}{path}", self.address(scheme))
    }

    /// The file with the authority.
    pub(crate) fn ca(&self) -> String {
        self.authority.pem().display().to_string()
    }
}
