//! The two brokers, each in its own process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use weir::hub::{Hub, Limits, Settings};
use weir::model::Name;

/// Messages in flight to one subscriber, the same for both brokers.
const IN_FLIGHT: u16 = 100;

pub(crate) struct Broker {
    name: &'static str,
    pub(crate) address: SocketAddr,
    child: Child,
    /// mosquitto's configuration lives as long as it.
    _config: Option<tempfile::NamedTempFile>,
}

impl Broker {
    /// This program again, as a broker.
    pub(crate) fn weir() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { name: "weir", address: line.trim().parse().unwrap(), child, _config: None }
    }

    /// mosquitto without limits that would make it drop messages.
    pub(crate) fn mosquitto() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut config = tempfile::NamedTempFile::new().unwrap();
        let port = address.port();
        write!(
            config,
            "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n\
             max_inflight_messages {IN_FLIGHT}\nset_tcp_nodelay true\nlog_type none\n"
        )
        .unwrap();
        let mut command = Command::new("mosquitto");
        let child = command.arg("-c").arg(config.path()).stdin(Stdio::null()).spawn().expect("mosquitto is installed");
        while TcpStream::connect(address).is_err() {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Self { name: "mosquitto", address, child, _config: Some(config) }
    }

    /// Resident memory at its highest.
    pub(crate) fn memory(&self) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = |key| status.lines().find(|line| line.starts_with(key)).unwrap_or(key).replace('\t', " ");
        format!("{:10} {}  {}", self.name, line("VmRSS"), line("VmHWM"))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs the hub until standard input ends.
pub(crate) async fn serve() {
    let settings = Settings {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        limits: Limits { in_flight: IN_FLIGHT, ..Limits::default() },
        ..Settings::new(Name::new("bench").unwrap())
    };
    let hub = Hub::start(settings, CancellationToken::new()).await.unwrap();
    let mut out = std::io::stdout();
    writeln!(out, "{}", hub.local_addrs()[0]).unwrap();
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await.unwrap().unwrap();
}
