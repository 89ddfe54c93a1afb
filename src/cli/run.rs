//! `weir run`: the gateway itself.

use std::path::PathBuf;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Exit;
use super::live::{self, Live};
use crate::gateway::Gateway;
use crate::gateway::control::socket_path;
use crate::plan::{self, Plan};
use crate::runtime::logging::{self, Tail};
use crate::runtime::{Clock, systemd};
use crate::store::disk::RealDisk;

/// Worker threads: a gateway waits more than it computes, and each thread costs memory.
const WORKERS: usize = 2;

/// `weir run`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = plan::DEFAULT_PATH)]
    config: PathBuf,
    /// Simulated chips under the real drivers, on every bus
    #[arg(long)]
    simulate: bool,
    /// Show readings: a table on a terminal, lines otherwise
    #[arg(long)]
    live: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let tail = (args.live && live::is_table()).then(Tail::default);
    logging::start(tail.clone()).context("logging cannot start")?;
    let mut plan = match plan::load(&args.config) {
        Ok((plan, report)) => {
            super::check::tell(&report)?;
            plan
        }
        Err(report) => return super::check::refuse(&report),
    };
    plan.buses.simulate |= args.simulate;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    let exit = runtime.block_on(serve(plan, args.live, tail));
    // A thread that hangs in a read that never returns must not keep the process.
    runtime.shutdown_background();
    exit
}

async fn serve(plan: Plan, live: bool, tail: Option<Tail>) -> anyhow::Result<Exit> {
    let mut signals = Signals::new()?;
    let disk = RealDisk::new(&plan.store.dir).context("the state directory cannot be used")?;
    let control = socket_path(&plan.gateway.state_dir);
    let gateway = Gateway::start(plan, Box::new(disk), Clock::system(), Some(&control)).await?;
    let addresses: Vec<_> = gateway.local_addrs().iter().map(ToString::to_string).collect();
    tracing::info!(hub = addresses.join(", "), "weir {} serves", env!("CARGO_PKG_VERSION"));
    systemd::ready();
    let showing = live.then(|| tokio::spawn(Live::new(&gateway, tail).show()));
    signals.next().await;
    if let Some(showing) = showing {
        showing.abort();
    }
    tokio::select! {
        stopped = gateway.stop() => stopped?,
        () = signals.next() => tracing::warn!("stopped at once by a second signal"),
    }
    Ok(Exit::Good)
}

/// The signals that end the gateway.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
