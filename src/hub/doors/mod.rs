//! Where clients come in: TCP and WebSocket, plain and encrypted. Accepting waits for nobody; what a client has to do before it
//! can say CONNECT it does in its own task, within a deadline.

mod crowd;
mod enter;
mod lobby;
mod tls;
mod ws;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::{Settings, Shared};
use crowd::Crowd;
use enter::enter;
use tls::Certificates;

pub(super) use lobby::{Lobby, Ticket};
pub use tls::TlsError;

/// How long to wait when the system has no more sockets.
const BREATHER: Duration = Duration::from_millis(50);
/// Connections that the kernel keeps until they are accepted; it may keep less (`net.core.somaxconn`).
const BACKLOG: u32 = 1024;

/// What is spoken at a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Tcp,
    Tls,
    Ws,
    Wss,
}

/// What all doors share.
#[derive(Debug)]
struct Hall {
    hub: Arc<Shared>,
    certificates: Certificates,
    crowd: Crowd,
    lobby: Lobby,
    /// What this machine was called at start.
    machine: String,
}

/// Listeners that are bound and not served yet, and the tasks that serve the others.
#[derive(Debug)]
pub(super) struct Doors {
    hall: Arc<Hall>,
    bound: Vec<(TcpListener, Manner)>,
    served: Vec<AbortHandle>,
}

impl Doors {
    /// Binds every address in the settings: plain, TLS, WebSocket, WebSocket over TLS.
    ///
    /// # Errors
    /// An address cannot be bound; the error names it.
    pub(super) async fn bind(hub: Arc<Shared>) -> io::Result<Self> {
        let settings = hub.settings();
        let mut bound = Vec::new();
        for (manner, addresses) in [
            (Manner::Tcp, &settings.listen),
            (Manner::Tls, &settings.listen_tls),
            (Manner::Ws, &settings.listen_ws),
            (Manner::Wss, &settings.listen_wss),
        ] {
            for address in addresses {
                let named = |error: io::Error| io::Error::new(error.kind(), format!("{address}: {error}"));
                bound.push((listen(*address).map_err(named)?, manner));
            }
        }
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let hall = Arc::new(Hall {
            hub,
            certificates: Certificates::default(),
            crowd: Crowd::default(),
            lobby: Lobby::default(),
            machine,
        });
        if let Some(Err(error)) = hall.load(&settings).await {
            tracing::error!(%error, "nobody can connect over TLS until this is mended and reloaded");
        }
        Ok(Self { hall, bound, served: Vec::new() })
    }

    /// The addresses that are really bound. Empty once they are served.
    pub(super) fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.bound.iter().map(|(listener, _)| listener.local_addr()).collect()
    }

    /// Serves clients from now on.
    pub(super) fn open(&mut self) {
        for (listener, manner) in std::mem::take(&mut self.bound) {
            let accepting = tokio::spawn(accept(Arc::clone(&self.hall), listener, manner));
            self.served.push(accepting.abort_handle());
        }
    }

    /// Whether a listener that was served is not any more.
    pub(super) fn is_broken(&self) -> bool {
        self.served.iter().any(AbortHandle::is_finished)
    }

    /// Reads the certificates again. It waits for files, so the doors are not held meanwhile.
    pub(super) fn reload(&self) -> impl Future<Output = Result<(), TlsError>> + Send + 'static {
        let hall = Arc::clone(&self.hall);
        async move {
            let settings = hall.hub.settings();
            hall.load(&settings).await.unwrap_or(Ok(()))
        }
    }
}

impl Hall {
    /// Puts the certificates named in the settings in force; nothing when none are named. What cannot be
    /// used changes nothing.
    async fn load(self: &Arc<Self>, settings: &Settings) -> Option<Result<(), TlsError>> {
        let (hall, tls) = (Arc::clone(self), settings.tls.clone()?);
        let loaded = tokio::task::spawn_blocking(move || hall.certificates.load(&tls)).await;
        Some(loaded.expect("reading certificates does not panic"))
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A port that was in use a moment ago.
    socket.set_reuseaddr(true)?;
    // All of IPv6 and nothing else: all of IPv4 may be listened on beside it, whatever the system's default is.
    if address.is_ipv6() && address.ip().is_unspecified() {
        rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Gives each connection its own task, until the hub stops.
async fn accept(hall: Arc<Hall>, listener: TcpListener, manner: Manner) {
    let stop = hall.hub.stop.clone();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => enter(&hall, stream, peer, manner),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(BREATHER).await;
            }
        }
    }
}
