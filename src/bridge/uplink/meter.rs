//! What a connection costs: the bytes below TLS, and an estimate of what TCP and IP add to them.
//!
//! Each write is taken for a segment of its own and each read for one that came, split where they are larger than a
//! segment; every second segment that comes is acknowledged by an empty one (RFC 9293 section 3.8.6.3, RFC 1122
//! section 4.2.3.2), and each lonely one too. That is rather too much than too little. Segments that are sent again
//! on a bad link are not seen here.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// IPv4 header 20, TCP header 20, time stamps option 12 (RFC 7323).
const HEADERS_V4: u64 = 52;

/// The same with the IPv6 header of 40.
const HEADERS_V6: u64 = 72;

/// Options of SYN beyond the time stamps: maximum segment size, window scale, SACK permitted.
const SYN_OPTIONS: u64 = 8;

/// Payload of one segment that fits everywhere: 1280 (RFC 8200 section 5) at the least, 1448 at the most; tunnels of mobile
/// networks leave about so much.
const SEGMENT: u64 = 1360;

/// Bytes on the wire, both ways, headers included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wire {
    /// From the peer.
    pub received: u64,
    /// To the peer.
    pub sent: u64,
}

impl Wire {
    /// Both together.
    pub fn total(self) -> u64 {
        self.received + self.sent
    }
}

/// Counts what all connections of one bridge cost.
#[derive(Debug, Default)]
pub struct Meter {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Meter {
    /// What it has counted so far.
    pub fn read(&self) -> Wire {
        Wire { received: self.received.load(Relaxed), sent: self.sent.load(Relaxed) }
    }

    fn add(&self, received: u64, sent: u64) {
        self.received.fetch_add(received, Relaxed);
        self.sent.fetch_add(sent, Relaxed);
    }
}

/// A connection that is counted, from its opening to its end.
pub struct Metered<S> {
    stream: S,
    meter: Arc<Meter>,
    headers: u64,
}

impl<S> Metered<S> {
    /// A TCP connection that was just opened, over IPv6 or IPv4.
    pub fn new(stream: S, is_v6: bool, meter: Arc<Meter>) -> Self {
        let headers = if is_v6 { HEADERS_V6 } else { HEADERS_V4 };
        // SYN, its answer, and the acknowledgement of that.
        meter.add(headers + SYN_OPTIONS, 2 * headers + SYN_OPTIONS);
        Self { stream, meter, headers }
    }

    fn came(&self, bytes: u64) {
        let segments = bytes.div_ceil(SEGMENT);
        self.meter.add(bytes + segments * self.headers, segments.div_ceil(2) * self.headers);
    }

    /// The peer's answer acknowledges a single segment by the way.
    fn left(&self, bytes: u64) {
        let segments = bytes.div_ceil(SEGMENT);
        self.meter.add(segments / 2 * self.headers, bytes + segments * self.headers);
    }
}

impl<S> Drop for Metered<S> {
    /// FIN and its acknowledgement, both ways.
    fn drop(&mut self) {
        self.meter.add(2 * self.headers, 2 * self.headers);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = to.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, to))?;
        this.came((to.filled().len() - before) as u64);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write(context, bytes))?;
        this.left(written as u64);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write_vectored(context, slices))?;
        this.left(written as u64);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn a_publish_and_its_answer_cost_three_segments_and_a_connection_its_handshakes() {
        let meter = Arc::new(Meter::default());
        let (near, mut far) = duplex(10_000);
        let mut near = Metered::new(near, false, Arc::clone(&meter));
        assert_eq!(meter.read(), Wire { received: 60, sent: 112 });
        near.write_all(&[0; 100]).await.unwrap();
        far.write_all(&[0; 4]).await.unwrap();
        near.read_exact(&mut [0; 4]).await.unwrap();
        assert_eq!(meter.read(), Wire { received: 60 + 56, sent: 112 + 152 + 52 });
        near.write_all(&[0; 3000]).await.unwrap();
        assert_eq!(meter.read(), Wire { received: 60 + 56 + 52, sent: 112 + 152 + 52 + 3000 + 3 * 52 });
        let before = meter.read();
        drop(near);
        assert_eq!(meter.read().total(), before.total() + 4 * 52);
    }

    #[tokio::test]
    async fn ipv6_has_larger_headers() {
        let meter = Arc::new(Meter::default());
        let _near = Metered::new((), true, Arc::clone(&meter));
        assert_eq!(meter.read().total(), 3 * 72 + 16);
    }
}
