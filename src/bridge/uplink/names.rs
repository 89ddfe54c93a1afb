//! Names to addresses, through a resolver that may hang for as long as it likes.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// Turns a host and a port into addresses; may block for as long as it likes.
pub type Resolve = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// How long we wait for a fresh answer when an old one is known. A resolver that lost its first
/// question on a dead link asks again after 5 s.
const FRESH: Duration = Duration::from_secs(1);

/// Look-ups at once: each holds a thread. More names than these only wait.
const MOST_LOOKUPS: usize = 8;

/// Names whose last addresses are remembered.
const MOST_KNOWN: usize = 32;

type Name = (String, u16);
type Answer = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;

/// Look-ups that run, and what earlier ones found.
pub(super) struct Names {
    resolve: Resolve,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// At most one look-up per name: a resolver that hangs holds one thread, not one per attempt.
    running: HashMap<Name, watch::Receiver<Option<Answer>>>,
    known: HashMap<Name, Vec<SocketAddr>>,
}

impl Names {
    pub(super) fn new(resolve: Resolve) -> Self {
        Self { resolve, state: Mutex::default() }
    }

    /// The addresses of a host. When the resolver fails or hangs, those that it named before.
    ///
    /// # Errors
    /// The resolver's, when nothing is known from before.
    pub(super) async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let name = (host.to_owned(), port);
        let known = self.state().known.get(&name).cloned();
        match known {
            None => self.look_up(name).await,
            Some(known) => match timeout(FRESH, self.look_up(name)).await {
                Ok(Ok(fresh)) => Ok(fresh),
                Ok(Err(_)) | Err(_) => Ok(known),
            },
        }
    }

    async fn look_up(&self, name: Name) -> io::Result<Vec<SocketAddr>> {
        let mut running = self.start(&name)?;
        let answer = running.wait_for(Option::is_some).await.map(|answer| answer.clone());
        let mut state = self.state();
        state.running.remove(&name);
        let Ok(Some(answer)) = answer else { return Err(io::Error::other("the resolver panicked")) };
        let found = answer.map_err(|(kind, why)| io::Error::new(kind, why))?;
        if state.known.len() >= MOST_KNOWN {
            state.known.clear();
        }
        state.known.insert(name, found.clone());
        Ok(found)
    }

    /// The look-up of `name` that runs, or has ended since nobody waited for it any more; else a new one.
    fn start(&self, name: &Name) -> io::Result<watch::Receiver<Option<Answer>>> {
        let mut state = self.state();
        if let Some(running) = state.running.get(name) {
            return Ok(running.clone());
        }
        state.running.retain(|_, running| running.borrow().is_none());
        if state.running.len() >= MOST_LOOKUPS {
            return Err(io::Error::other("too many other names are being looked up"));
        }
        let (told, running) = watch::channel(None);
        let (resolve, (host, port)) = (Arc::clone(&self.resolve), name.clone());
        spawn_blocking(move || {
            let answer = resolve(&host, port).map_err(|error| (error.kind(), error.to_string()));
            told.send_replace(Some(answer));
        });
        state.running.insert(name.clone(), running.clone());
        Ok(running)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 1883))
    }

    #[tokio::test]
    async fn one_name_that_hangs_does_not_hold_up_another_and_is_asked_for_once() {
        let (release, gate) = mpsc::sync_channel::<()>(1);
        let (gate, asked) = (Mutex::new(gate), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&asked);
        let names = Names::new(Arc::new(move |host, _| {
            if host == "slow.example" {
                counted.fetch_add(1, Ordering::Relaxed);
                gate.lock().unwrap().recv().unwrap_err();
            }
            Ok(vec![address(1)])
        }));
        for _ in 0..3 {
            let slow = names.addresses("slow.example", 1883);
            timeout(Duration::from_millis(20), slow).await.unwrap_err();
        }
        assert_eq!(names.addresses("quick.example", 1883).await.unwrap(), [address(1)]);
        drop(release);
        assert_eq!(names.addresses("slow.example", 1883).await.unwrap(), [address(1)]);
        assert_eq!(asked.load(Ordering::Relaxed), 1, "the answer to an earlier question is as good");
    }

    #[tokio::test]
    async fn what_was_found_before_helps_when_the_resolver_does_not() {
        let fails = Arc::new(AtomicUsize::new(1));
        let failing = Arc::clone(&fails);
        let names = Names::new(Arc::new(move |_, _| match failing.load(Ordering::Relaxed) {
            0 => Ok(vec![address(7)]),
            _ => Err(io::Error::other("no answer")),
        }));
        assert!(names.addresses("a.example", 1883).await.unwrap_err().to_string().contains("no answer"));
        fails.store(0, Ordering::Relaxed);
        assert_eq!(names.addresses("a.example", 1883).await.unwrap(), [address(7)]);
        fails.store(1, Ordering::Relaxed);
        assert_eq!(names.addresses("a.example", 1883).await.unwrap(), [address(7)]);
    }

    #[tokio::test]
    async fn look_ups_have_a_bound() {
        let (release, gate) = mpsc::sync_channel::<()>(1);
        let gate = Mutex::new(gate);
        let names = Names::new(Arc::new(move |_, _| {
            gate.lock().unwrap().recv().unwrap_err();
            Ok(vec![])
        }));
        for number in 0..MOST_LOOKUPS {
            let host = format!("{number}.example");
            timeout(Duration::from_millis(5), names.addresses(&host, 1)).await.unwrap_err();
        }
        assert!(names.addresses("one-more.example", 1).await.unwrap_err().to_string().contains("too many"));
        drop(release);
    }
}
