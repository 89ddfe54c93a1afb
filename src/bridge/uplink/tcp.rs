//! TCP: whichever address answers first, again and again.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::net::TcpStream;
use tokio::time::sleep;

/// How much later each further address is tried while the ones before it have not answered
/// (RFC 8305 section 5 recommends 250 ms).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// Addresses of one name that are tried.
const MOST_ADDRESSES: usize = 8;

/// After so long without an answer another socket knocks at the same address as well. The kernel repeats
/// a lost SYN after 1, 3, 7 and 15 s (RFC 6298 section 2): a link that comes back would wait for that.
const KNOCK_AGAIN: Duration = Duration::from_millis(1500);

/// Sockets that knock at one address.
const MOST_KNOCKS: usize = 8;

/// Bytes that the peer's kernel does not acknowledge for so long end a connection, in milliseconds
/// (RFC 5482). The session has shorter deadlines for what it expects; this one is for all the rest.
const USER_TIMEOUT_MS: u32 = 30_000;

/// Connects to whichever address answers first, in the order given, each a little later than the one before.
pub(super) async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let attempt = |(index, address): (usize, SocketAddr)| async move {
        sleep(NEXT_ADDRESS * index as u32).await;
        knock(address).await
    };
    let mut attempts: FuturesUnordered<_> =
        addresses.iter().copied().take(MOST_ADDRESSES).enumerate().map(attempt).collect();
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    while let Some(end) = attempts.next().await {
        match end {
            Ok(stream) => return ready(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Knocks at one address until somebody answers, says no, or nobody waits any more.
async fn knock(address: SocketAddr) -> io::Result<TcpStream> {
    let mut knocks = FuturesUnordered::from_iter([TcpStream::connect(address)]);
    loop {
        tokio::select! {
            Some(end) = knocks.next() => return end,
            () = sleep(KNOCK_AGAIN), if knocks.len() < MOST_KNOCKS => knocks.push(TcpStream::connect(address)),
        }
    }
}

fn ready(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    set_tcp_user_timeout(&stream, USER_TIMEOUT_MS)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use rustix::net::sockopt::{tcp_nodelay, tcp_user_timeout};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_connection_does_not_wait_to_send_and_does_not_wait_for_ever() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let stream = connect(&[listener.local_addr().unwrap()]).await.unwrap();
        assert_eq!(tcp_user_timeout(&stream).unwrap(), USER_TIMEOUT_MS);
        assert!(tcp_nodelay(&stream).unwrap());
    }

    #[tokio::test]
    async fn an_address_that_says_no_is_not_asked_again() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(connect(&[address]).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(connect(&[]).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
