//! A connection that notices what the kernel says about the network: TCP itself would go on repeating
//! bytes from an address that is gone, and after a pulled cable ever more rarely.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::sleep;

use crate::runtime::Network;
use crate::runtime::network::{News, has_address};

/// After a link came back, a peer that owes us bytes gets so long.
const GRACE: Duration = Duration::from_secs(1);

/// What was written and read, as far as it matters.
#[derive(Debug, Default)]
struct Traffic {
    /// Something was written since anything was read.
    owed: AtomicBool,
    reads: AtomicU64,
}

/// A stream that fails when the network under it has changed for the worse.
pub(super) struct Guarded<S> {
    inner: S,
    traffic: Arc<Traffic>,
    /// Until it has ended; it says why the connection is useless.
    doom: Option<Pin<Box<dyn Future<Output = io::Error> + Send>>>,
}

impl<S> Guarded<S> {
    /// Guards a connection from the address `local`.
    pub(super) fn new(inner: S, local: SocketAddr, network: Network) -> Self {
        let traffic = Arc::new(Traffic::default());
        let doom = Box::pin(doom(network.news(), network, local, Arc::clone(&traffic)));
        Self { inner, traffic, doom: Some(doom) }
    }
}

/// Waits until the connection is useless; `before` is what was known when it was opened.
async fn doom(mut before: News, mut network: Network, local: SocketAddr, traffic: Arc<Traffic>) -> io::Error {
    let mut torn = false;
    loop {
        let news = network.changed().await;
        if news.gone != before.gone {
            torn = true;
            if !has_address(local) {
                let why = format!("this machine has lost the address {}", local.ip());
                return io::Error::new(io::ErrorKind::AddrNotAvailable, why);
            }
        }
        if torn && news.came != before.came && traffic.owed.load(Relaxed) {
            let reads = traffic.reads.load(Relaxed);
            sleep(GRACE).await;
            if traffic.reads.load(Relaxed) == reads {
                return io::Error::new(io::ErrorKind::TimedOut, "nothing came through since the link is back");
            }
        }
        before = news;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(Poll::Ready(error)) = this.doom.as_mut().map(|doom| doom.as_mut().poll(context)) {
            this.doom = None;
            return Poll::Ready(Err(error));
        }
        let before = to.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(context, to))?;
        if to.filled().len() > before {
            this.traffic.owed.store(false, Relaxed);
            this.traffic.reads.fetch_add(1, Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.inner).poll_write(context, bytes))?;
        this.traffic.owed.store(true, Relaxed);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::sync::watch;
    use tokio::time::{Instant, timeout};

    use super::*;

    fn guarded(address: [u8; 4]) -> (Guarded<DuplexStream>, DuplexStream, watch::Sender<News>) {
        let (kernel, network) = Network::by_hand();
        let (ours, theirs) = duplex(64);
        (Guarded::new(ours, SocketAddr::from((Ipv4Addr::from(address), 1)), network), theirs, kernel)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_ends_with_its_address() {
        let (mut stream, _peer, kernel) = guarded([127, 0, 0, 1]);
        kernel.send_modify(|news| news.gone += 1);
        timeout(Duration::from_secs(60), stream.read_u8()).await.expect_err("the address is still there");
        // A documentation address (RFC 5737) is never ours.
        let (mut stream, _peer, kernel) = guarded([192, 0, 2, 1]);
        kernel.send_modify(|news| news.gone += 1);
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(error.to_string(), "this machine has lost the address 192.0.2.1");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_owes_bytes_has_a_second_after_the_link_is_back() {
        let (mut stream, _peer, kernel) = guarded([127, 0, 0, 1]);
        kernel.send_modify(|news| (news.gone, news.came) = (1, 1));
        timeout(Duration::from_secs(60), stream.read_u8()).await.expect_err("nothing is owed");
        stream.write_u8(1).await.unwrap();
        let began = Instant::now();
        kernel.send_modify(|news| news.came += 1);
        assert_eq!(stream.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), GRACE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_answers_is_left_alone() {
        let (mut stream, mut peer, kernel) = guarded([127, 0, 0, 1]);
        stream.write_u8(1).await.unwrap();
        kernel.send_modify(|news| (news.gone, news.came) = (1, 1));
        let answer = async {
            sleep(GRACE / 2).await;
            peer.write_u8(2).await.unwrap();
            sleep(GRACE * 2).await;
            peer.write_u8(3).await.unwrap();
        };
        let read = async { (stream.read_u8().await.unwrap(), stream.read_u8().await.unwrap()) };
        assert_eq!(tokio::join!(answer, read).1, (2, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn links_that_only_appear_say_nothing_about_this_one() {
        let (mut stream, _peer, kernel) = guarded([127, 0, 0, 1]);
        stream.write_u8(1).await.unwrap();
        kernel.send_modify(|news| news.came += 1);
        timeout(Duration::from_secs(60), stream.read_u8()).await.expect_err("no link went away");
    }
}
