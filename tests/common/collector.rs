//! What arrives at a broker, as mosquitto_sub sees it.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

/// One message: topic, then what the format says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) topic: String,
    pub(crate) payload: String,
    /// Value of the user property that tells repeats apart.
    pub(crate) properties: String,
}

/// A subscriber to everything, with a session that outlives outages of the broker. Ended when dropped.
pub(crate) struct Collector {
    child: Child,
    lines: mpsc::Receiver<Arrived>,
    /// All that arrived so far.
    pub(crate) all: Vec<Arrived>,
}

/// How long anything may take to arrive.
const PATIENCE: Duration = Duration::from_secs(40);

impl Collector {
    /// Subscribes to `filter` at QoS 1. What is published after this returns is collected.
    pub(crate) fn start(broker: SocketAddr, filter: &str) -> Self {
        // The first run ends as soon as the session exists, so that nothing is missed.
        let made = Self::command(broker, filter).arg("-E").status();
        assert!(made.expect("mosquitto_sub is installed: scripts/test does it").success());
        Self::resume(broker, filter)
    }

    fn command(broker: SocketAddr, filter: &str) -> Command {
        let (host, port) = (broker.ip().to_string(), broker.port().to_string());
        let mut command = Command::new("mosquitto_sub");
        command.args(["-h", &host, "-p", &port, "-V", "5", "-i", "collector", "-c", "-x", "3600", "-q", "1"]);
        command.args(["-t", filter]);
        command
    }

    /// Comes back to the session that an earlier collector has left behind.
    pub(crate) fn resume(broker: SocketAddr, filter: &str) -> Self {
        let mut child = Self::command(broker, filter)
            .args(["-F", "%t\t%p\t%P"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto_sub has just run");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (send, lines) = mpsc::channel(1 << 16);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let mut parts = line.splitn(3, '\t').map(str::to_owned);
                let mut next = || parts.next().unwrap_or_default();
                let arrived = Arrived { topic: next(), payload: next(), properties: next() };
                if send.blocking_send(arrived).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, all: Vec::new() }
    }

    /// Waits until `enough` says so of all that arrived.
    pub(crate) async fn until(&mut self, what: &str, enough: impl Fn(&[Arrived]) -> bool) {
        while !enough(&self.all) {
            let next = timeout(PATIENCE, self.lines.recv()).await;
            let next = next.unwrap_or_else(|_| panic!("{what} did not arrive; {} others did", self.all.len()));
            self.all.push(next.expect("mosquitto_sub runs"));
        }
    }

    /// Takes what has arrived meanwhile, or arrives in a moment.
    pub(crate) async fn take_what_is_there(&mut self) {
        while let Ok(Some(next)) = timeout(Duration::from_millis(50), self.lines.recv()).await {
            self.all.push(next);
        }
    }

    /// Waits for one message on `topic` with `payload`.
    pub(crate) async fn one(&mut self, topic: &str, payload: &str) {
        let is = |arrived: &Arrived| arrived.topic == topic && arrived.payload == payload;
        self.until(&format!("{payload} on {topic}"), |all| all.iter().any(is)).await;
    }

    /// By topic: the payloads in the order of their first arrival, repeats left out.
    pub(crate) fn firsts(&self) -> HashMap<&str, Vec<&str>> {
        let mut topics: HashMap<&str, Vec<&str>> = HashMap::new();
        for arrived in &self.all {
            let seen = topics.entry(&arrived.topic).or_default();
            if !seen.contains(&arrived.payload.as_str()) {
                seen.push(&arrived.payload);
            }
        }
        topics
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
