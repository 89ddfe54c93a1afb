//! A TCP proxy that fails on demand: cut, stall either way or both, delay, cut in the middle of a packet, refuse.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// Pieces of a stream that may be under way at once, each way.
const CHUNKS: usize = 256;

/// What the proxy does with bytes and connections.
#[derive(Debug, Clone, Copy, Default)]
struct Mode {
    /// Raised to end all connections that are open.
    generation: u64,
    /// New connections are closed at once.
    refuse: bool,
    /// Nothing passes towards the server.
    stall_up: bool,
    /// Nothing passes towards the client.
    stall_down: bool,
    /// Every chunk takes so long, each way.
    delay: Duration,
}

/// Counters and budgets that the pumps share.
#[derive(Default)]
struct Meter {
    accepted: AtomicUsize,
    /// Bytes towards the server that may still pass before the connection is cut; `u64::MAX` = no end.
    budget_up: AtomicU64,
}

/// A running proxy; it stops when dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    meter: Arc<Meter>,
}

impl Proxy {
    /// Listens on a free port, in front of `server`.
    pub(crate) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (mode, watched) = watch::channel(Mode::default());
        let meter = Arc::new(Meter { budget_up: AtomicU64::new(u64::MAX), ..Meter::default() });
        tokio::spawn(accept(listener, server, watched, Arc::clone(&meter)));
        Self { address, mode, meter }
    }

    /// Where to connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections accepted so far, refused ones too.
    pub(crate) fn accepted(&self) -> usize {
        self.meter.accepted.load(Ordering::Relaxed)
    }

    /// Ends all open connections; new ones are served.
    pub(crate) fn cut(&self) {
        self.mode.send_modify(|mode| mode.generation += 1);
    }

    /// Ends the connection when `bytes` more have passed towards the server, wherever in a packet that is.
    pub(crate) fn cut_after(&self, bytes: u64) {
        self.meter.budget_up.store(bytes, Ordering::Relaxed);
    }

    /// Closes new connections at once, or serves them again.
    pub(crate) fn refuse(&self, refuse: bool) {
        self.mode.send_modify(|mode| mode.refuse = refuse);
    }

    /// Holds bytes back, towards the server and towards the client. Connections stay open.
    pub(crate) fn stall(&self, up: bool, down: bool) {
        self.mode.send_modify(|mode| (mode.stall_up, mode.stall_down) = (up, down));
    }

    /// Delays every chunk, each way.
    pub(crate) fn delay(&self, delay: Duration) {
        self.mode.send_modify(|mode| mode.delay = delay);
    }
}

/// Accepts until the proxy is dropped.
async fn accept(listener: TcpListener, server: SocketAddr, mut mode: watch::Receiver<Mode>, meter: Arc<Meter>) {
    loop {
        let client = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => client,
                Err(_) => return,
            },
            changed = mode.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        meter.accepted.fetch_add(1, Ordering::Relaxed);
        if !mode.borrow().refuse {
            tokio::spawn(serve(client, server, mode.clone(), Arc::clone(&meter)));
        }
    }
}

/// One connection, until either side closes, or the proxy cuts it.
async fn serve(client: TcpStream, server: SocketAddr, mut mode: watch::Receiver<Mode>, meter: Arc<Meter>) {
    let generation = mode.borrow_and_update().generation;
    let Ok(server) = TcpStream::connect(server).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let up = pump(from_client, to_server, mode.clone(), |mode| mode.stall_up, Some(&meter.budget_up));
    let down = pump(from_server, to_client, mode.clone(), |mode| mode.stall_down, None);
    tokio::select! {
        () = up => {}
        () = down => {}
        _ = mode.wait_for(|mode| mode.generation != generation) => {}
    }
}

/// Carries bytes one way. What is delayed is under way at the same time: a delay is no bound on the rate.
async fn pump(
    from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    stalls: impl Fn(&Mode) -> bool,
    budget: Option<&AtomicU64>,
) {
    let (enter, mut line) = mpsc::channel(CHUNKS);
    // It may end first: what it has read still arrives.
    let watched = mode.clone();
    let take_in = async {
        take_in(from, enter, watched).await;
        std::future::pending::<()>().await;
    };
    let give_out = async {
        while let Some((due, chunk)) = line.recv().await {
            sleep_until(due).await;
            if mode.wait_for(|mode| !stalls(mode)).await.is_err() {
                return;
            }
            let passes = budget.map_or(chunk.len(), |budget| spend(budget, chunk.len()));
            if to.write_all(&chunk[..passes]).await.is_err() || passes < chunk.len() {
                return;
            }
        }
    };
    tokio::select! {
        () = take_in => {}
        () = give_out => {}
    }
}

/// Reads, and says when each piece is due at the other end.
async fn take_in(mut from: OwnedReadHalf, line: mpsc::Sender<(Instant, Vec<u8>)>, mode: watch::Receiver<Mode>) {
    let mut chunk = vec![0; 4096];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        let due = Instant::now() + mode.borrow().delay;
        if line.send((due, chunk[..read].to_vec())).await.is_err() {
            return;
        }
    }
}

/// How many of `wanted` bytes may pass. A budget that is used up is lifted: the next connection is whole.
fn spend(budget: &AtomicU64, wanted: usize) -> usize {
    let left = budget.load(Ordering::Relaxed);
    if left == u64::MAX {
        return wanted;
    }
    let passes = left.min(wanted as u64);
    budget.store(if passes < wanted as u64 { u64::MAX } else { left - passes }, Ordering::Relaxed);
    passes as usize
}
