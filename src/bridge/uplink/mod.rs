//! The way to the cloud: names, TCP, proxies, TLS, WebSockets and MQTT packets, none of which can block
//! anybody here.

pub mod codec;
mod dial;
mod guard;
mod keys;
mod meter;
mod names;
mod open;
mod proxy;
mod tcp;
mod tls;
mod validity;
mod way;
mod ws;

pub(super) use dial::blame;
pub use dial::{DialError, Dialer, Stream};
pub use meter::{Meter, Metered, Wire};
pub use names::Resolve;
pub use open::{OpenError, Peer, open};
pub(super) use open::{blame_of, meaning, sends_on};
pub use proxy::ProxyError;
pub use tls::TlsError;
pub use validity::Invalid;
pub use way::{Step, Validity, Way};
pub use ws::WsError;
