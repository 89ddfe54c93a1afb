//! From an accepted socket to a stream of MQTT packets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::super::access::Visitor;
use super::super::connection;
use super::super::counters::add;
use super::tls::{MOST_UNSENT, name_of};
use super::{Hall, Manner};

/// Everything before CONNECT has to be done within this time.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Gives the connection its own task, if there is a place for it.
pub(super) fn enter(hall: &Arc<Hall>, stream: TcpStream, peer: SocketAddr, manner: Manner) {
    let hub = &hall.hub;
    let Some(place) = hub.places.take(hub.settings().limits.connections) else {
        hub.router.tally.closed("too_many_connections");
        return;
    };
    add(&hub.router.tally.connections, 1);
    if let Err(error) = stream.set_nodelay(true) {
        tracing::trace!(%peer, %error, "no TCP_NODELAY");
    }
    let hall = Arc::clone(hall);
    tokio::spawn(async move {
        match manner {
            Manner::Tcp => connection::serve(Arc::clone(&hall.hub), stream, Visitor::plain(peer)).await,
            Manner::Tls => encrypted(&hall, stream, peer).await,
        }
        drop(place);
    });
}

async fn encrypted(hall: &Hall, stream: TcpStream, peer: SocketAddr) {
    let hub = Arc::clone(&hall.hub);
    // On the heap: the handshake needs several kilobytes that the connection does not.
    let handshake = Box::pin(timeout(HANDSHAKE, shake_hands(hall, stream)));
    let (word, error) = match hub.stop.run_until_cancelled(handshake).await {
        Some(Ok(Ok(stream))) => {
            let certified = name_of(stream.get_ref().1);
            return connection::serve(Arc::clone(&hub), stream, Visitor { peer, certified }).await;
        }
        Some(Ok(Err(error))) => ("tls", error),
        Some(Err(late)) => ("handshake_timeout", late.into()),
        None => return,
    };
    hub.router.tally.closed(word);
    tracing::debug!(%peer, %error, "no TLS connection");
}

/// On the heap, because it is a kilobyte and moves.
async fn shake_hands(hall: &Hall, stream: TcpStream) -> io::Result<Box<TlsStream<TcpStream>>> {
    let config = hall.certificates.current().ok_or_else(|| io::Error::other("there is no certificate"))?;
    let limit = |connection: &mut rustls::ServerConnection| connection.set_buffer_limit(Some(MOST_UNSENT));
    TlsAcceptor::from(config).accept_with(stream, limit).await.map(Box::new)
}
