//! The gateway as its own process, as users run it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// A gateway process; killed when dropped.
pub(crate) struct Weir {
    child: Child,
    config: PathBuf,
    address: SocketAddr,
}

impl Weir {
    /// Starts `weir run` on `config` and waits until its hub at `address` accepts connections.
    pub(crate) async fn start(config: &Path, address: SocketAddr) -> Self {
        let weir = Self { child: spawn(config), config: config.to_owned(), address };
        weir.wait().await;
        weir
    }

    async fn wait(&self) {
        let reachable = async {
            while TcpStream::connect(self.address).await.is_err() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), reachable).await.expect("the gateway listens within 20 s");
    }

    /// SIGKILL, then the same again at once.
    pub(crate) async fn kill_and_start(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it was killed");
        self.child = spawn(&self.config);
        self.wait().await;
    }

    /// Where its hub listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// SIGHUP.
    pub(crate) fn hang_up(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("it runs");
    }

    /// SIGTERM; gives the exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        self.child.wait().expect("it is our child").code()
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        // Already gone is as good as killed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn spawn(config: &Path) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(config.with_extension("log"));
    Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["run", "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log.expect("the log can be written"))
        .spawn()
        .expect("weir starts")
}
