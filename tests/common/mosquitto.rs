//! A real mosquitto on loopback, as the cloud.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// A broker process with its own directory; killed when dropped.
pub(crate) struct Mosquitto {
    child: Option<Child>,
    dir: TempDir,
    address: SocketAddr,
}

impl Mosquitto {
    /// Starts a broker on a free port. It keeps sessions and queues in a file when it is stopped, so
    /// that [`Mosquitto::stop`] and [`Mosquitto::start_again`] are an outage and not a loss.
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// The same with more lines of `mosquitto.conf`.
    pub(crate) async fn start_with(more: &str) -> Self {
        let dir = tempfile::tempdir().expect("a scratch directory");
        let address = free_address();
        let mut config = format!("listener {} {}\n", address.port(), address.ip());
        writeln!(config, "allow_anonymous true\npersistence true\npersistence_location {}/", dir.path().display())
            .expect("a string");
        writeln!(config, "max_queued_messages 0\nmax_inflight_messages 100\nuser root\n{more}").expect("a string");
        std::fs::write(dir.path().join("mosquitto.conf"), config).expect("the scratch directory is writable");
        let mut broker = Self { child: None, dir, address };
        broker.start_again().await;
        broker
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its directory, for certificates and the like.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// SIGTERM: it saves its sessions and goes.
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        child.wait().expect("it is our child");
    }

    /// Starts it on the same port, with what it has saved.
    pub(crate) async fn start_again(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.dir.path().join("log"));
        let log = log.expect("the scratch directory is writable");
        let config = self.dir.path().join("mosquitto.conf");
        let child = Command::new(program())
            .arg("-c")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file descriptor"))
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("mosquitto is installed: scripts/test does it"));
        let listens = async {
            while TcpStream::connect(self.address).await.is_err() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), listens).await.expect("mosquitto listens within 20 s");
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Already gone is as good as killed.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Debian keeps daemons out of a user's PATH.
fn program() -> &'static str {
    if Path::new("/usr/sbin/mosquitto").exists() { "/usr/sbin/mosquitto" } else { "mosquitto" }
}

/// An address for something that goes and comes back on the same port. Nobody else may take the port
/// meanwhile, or messages would end up there: so each has a loopback address of its own.
pub(crate) fn free_address() -> SocketAddr {
    free_address_on(Ipv4Addr::new(127, fastrand::u8(1..), fastrand::u8(..), fastrand::u8(1..255)))
}

/// A port of this loopback address that is free now.
pub(crate) fn free_address_on(ip: Ipv4Addr) -> SocketAddr {
    let listener = TcpListener::bind((ip, 0)).expect("a free port");
    listener.local_addr().expect("it is bound")
}
