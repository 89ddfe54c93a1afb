//! From an endpoint to an open stream: names, TCP, proxies, TLS and WebSockets, none of which can block
//! anybody else.

use std::io;
use std::net::ToSocketAddrs as _;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::guard::Guarded;
use super::keys::Keys;
use super::meter::{Meter, Metered};
use super::names::{Names, Resolve};
use super::proxy::{self, ProxyError};
use super::tls::TlsError;
use super::way::{Step, Validity, Way};
use super::ws::{self, WsError};
use super::{tcp, validity};
use crate::bridge::{Endpoint, Settings};
use crate::runtime::{Blame, Clock, Network};

/// An open connection, plain or encrypted.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address.
    #[error("cannot resolve {0}: {1}")]
    Name(String, io::Error),
    /// No address answers.
    #[error("cannot connect: {0}")]
    Tcp(io::Error),
    /// The proxy does not help.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// Certificates or keys cannot be read or used.
    #[error(transparent)]
    Certificates(#[from] TlsError),
    /// The peer's certificate is not valid now, by the clock here.
    #[error("TLS: {0}")]
    Validity(validity::Invalid),
    /// The encrypted handshake failed.
    #[error("TLS: {0}")]
    Tls(io::Error),
    /// There is no WebSocket.
    #[error(transparent)]
    Ws(#[from] WsError),
}

impl DialError {
    /// Who stands in the way.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Tcp(error) | Self::Tls(error) | Self::Ws(WsError::Io(error)) => blame(error),
            Self::Proxy(ProxyError::Io(_, error)) => blame(error),
            Self::Proxy(ProxyError::Login(_)) => Blame::Verdict,
            Self::Proxy(_) | Self::Ws(_) => Blame::Peer,
            Self::Name(..) | Self::Certificates(_) | Self::Validity(_) => Blame::Way,
        }
    }

    /// Whether another time on the clock here would make it good.
    pub fn waits_for_clock(&self) -> bool {
        matches!(self, Self::Validity(invalid) if invalid.is_early())
    }
}

/// A machine that answers is there, even when its answer is no.
pub(in crate::bridge) fn blame(error: &io::Error) -> Blame {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidData, UnexpectedEof,
    };
    match error.kind() {
        ConnectionRefused | ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof | InvalidData => {
            Blame::Peer
        }
        _ => Blame::Way,
    }
}

/// Opens streams for one bridge.
pub struct Dialer {
    names: Names,
    keys: Keys,
    proxy: Option<crate::bridge::Proxy>,
    meter: Arc<Meter>,
    clock: Clock,
    network: Network,
}

impl Dialer {
    /// A dialer for the bridge's certificates and proxy; without a resolver of its own it takes the system's.
    pub fn new(settings: &Settings, resolve: Option<Resolve>, clock: Clock, network: Network) -> Self {
        let system = || -> Resolve { Arc::new(|host, port| (host, port).to_socket_addrs().map(Iterator::collect)) };
        Self {
            names: Names::new(resolve.unwrap_or_else(system)),
            keys: Keys::new(settings.tls.clone(), clock.clone()),
            proxy: settings.proxy.clone(),
            meter: Arc::default(),
            clock,
            network,
        }
    }

    /// Opens a stream to `endpoint`. It has no deadline of its own: drop it to give up.
    ///
    /// # Errors
    /// Says which step failed.
    pub async fn dial(&self, endpoint: &Endpoint) -> Result<Box<dyn Stream>, DialError> {
        let mut stream = match &self.proxy {
            None => self.connect(&endpoint.host, endpoint.port).await?,
            Some(proxy) => {
                let mut stream = self.connect(&proxy.host, proxy.port).await?;
                proxy::through(proxy, &mut stream, &endpoint.host, endpoint.port).await?;
                stream
            }
        };
        if endpoint.transport.is_encrypted() {
            stream = Box::new(self.encrypt(&endpoint.host, stream).await?);
        }
        if endpoint.transport.is_websocket() {
            stream = ws::upgrade(stream, endpoint).await?;
        }
        Ok(stream)
    }

    /// Goes the whole way to `endpoint` short of MQTT, and notes in `way` how far it came. It has no deadline of its own.
    ///
    /// # Errors
    /// Says which step failed.
    pub async fn look(&self, endpoint: &Endpoint, way: &mut Way) -> Result<(), DialError> {
        let by_proxy = self.proxy.as_ref().map(|proxy| (proxy.host.as_str(), proxy.port));
        let (host, port) = by_proxy.unwrap_or((&endpoint.host, endpoint.port));
        way.step = Step::Name;
        let addresses = self.names.addresses(host, port).await;
        let addresses = addresses.map_err(|error| DialError::Name(host.to_owned(), error))?;
        way.step = Step::Tcp(addresses.clone());
        let began = Instant::now();
        let mut stream: Box<dyn Stream> = Box::new(tcp::connect(&addresses).await.map_err(DialError::Tcp)?);
        way.round_trip = Some(began.elapsed());
        if let Some(proxy) = &self.proxy {
            way.step = Step::Proxy;
            proxy::through(proxy, &mut stream, &endpoint.host, endpoint.port).await?;
        }
        if endpoint.transport.is_encrypted() {
            way.step = Step::Tls;
            let encrypted = self.encrypt(&endpoint.host, stream).await?;
            way.certificate = encrypted.get_ref().1.peer_certificates().and_then(|chain| Validity::of(chain.first()?));
            stream = Box::new(encrypted);
        }
        if endpoint.transport.is_websocket() {
            way.step = Step::WebSocket;
            ws::upgrade(stream, endpoint).await?;
        }
        Ok(())
    }

    /// Counts what all its connections cost.
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Whether the files with certificates and keys are others than those in use.
    pub async fn has_new_certificates(&self) -> bool {
        self.keys.have_changed().await
    }

    async fn connect(&self, host: &str, port: u16) -> Result<Box<dyn Stream>, DialError> {
        let addresses = self.names.addresses(host, port).await;
        let addresses = addresses.map_err(|error| DialError::Name(host.to_owned(), error))?;
        let tcp = tcp::connect(&addresses).await.map_err(DialError::Tcp)?;
        let local = tcp.local_addr().map_err(DialError::Tcp)?;
        let is_v6 = local.ip().to_canonical().is_ipv6();
        let tcp = Metered::new(tcp, is_v6, Arc::clone(&self.meter));
        Ok(Box::new(Guarded::new(tcp, local, self.network.clone())))
    }

    async fn encrypt(&self, host: &str, stream: Box<dyn Stream>) -> Result<TlsStream<Box<dyn Stream>>, DialError> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|error| DialError::Tls(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let connector = TlsConnector::from(self.keys.config().await?);
        match connector.connect(name, stream).await {
            Ok(stream) => Ok(stream),
            Err(error) => Err(self.explain(host, error).await),
        }
    }

    /// What a failed handshake was about.
    async fn explain(&self, host: &str, error: io::Error) -> DialError {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            Some(rustls::Error::InvalidCertificate(why)) => {
                self.keys.doubt().await;
                match validity::Invalid::new(host, why, &self.clock) {
                    Some(invalid) => DialError::Validity(invalid),
                    None => DialError::Tls(strangers(host, why).unwrap_or(error)),
                }
            }
            _ => DialError::Tls(in_words(error)),
        }
    }
}

/// The two mistakes that are made most often.
fn strangers(host: &str, why: &CertificateError) -> Option<io::Error> {
    let words = match why {
        CertificateError::UnknownIssuer => format!("the certificate of {host} is from an authority we do not trust"),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the certificate is not for {host}")
        }
        _ => return None,
    };
    Some(io::Error::new(io::ErrorKind::InvalidData, words))
}

/// The same error, but what the peer says about our certificate in words: in TLS 1.3 that comes only
/// when we think that everything is well.
pub(super) fn in_words(error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => {
            alert_words(*alert).map_or(error, |words| io::Error::new(io::ErrorKind::InvalidData, words))
        }
        _ => error,
    }
}

fn alert_words(alert: AlertDescription) -> Option<&'static str> {
    Some(match alert {
        AlertDescription::CertificateExpired => "the peer says that our certificate has expired",
        AlertDescription::CertificateRevoked => "the peer says that our certificate is revoked",
        AlertDescription::CertificateRequired => "the peer wants a certificate from us: set `tls.cert` and `tls.key`",
        AlertDescription::UnknownCA => "the peer does not know the authority of our certificate",
        AlertDescription::BadCertificate | AlertDescription::UnsupportedCertificate => {
            "the peer does not accept our certificate"
        }
        AlertDescription::NoApplicationProtocol => "the peer speaks none of the protocols in `tls.alpn`",
        _ => return None,
    })
}
