//! The way to the cloud: names, TCP, TLS and MQTT packets, none of which can block anybody here.

pub mod codec;
mod dial;
mod meter;
mod open;
mod tls;

pub use dial::{DialError, Dialer, Resolve, Stream};
pub use meter::{Meter, Metered, Wire};
pub use open::{OpenError, Peer, open};
pub use tls::TlsError;
