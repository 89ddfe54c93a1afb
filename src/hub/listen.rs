//! Listeners: the accept loop waits for nobody.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::access::Visitor;
use super::counters::add;
use super::{Shared, connection};

/// How long to wait when the system has no more sockets.
const BREATHER: Duration = Duration::from_millis(50);

/// Binds every address.
pub(super) async fn bind(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        let bound = TcpListener::bind(address).await;
        listeners.push(bound.map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?);
    }
    Ok(listeners)
}

/// Gives each connection its own task, until the hub stops.
pub(super) async fn accept(hub: Arc<Shared>, listener: TcpListener) {
    let stop = hub.stop.clone();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => admit(&hub, stream, peer),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(BREATHER).await;
            }
        }
    }
}

fn admit(hub: &Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
    let Some(place) = hub.places.take(hub.settings().limits.connections) else {
        hub.router.tally.closed("too_many_connections");
        return;
    };
    add(&hub.router.tally.connections, 1);
    if let Err(error) = stream.set_nodelay(true) {
        tracing::trace!(%peer, %error, "no TCP_NODELAY");
    }
    let hub = Arc::clone(hub);
    tokio::spawn(async move {
        connection::serve(hub, stream, Visitor::plain(peer)).await;
        drop(place);
    });
}
