//! What the kernel says about this machine's links, addresses and routes.
//!
//! A link that comes back is worth an attempt at once; an address that is gone takes its connections
//! with it, which TCP notices only much later.

mod events;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net;
use std::time::Duration;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use tokio::net::UnixDatagram;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use events::{Links, News as Heard};

/// Changes come in bursts (link, address, route): they are told when it has been quiet for so long,
const QUIET: Duration = Duration::from_millis(100);

/// or after so long.
const PATIENCE: Duration = Duration::from_millis(500);

/// Room for what the kernel says in one go; what does not fit counts as a change.
const BUFFER: usize = 32 * 1024;

/// How often something has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct News {
    /// A link, an address or a route appeared.
    pub came: u64,
    /// A link or an address went away.
    pub gone: u64,
}

/// What the kernel says, for everybody who wants to hear it.
#[derive(Debug, Clone)]
pub struct Network(watch::Receiver<News>);

impl Default for Network {
    /// One that never says anything.
    fn default() -> Self {
        Self(watch::channel(News::default()).1)
    }
}

impl Network {
    /// Listens to the kernel in a task of its own, as long as anybody holds this. Where that is
    /// not possible it says so in the log and never tells anything: then only time heals.
    pub fn listen() -> Self {
        match open() {
            Ok(socket) => {
                let (news, network) = watch::channel(News::default());
                tokio::spawn(hear(socket, news));
                Self(network)
            }
            Err(error) => {
                tracing::warn!(%error, "the kernel does not tell about links and addresses");
                Self::default()
            }
        }
    }

    /// One that says what the sender is given.
    pub fn by_hand() -> (watch::Sender<News>, Self) {
        let (sender, network) = watch::channel(News::default());
        (sender, Self(network))
    }

    /// How often something has changed so far.
    pub fn news(&self) -> News {
        *self.0.borrow()
    }

    /// Waits until something changes that was not seen on this handle before.
    pub async fn changed(&mut self) -> News {
        if self.0.changed().await.is_err() {
            // Nobody will say anything any more.
            std::future::pending::<()>().await;
        }
        *self.0.borrow_and_update()
    }

    /// Waits until a link, an address or a route appears.
    pub async fn came(&mut self) {
        let before = self.0.borrow_and_update().came;
        while self.changed().await.came == before {}
    }
}

/// Whether this machine still has the address that a socket was bound to.
pub fn has_address(address: SocketAddr) -> bool {
    let mut probe = address;
    probe.set_port(0);
    !UdpSocket::bind(probe).is_err_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable)
}

fn open() -> io::Result<UnixDatagram> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // Protocol 0 is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, events::GROUPS))?;
    // It is not a Unix socket, but is read like one: datagrams out of a descriptor.
    UnixDatagram::from_std(net::UnixDatagram::from(socket))
}

/// Tells what changes until nobody wants to know.
async fn hear(socket: UnixDatagram, told: watch::Sender<News>) {
    let mut links = Links::default();
    let mut buffer = vec![0; BUFFER];
    loop {
        let heard = tokio::select! {
            heard = burst(&socket, &mut links, &mut buffer) => heard,
            () = told.closed() => return,
        };
        match heard {
            Ok(heard) => told.send_if_modified(|news| {
                news.came += u64::from(heard.came);
                news.gone += u64::from(heard.gone);
                heard.came || heard.gone
            }),
            Err(error) => {
                tracing::warn!(%error, "the kernel does not tell about links and addresses any more");
                return;
            }
        };
    }
}

/// One burst of changes, from its first event until it is quiet.
async fn burst(socket: &UnixDatagram, links: &mut Links, buffer: &mut [u8]) -> io::Result<Heard> {
    let mut heard = Heard::default();
    while !(heard.came || heard.gone) {
        heard = heard.and(next(socket, links, buffer).await?);
    }
    let latest = Instant::now() + PATIENCE;
    loop {
        match timeout_at(latest.min(Instant::now() + QUIET), next(socket, links, buffer)).await {
            Ok(more) => heard = heard.and(more?),
            Err(_quiet) => return Ok(heard),
        }
        if Instant::now() >= latest {
            return Ok(heard);
        }
    }
}

/// What the kernel says next. Dropping it loses nothing.
async fn next(socket: &UnixDatagram, links: &mut Links, buffer: &mut [u8]) -> io::Result<Heard> {
    match socket.recv(buffer).await {
        Ok(read) => Ok(links.hear(&buffer[..read])),
        // More was said than the socket holds: anything may have changed.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error()) => {
            Ok(Heard { came: true, gone: true })
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[tokio::test]
    async fn the_kernel_lets_us_listen() {
        open().expect("a netlink socket needs no rights");
    }

    #[tokio::test]
    async fn an_address_that_is_not_ours_is_told_from_one_that_is() {
        assert!(has_address(SocketAddr::from((Ipv4Addr::LOCALHOST, 1883))));
        // Documentation addresses (RFC 5737, RFC 3849) belong to nobody.
        assert!(!has_address(SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 1883))));
        assert!(!has_address(SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 1883))));
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_appears_wakes_and_only_once() {
        let (kernel, mut network) = Network::by_hand();
        kernel.send_modify(|news| news.came += 1);
        network.changed().await;
        let mut waiting = std::pin::pin!(network.came());
        kernel.send_modify(|news| news.gone += 1);
        assert!(tokio::time::timeout(Duration::from_secs(60), &mut waiting).await.is_err());
        kernel.send_modify(|news| news.came += 1);
        waiting.await;
        let mut silent = Network::default();
        assert!(tokio::time::timeout(Duration::from_secs(60), silent.changed()).await.is_err());
    }
}
