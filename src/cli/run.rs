//! `weir run`: the gateway itself.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Exit;
use super::check::tell;
use super::live::{self, Live};
use crate::config::Sources;
use crate::gateway::control::socket_path;
use crate::gateway::{Gateway, Options};
use crate::plan::{self, Boot};
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
    let mut boot = match plan::boot(&args.config) {
        Ok(boot) => boot,
        Err(report) => return super::check::refuse(&report),
    };
    boot.plan.buses.simulate |= args.simulate;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    let exit = runtime.block_on(serve(boot, args, tail));
    // A thread that hangs in a read that never returns must not keep the process.
    runtime.shutdown_background();
    exit
}

async fn serve(boot: Boot, args: &Args, tail: Option<Tail>) -> anyhow::Result<Exit> {
    let mut signals = Signals::new()?;
    let Boot { plan, report, refused } = boot;
    tell(refused.as_ref().unwrap_or(&report))?;
    let trouble = refused.map(|_| format!("{} has errors: the last good one is in use", args.config.display()));
    if let Some(trouble) = &trouble {
        tracing::error!("{trouble}");
    }
    let state_dir = plan.gateway.state_dir.clone();
    let disk = RealDisk::new(&plan.store.dir).context("the state directory cannot be used")?;
    let options = Options { control: Some(socket_path(&state_dir)), trouble: trouble.clone() };
    let gateway = Gateway::start(plan, Box::new(disk), Clock::system(), options).await?;
    if trouble.is_none() {
        keep(&state_dir, &report.sources);
    }
    systemd::ready();
    let exit = show_until_end(&gateway, args, &report.sources, tail, &mut signals).await;
    tokio::select! {
        stopped = gateway.stop() => stopped?,
        () = signals.end() => tracing::warn!("stopped at once by a second signal"),
    }
    Ok(exit)
}

/// This configuration has started: it is the one to go back to when a later one is wrong.
fn keep(state_dir: &Path, sources: &Sources) {
    if let Err(error) = plan::keep_last_good(state_dir, sources) {
        tracing::warn!(%error, "the configuration cannot be kept as the last good one");
    }
}

async fn show_until_end(
    gateway: &Gateway,
    args: &Args,
    started: &Sources,
    tail: Option<Tail>,
    signals: &mut Signals,
) -> Exit {
    let addresses: Vec<_> = gateway.local_addrs().iter().map(ToString::to_string).collect();
    tracing::info!(hub = addresses.join(", "), "weir {} serves", env!("CARGO_PKG_VERSION"));
    let showing = args.live.then(|| tokio::spawn(Live::new(gateway, tail).show()));
    let exit = loop {
        tokio::select! {
            told = signals.next() => match told {
                Told::End => break Exit::Good,
                Told::Reload => reload(gateway, &args.config, started).await,
            },
            why = gateway.failed() => {
                tracing::error!("{why}: the gateway ends");
                break Exit::Failed;
            }
        }
    };
    if let Some(showing) = showing {
        showing.abort();
    }
    exit
}

/// What a signal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    End,
    Reload,
}

/// Reads the configuration again. A bad one is told in the log and changes nothing.
async fn reload(gateway: &Gateway, path: &Path, started: &Sources) {
    systemd::reloading();
    match plan::load(path) {
        Ok((plan, report)) => match gateway.reload(plan, &report, started).await {
            Ok(()) => tracing::info!("the configuration has been read again"),
            Err(error) => tracing::error!("nothing is reloaded: {error:#}"),
        },
        Err(report) => tracing::error!("nothing is reloaded, the configuration has errors:\n{report}"),
    }
    systemd::ready();
}

/// The signals that end the gateway, and the one that must not.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// Started from a terminal: SIGHUP says that it was closed.
    on_terminal: bool,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            on_terminal: std::io::stdin().is_terminal(),
        })
    }

    /// Waits for SIGTERM, SIGINT or SIGHUP. The last one ends a run on a terminal, and reloads any other.
    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::End,
            _ = self.interrupt.recv() => Told::End,
            _ = self.hangup.recv() => if self.on_terminal { Told::End } else { Told::Reload },
        }
    }

    /// Waits for a signal that ends the gateway.
    async fn end(&mut self) {
        while self.next().await != Told::End {}
    }
}
