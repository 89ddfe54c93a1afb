//! A real mosquitto in the cloud's namespace, and what arrives there.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use crate::world::World;

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with its owner.
pub(crate) struct Owned(pub(crate) Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // Already gone is as good as killed.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub(crate) struct Cloud {
    _broker: Owned,
    _subscriber: Owned,
    arrivals: Receiver<(Instant, u32)>,
    /// Every number in the order of its arrival, repeats too.
    pub(crate) got: Vec<u32>,
    _dir: TempDir,
}

impl Cloud {
    /// A broker, and a subscriber to the numbers.
    pub(crate) fn start(world: &World) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("mosquitto.conf");
        std::fs::write(&config, "listener 1883\nallow_anonymous true\nmax_queued_messages 0\nuser root\n").unwrap();
        let broker = world.at_cloud(program()).arg("-c").arg(&config).stderr(Stdio::null()).spawn().unwrap();
        let broker = Owned(broker);
        let filter = ["-i", "collector", "-q", "1", "-t", "shed/dev/n"];
        let listens = || world.at_cloud("mosquitto_sub").args(filter).arg("-E").stderr(Stdio::null()).status();
        let began = Instant::now();
        while !listens().unwrap().success() {
            assert!(began.elapsed() < PATIENCE, "mosquitto listens");
        }
        let mut subscriber = world.at_cloud("mosquitto_sub").args(filter).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(subscriber.stdout.take().unwrap()).lines();
        let (send, arrivals) = sync_channel(1 << 16);
        std::thread::spawn(move || {
            let numbers = lines.map_while(Result::ok).filter_map(|line| line.parse().ok());
            numbers.map(|number| (Instant::now(), number)).all(|arrival| send.send(arrival).is_ok())
        });
        Self { _broker: broker, _subscriber: Owned(subscriber), arrivals, got: Vec::new(), _dir: dir }
    }

    /// Waits for the next arrival after `since`; gives how long after.
    pub(crate) fn next_after(&mut self, since: Instant) -> Duration {
        loop {
            let (at, number) = self.arrivals.recv_timeout(PATIENCE).expect("something arrives");
            self.got.push(number);
            if at >= since {
                return at.duration_since(since);
            }
        }
    }

    /// Waits for this number.
    pub(crate) fn until(&mut self, last: u32) {
        while !self.got.contains(&last) {
            let arrival = self.arrivals.recv_timeout(PATIENCE);
            self.got.push(arrival.unwrap_or_else(|_| panic!("{last} does not arrive: {:?}", self.got.last())).1);
        }
    }

    /// Waits for so long, during which nothing may arrive: the link is really down.
    pub(crate) fn stays_silent(&mut self, length: Duration) {
        let arrival = self.arrivals.recv_timeout(length);
        assert!(arrival.is_err(), "{arrival:?} came through");
    }

    /// Nothing arrives any more: the link is down.
    pub(crate) fn until_silence(&mut self) {
        while let Ok((_, number)) = self.arrivals.recv_timeout(Duration::from_secs(1)) {
            self.got.push(number);
        }
    }
}

/// Debian keeps daemons out of a user's PATH.
fn program() -> &'static str {
    if Path::new("/usr/sbin/mosquitto").exists() { "/usr/sbin/mosquitto" } else { "mosquitto" }
}
