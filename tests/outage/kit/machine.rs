//! A gateway as its own process, on a disk of its own, and what happens to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};

use crate::common::image::{Image, Traffic};

/// How long a start may take on a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_millis(2);

/// Where a gateway keeps its state.
#[derive(Debug)]
pub(crate) enum Ground {
    /// A file system of its own, whose power can be cut and whose traffic is counted.
    Image(Image),
    /// A directory among others.
    Dir(TempDir),
}

impl Ground {
    pub(crate) fn dir() -> Self {
        Self::Dir(tempfile::tempdir().expect("a scratch directory"))
    }

    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Self::Image(image) => image.path(),
            Self::Dir(dir) => dir.path().to_owned(),
        }
    }

    /// What went to the disk, where that is counted.
    pub(crate) fn traffic(&self) -> Option<Traffic> {
        match self {
            Self::Image(image) => Some(image.traffic().expect("it is mounted")),
            Self::Dir(_) => None,
        }
    }
}

/// Makes the command that starts a gateway, from the directory for its configuration and that for its state.
pub(crate) type Recipe = Box<dyn Fn(&Path, &Path) -> Command + Send + Sync>;

pub(crate) struct Machine {
    pub(crate) ground: Ground,
    scratch: TempDir,
    address: SocketAddr,
    recipe: Recipe,
    child: Option<Child>,
    peak_kib: u64,
}

impl Machine {
    /// Starts a gateway whose hub will be at `address`, and waits until it accepts connections.
    pub(crate) async fn start(ground: Ground, address: SocketAddr, recipe: Recipe) -> Self {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let mut machine = Self { ground, scratch, address, recipe, child: None, peak_kib: 0 };
        machine.switch_on();
        machine.listens().await;
        machine
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts it; it may not listen yet.
    pub(crate) fn switch_on(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.scratch.path().join("log"));
        let log = log.expect("the log can be written");
        let mut command = (self.recipe)(self.scratch.path(), &self.ground.path());
        let output = log.try_clone().expect("a file descriptor");
        let started = command.stdin(Stdio::null()).stdout(output).stderr(log).spawn();
        self.child = Some(started.expect("the gateway's program is there"));
    }

    /// Waits until the hub accepts connections.
    pub(crate) async fn listens(&mut self) {
        let attempts = async {
            while TcpStream::connect(self.address).await.is_err() {
                let child = self.child.as_mut().expect("it was switched on");
                if let Some(status) = child.try_wait().expect("it is our child") {
                    return Err(status.to_string());
                }
                sleep(RETRY).await;
            }
            Ok(())
        };
        let end = timeout(PATIENCE, attempts).await.unwrap_or_else(|_| Err("it does not listen".into()));
        end.unwrap_or_else(|why| panic!("the gateway does not come: {why}\n{}", self.log()));
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.look_at_memory();
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it is our child");
            child.wait().expect("it was killed");
        }
    }

    /// The power fails: nothing more is written, the process is gone, and the disk has what was synced.
    pub(crate) fn cut_power(&mut self) {
        self.look_at_memory();
        block_in_place(|| {
            let mut child = self.child.take().expect("it runs");
            // Nothing is acknowledged while the power fails.
            kill_process(Pid::from_child(&child), Signal::STOP).expect("it runs");
            let bury = || {
                child.kill().expect("it is our child");
                child.wait().expect("it was killed");
            };
            match &mut self.ground {
                Ground::Image(image) => image.cut(bury).expect("the power can be cut"),
                Ground::Dir(_) => panic!("only a disk of its own can lose power"),
            }
        });
    }

    /// Resident memory now, and at most so far, in KiB (proc_pid_status(5)).
    pub(crate) fn resident_kib(&self) -> u64 {
        self.status("VmRSS:").unwrap_or(0)
    }

    pub(crate) fn peak_kib(&mut self) -> u64 {
        self.look_at_memory();
        self.peak_kib
    }

    fn look_at_memory(&mut self) {
        self.peak_kib = self.peak_kib.max(self.status("VmHWM:").unwrap_or(0));
    }

    fn status(&self, name: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.as_ref()?.id())).ok()?;
        status.lines().find(|line| line.starts_with(name))?.split_whitespace().nth(1)?.parse().ok()
    }

    /// What it has written to its log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default()
    }

    /// Where its configuration is.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Already gone is as good as killed.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// `weir run` with what `configure` says for a state directory.
pub(crate) fn weir(configure: impl Fn(&Path) -> String + Send + Sync + 'static) -> Recipe {
    Box::new(move |scratch, state| {
        let config = scratch.join("weir.toml");
        std::fs::write(&config, configure(&state.join("state"))).expect("the scratch directory is writable");
        let mut command = Command::new(program());
        command.args(["run", "--config"]).arg(config);
        command
    })
}

/// The program under test: the one that was built with this, unless `WEIR_PROGRAM` names another one.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("WEIR_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_weir").into(), PathBuf::from)
}
