//! The brokers, each in its own process, and what the kernel says of them.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::park_timeout;
use std::time::Duration;

use tempfile::TempDir;

/// Messages in flight to one subscriber, the same for all brokers.
pub(crate) const IN_FLIGHT: u16 = 100;
/// Clock ticks in a second, as user programs see them on every Linux (USER_HZ).
const TICKS: u64 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Weir,
    Mosquitto,
    Rumqttd,
}

pub(crate) const KINDS: [Kind; 3] = [Kind::Weir, Kind::Mosquitto, Kind::Rumqttd];

/// A broker process; ended when dropped.
pub(crate) struct Broker {
    kind: Kind,
    pub(crate) address: SocketAddr,
    child: Child,
    /// Configuration and state.
    dir: TempDir,
}

impl Broker {
    /// Starts one with nothing in it and waits until it accepts connections.
    pub(crate) fn start(kind: Kind) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config"), configuration(kind, address, dir.path())).unwrap();
        let child = spawn(kind, address, dir.path());
        let broker = Self { kind, address, child, dir };
        broker.wait();
        broker
    }

    /// The same after SIGKILL, with what it has kept.
    pub(crate) fn kill_and_start(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(self.kind, self.address, self.dir.path());
        self.wait();
    }

    fn wait(&self) {
        while TcpStream::connect(self.address).is_err() {
            park_timeout(Duration::from_millis(1));
        }
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        resident_kib(self.child.id())
    }

    /// User and system time so far, in microseconds.
    pub(crate) fn cpu_us(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The program's name may hold blanks: count behind it. Fields 14 and 15 of proc_pid_stat(5).
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 1_000_000 / TICKS
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// No limits that would make a broker drop messages or refuse connections.
fn configuration(kind: Kind, address: SocketAddr, dir: &Path) -> String {
    let port = address.port();
    match kind {
        Kind::Weir => format!(
            "[gateway]\nname = \"bench\"\nstate_dir = {:?}\n[hub]\nlisten = [\"{address}\"]\n\
             [hub.limits]\nconnections = 10000\nsessions = 10000\nin_flight = {IN_FLIGHT}\n",
            dir.join("state")
        ),
        Kind::Mosquitto => format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n\
             max_inflight_messages {IN_FLIGHT}\nset_tcp_nodelay true\nlog_type none\n"
        ),
        Kind::Rumqttd => String::new(),
    }
}

fn spawn(kind: Kind, address: SocketAddr, dir: &Path) -> Child {
    let config = dir.join("config");
    let mut command = match kind {
        Kind::Weir => Command::new(program()),
        Kind::Mosquitto => Command::new("mosquitto"),
        Kind::Rumqttd => Command::new(std::env::current_exe().unwrap()),
    };
    match kind {
        Kind::Weir => command.args(["run", "--config"]).arg(config),
        Kind::Mosquitto => command.arg("-c").arg(config),
        Kind::Rumqttd => command.arg("serve-rumqttd").arg(address.to_string()),
    };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| panic!("{kind:?} does not start: {error}"))
}

/// Runs rumqttd for ever. Its log is large enough for one case: it throws old messages away.
pub(crate) fn serve_rumqttd(address: &str) {
    let connections = rumqttd::ConnectionSettings {
        connection_timeout_ms: 60_000,
        max_payload_size: 1 << 20,
        max_inflight_count: IN_FLIGHT.into(),
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let server = rumqttd::ServerSettings {
        name: "v4".into(),
        listen: address.parse().unwrap(),
        tls: None,
        next_connection_delay_ms: 1,
        connections,
    };
    let router = rumqttd::RouterConfig {
        max_connections: 10_010,
        max_outgoing_packet_count: 200,
        max_segment_size: 32 << 20,
        max_segment_count: 10,
        ..rumqttd::RouterConfig::default()
    };
    let v4 = Some(std::collections::HashMap::from([("1".to_owned(), server)]));
    let ended = rumqttd::Broker::new(rumqttd::Config { v4, router, ..rumqttd::Config::default() }).start();
    panic!("rumqttd ended: {ended:?}");
}

/// The program under test: the one that was built with this, unless `WEIR_PROGRAM` names another one.
fn program() -> OsString {
    std::env::var_os("WEIR_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_weir").into())
}

/// The whole gateway with all demo sensors: its resident memory in KiB after a while.
pub(crate) fn demo_resident_kib(settles: Duration) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let state = format!("{:?}", dir.path().join("state"));
    let text = include_str!("../../config/demo.toml");
    let text = text.replace("127.0.0.1:1883", &address.to_string()).replace("\"weir-data\"", &state);
    std::fs::write(dir.path().join("config"), text).unwrap();
    let child = spawn(Kind::Weir, address, dir.path());
    let broker = Broker { kind: Kind::Weir, address, child, dir };
    broker.wait();
    std::thread::park_timeout(settles);
    broker.resident_kib()
}
