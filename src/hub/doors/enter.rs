//! From an accepted socket to a stream of MQTT packets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::super::access::Visitor;
use super::super::connection;
use super::super::counters::add;
use super::super::memory::Level;
use super::crowd::{Refusal, Share};
use super::lobby::Ticket;
use super::tls::{MOST_UNSENT, name_of};
use super::ws::{Names, WebSocket, hello};
use super::{Hall, Manner};

/// Everything before CONNECT has to be done within this time.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Gives the connection its own task, if its address may have one more. It waits in the lobby until CONNECT is there.
pub(super) fn enter(hall: &Arc<Hall>, stream: TcpStream, peer: SocketAddr, manner: Manner) {
    let (hub, limits) = (&hall.hub, &hall.hub.settings().limits);
    let share = match hall.crowd.take(peer.ip(), limits) {
        Ok(share) => share,
        Err(Refusal { word, first }) => {
            hub.router.tally.closed(word);
            if first {
                tracing::warn!(address = %peer.ip(), "more connections than `{word}` allows are refused");
            }
            return;
        }
    };
    if hub.router.memory.level() == Level::Exhausted {
        hub.router.tally.closed("no_memory");
        return;
    }
    add(&hub.router.tally.connections, 1);
    if let Err(error) = stream.set_nodelay(true) {
        tracing::trace!(%peer, %error, "no TCP_NODELAY");
    }
    let (ticket, crowded) = hall.lobby.enter(limits.connections);
    if crowded {
        hub.router.tally.closed("lobby_full");
    }
    let number = ticket.number();
    let entering = receive(Arc::clone(hall), stream, peer, manner, ticket, share);
    hall.lobby.watch(number, tokio::spawn(entering).abort_handle());
}

async fn receive(hall: Arc<Hall>, stream: TcpStream, peer: SocketAddr, manner: Manner, ticket: Ticket, share: Share) {
    let hub = Arc::clone(&hall.hub);
    if manner == Manner::Tcp {
        connection::serve(hub, stream, Visitor::plain(peer), ticket).await;
    } else if let Some((stream, certified)) = open(&hall, stream, peer, manner).await {
        connection::serve(hub, stream, Visitor { peer, certified }, ticket).await;
    }
    drop(share);
}

/// What carries the packets of a client that does not use plain TCP. One type for all: behind it is so much
/// work that the detour is not felt, and the program holds the connection's code only twice.
trait Carrier: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Carrier for S {}

/// A stream, and the name in the certificate that was shown on it.
type Opened = (Box<dyn Carrier>, Option<Arc<str>>);

/// Shakes hands, within the deadline; nothing when that failed.
async fn open(hall: &Hall, stream: TcpStream, peer: SocketAddr, manner: Manner) -> Option<Opened> {
    // On the heap: the handshake needs several kilobytes that the connection does not.
    let handshake = Box::pin(timeout(HANDSHAKE, shake_hands(hall, stream, manner)));
    let (word, error) = match hall.hub.stop.run_until_cancelled(handshake).await? {
        Ok(Ok(opened)) => return Some(opened),
        Ok(Err(Failed(word, error))) => (word, error),
        Err(late) => ("handshake_timeout", late.into()),
    };
    hall.hub.router.tally.closed(word);
    tracing::debug!(%peer, %error, "a handshake failed");
    None
}

/// What failed, as a counter's word, and why.
struct Failed(&'static str, io::Error);

async fn shake_hands(hall: &Hall, stream: TcpStream, manner: Manner) -> Result<Opened, Failed> {
    if manner == Manner::Ws {
        return Ok((Box::new(upgrade(hall, stream).await?), None));
    }
    let stream = encrypt(hall, stream).await.map_err(|error| Failed("tls", error))?;
    let certified = name_of(stream.get_ref().1);
    match manner {
        Manner::Wss => Ok((Box::new(upgrade(hall, stream).await?), certified)),
        _ => Ok((Box::new(stream), certified)),
    }
}

async fn encrypt(hall: &Hall, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let config = hall.certificates.current().ok_or_else(|| io::Error::other("there is no certificate"))?;
    let limit = |connection: &mut rustls::ServerConnection| connection.set_buffer_limit(Some(MOST_UNSENT));
    TlsAcceptor::from(config).accept_with(stream, limit).await
}

async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(hall: &Hall, stream: S) -> Result<WebSocket<S>, Failed> {
    let settings = hall.hub.settings();
    let names = Names { machine: &hall.machine, hosts: &settings.ws_hosts, origins: &settings.ws_origins };
    hello(stream, names).await.map_err(|error| Failed("websocket", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, B, C, D, E, F, Made>(_: fn(A, B, C, D, E, F) -> Made) -> usize {
        size_of::<Made>()
    }

    /// 500 idle connections are nothing special: what each of them keeps for ever is counted in hundreds of bytes.
    #[test]
    fn the_task_of_a_connection_is_small() {
        let bytes = size_of_future(receive);
        assert!(bytes <= 1024, "{bytes} bytes");
    }
}
