//! From an endpoint to an open stream: names, TCP and TLS, none of which can block anybody else.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;
use tokio_rustls::TlsConnector;

use super::meter::{Meter, Metered};
use super::tls;
use crate::bridge::{Endpoint, Tls, Transport};

/// An open connection, plain or encrypted.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Turns a host and a port into addresses; may block for as long as it likes.
pub type Resolve = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// How much later each further address is tried while the ones before it have not answered
/// (RFC 8305 section 5 recommends 250 ms).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// Addresses of one name that are tried.
const MOST_ADDRESSES: usize = 8;

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address.
    #[error("cannot resolve {0}: {1}")]
    Name(String, io::Error),
    /// No address answers.
    #[error("cannot connect: {0}")]
    Tcp(io::Error),
    /// Certificates or keys cannot be read or used.
    #[error(transparent)]
    Certificates(#[from] tls::TlsError),
    /// The encrypted handshake failed.
    #[error("TLS: {0}")]
    Tls(io::Error),
}

type Lookup = JoinHandle<io::Result<Vec<SocketAddr>>>;

/// Opens streams for one bridge.
pub struct Dialer {
    resolve: Resolve,
    tls: Tls,
    meter: Arc<Meter>,
    /// Kept for session resumption; read again from the files after a failed handshake.
    config: Mutex<Option<Arc<ClientConfig>>>,
    /// At most one look-up at a time: a resolver that hangs holds one thread, not one per attempt.
    lookup: Mutex<Option<(String, Lookup)>>,
}

impl Dialer {
    /// A dialer with the certificates in `tls` and the system's resolver.
    pub fn new(tls: Tls) -> Self {
        Self::with_resolver(tls, Arc::new(|host, port| (host, port).to_socket_addrs().map(Iterator::collect)))
    }

    /// A dialer with another resolver.
    pub fn with_resolver(tls: Tls, resolve: Resolve) -> Self {
        Self { resolve, tls, meter: Arc::default(), config: Mutex::default(), lookup: Mutex::default() }
    }

    /// Counts what all its connections cost.
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Opens a stream to `endpoint`. It has no deadline of its own: drop it to give up.
    ///
    /// # Errors
    /// Says which step failed.
    pub async fn dial(&self, endpoint: &Endpoint) -> Result<Box<dyn Stream>, DialError> {
        // An IPv6 address in a URL stands in brackets (RFC 3986 section 3.2.2).
        let host = endpoint.host.trim_start_matches('[').trim_end_matches(']');
        let addresses = self.addresses(host, endpoint.port).await;
        let addresses = addresses.map_err(|error| DialError::Name(host.to_owned(), error))?;
        let tcp = first_to_answer(&addresses).await.map_err(DialError::Tcp)?;
        tcp.set_nodelay(true).map_err(DialError::Tcp)?;
        let is_v6 = tcp.peer_addr().is_ok_and(|address| address.ip().to_canonical().is_ipv6());
        let tcp = Metered::new(tcp, is_v6, Arc::clone(&self.meter));
        match endpoint.transport {
            Transport::Tcp => Ok(Box::new(tcp)),
            Transport::Tls => self.encrypt(host, tcp).await,
        }
    }

    async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let key = format!("{host}:{port}");
        let mut lookup = self.lookup.lock().await;
        // One that was given up earlier: its answer is as good, if it was for the same name.
        if let Some((earlier, running)) = &mut *lookup {
            let answer = running.await;
            let same = *earlier == key;
            *lookup = None;
            if same {
                return answer.map_err(io::Error::other)?;
            }
        }
        let (resolve, host) = (Arc::clone(&self.resolve), host.to_owned());
        let (_, running) = lookup.insert((key, spawn_blocking(move || resolve(&host, port))));
        let answer = running.await;
        *lookup = None;
        answer.map_err(io::Error::other)?
    }

    async fn encrypt(&self, host: &str, tcp: Metered<TcpStream>) -> Result<Box<dyn Stream>, DialError> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|error| DialError::Tls(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let connector = TlsConnector::from(self.config().await?);
        match connector.connect(name, tcp).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => {
                *self.config.lock().await = None;
                Err(DialError::Tls(error))
            }
        }
    }

    async fn config(&self) -> Result<Arc<ClientConfig>, DialError> {
        let mut config = self.config.lock().await;
        if let Some(config) = &*config {
            return Ok(Arc::clone(config));
        }
        let tls = self.tls.clone();
        let read = spawn_blocking(move || tls::client_config(&tls)).await;
        let read = read.map_err(|error| DialError::Tls(io::Error::other(error)))??;
        Ok(Arc::clone(config.insert(Arc::new(read))))
    }
}

/// Connects to whichever address answers first, in the order given, each a little later than the one before.
async fn first_to_answer(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let attempt = |(index, address): (usize, SocketAddr)| async move {
        sleep(NEXT_ADDRESS * index as u32).await;
        TcpStream::connect(address).await
    };
    let mut attempts: FuturesUnordered<_> =
        addresses.iter().copied().take(MOST_ADDRESSES).enumerate().map(attempt).collect();
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    while let Some(end) = attempts.next().await {
        match end {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}
