//! How far the way to an endpoint is open, for whoever looks for what is wrong.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// What a look at the way has found so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way {
    /// The step under way, or the last one.
    pub step: Step,
    /// How long a TCP connection took, which is a round trip and no less.
    pub round_trip: Option<Duration>,
    /// When the peer's certificate is valid.
    pub certificate: Option<Validity>,
}

/// A step of the way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Step {
    /// The name is looked up.
    #[default]
    Name,
    /// Somebody is to answer at these addresses.
    Tcp(Vec<SocketAddr>),
    /// The proxy is to connect us.
    Proxy,
    /// TLS is agreed upon.
    Tls,
    /// The WebSocket is opened.
    WebSocket,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("the name is not answered for by DNS"),
            Self::Tcp(addresses) => {
                let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                write!(f, "no connection to {}", addresses.join(", "))
            }
            Self::Proxy => f.write_str("the proxy does not connect"),
            Self::Tls => f.write_str("TCP is open, and TLS is not answered"),
            Self::WebSocket => f.write_str("TCP is open, and the WebSocket is not answered"),
        }
    }
}

/// When a certificate is valid, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From then on.
    pub from_ms: i64,
    /// Up to then.
    pub until_ms: i64,
}

impl Validity {
    /// Reads it from a certificate; nothing when that is none.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let validity = certificate.validity();
        let ms = |seconds: i64| seconds.saturating_mul(1000);
        Some(Self { from_ms: ms(validity.not_before.timestamp()), until_ms: ms(validity.not_after.timestamp()) })
    }

    /// That of the first certificate in a PEM file.
    pub fn in_file(path: &Path) -> Option<Self> {
        Self::of(&CertificateDer::from_pem_file(path).ok()?)
    }
}
