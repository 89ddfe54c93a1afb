//! The gateway as its own process, and what happens to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};

use crate::common::image::Image;
use crate::world::{PATIENCE, RETRY};

/// How it dies.
#[derive(Debug)]
pub(crate) enum Disaster {
    /// SIGKILL.
    Kill,
    /// The power of its disk is cut.
    Cut(Image),
    /// It lives on.
    Nothing,
    /// SIGKILL, and its disk is empty afterwards: no round survives this, or the judge sees nothing.
    Amnesia,
}

#[derive(Debug)]
pub(crate) struct Machine {
    dir: TempDir,
    address: SocketAddr,
    disaster: Disaster,
    child: Child,
}

impl Machine {
    /// Starts a gateway with a hub at `address`, and nothing on its disk.
    pub(crate) async fn start(address: SocketAddr, disaster: Disaster) -> Self {
        let dir = tempfile::tempdir().expect("a scratch directory");
        let state = match &disaster {
            Disaster::Cut(image) => image.path().join("state"),
            _ => dir.path().join("state"),
        };
        let text = format!(
            "[gateway]\nname = \"shed\"\nstate_dir = {state:?}\n[hub]\nlisten = [\"{address}\"]\n\
             [store]\nmax_size = \"16MiB\"\nsegment = \"64KiB\"\n"
        );
        let config = dir.path().join("weir.toml");
        std::fs::write(&config, text).expect("the scratch directory is writable");
        let child = spawn(dir.path());
        let mut machine = Self { dir, address, disaster, child };
        machine.listens().await;
        machine
    }

    /// Waits until the hub accepts connections.
    pub(crate) async fn listens(&mut self) {
        let attempts = async {
            while TcpStream::connect(self.address).await.is_err() {
                if let Some(status) = self.child.try_wait().expect("it is our child") {
                    panic!("the gateway ended, {status}:\n{}", self.log());
                }
                sleep(RETRY).await;
            }
        };
        let listens = timeout(PATIENCE, attempts).await;
        listens.unwrap_or_else(|_| panic!("the gateway does not listen:\n{}", self.log()));
    }

    /// The disaster; then it is started again, and may not listen yet.
    pub(crate) fn crash(&mut self) {
        block_in_place(|| {
            let (child, dir) = (&mut self.child, self.dir.path());
            match &mut self.disaster {
                Disaster::Nothing => return,
                Disaster::Kill => bury(child),
                Disaster::Amnesia => {
                    bury(child);
                    std::fs::remove_dir_all(dir.join("state")).expect("it was there");
                }
                Disaster::Cut(image) => {
                    // Nothing is acknowledged while the power fails.
                    kill_process(Pid::from_child(child), Signal::STOP).expect("it runs");
                    image.cut(|| bury(child)).expect("the power can be cut");
                }
            }
            self.child = spawn(dir);
        });
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(log(self.dir.path())).unwrap_or_default()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Already gone is as good as killed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn bury(child: &mut Child) {
    child.kill().expect("it is our child");
    child.wait().expect("it was killed");
}

fn log(dir: &Path) -> PathBuf {
    dir.join("log")
}

fn spawn(dir: &Path) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(log(dir)).expect("the log can be written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(["run", "--config"]).arg(dir.join("weir.toml"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("weir starts")
}
