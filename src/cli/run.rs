//! `weir run`: the gateway itself.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Exit;
use super::check::tell;
use super::live::{self, Live};
use crate::gateway::control::socket_path;
use crate::gateway::{Gateway, Options};
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
    let Some((mut plan, trouble)) = load(&args.config)? else { return Ok(Exit::WrongConfiguration) };
    plan.buses.simulate |= args.simulate;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    let exit = runtime.block_on(serve(plan, trouble, args.live, tail));
    // A thread that hangs in a read that never returns must not keep the process.
    runtime.shutdown_background();
    exit
}

/// The plan, and why it is not the one its owner wrote, if it is not: a configuration that went bad must
/// not silence the LAN at boot, so the last good one serves. Nothing when there is none.
fn load(path: &Path) -> anyhow::Result<Option<(Plan, Option<String>)>> {
    let report = match plan::load(path) {
        Ok((plan, report)) => {
            tell(&report)?;
            if let Err(error) = plan::keep_last_good(&plan.gateway.state_dir, &report.sources) {
                tracing::warn!(%error, "this configuration cannot be kept as the last good one");
            }
            return Ok(Some((plan, None)));
        }
        Err(report) => report,
    };
    tell(&report)?;
    if !path.exists() && path != Path::new(plan::DEFAULT_PATH) {
        return Ok(None);
    }
    let Ok((plan, _)) = plan::load_last_good(&plan::state_dir_of(&report.sources)) else { return Ok(None) };
    let trouble = format!("{} has errors; this is the last good configuration", path.display());
    tracing::error!("{trouble}");
    Ok(Some((plan, Some(trouble))))
}

async fn serve(plan: Plan, trouble: Option<String>, live: bool, tail: Option<Tail>) -> anyhow::Result<Exit> {
    let mut signals = Signals::new()?;
    let disk = RealDisk::new(&plan.store.dir).context("the state directory cannot be used")?;
    let options = Options { control: Some(socket_path(&plan.gateway.state_dir)), trouble };
    let gateway = Gateway::start(plan, Box::new(disk), Clock::system(), options).await?;
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
