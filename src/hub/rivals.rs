//! Client ids that two devices use: each connection throws the other one out, and its device comes back.
//!
//! A device that lost its link and comes back takes its session over once, and is never delayed. Take-overs that
//! follow each other are a quarrel: it is named, and every further take-over waits longer, so that messages get
//! through between them. A take-over between two addresses counts twice: a device that only has a bad link
//! mostly keeps its address.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::access::Refused;
use super::codec::Reason;
use super::places::Places;

/// Take-overs with longer pauses between them are no quarrel.
const WINDOW: Duration = Duration::from_secs(60);
/// From this score on take-overs are delayed: after three between two addresses, five from the same one.
const QUARREL: u32 = 5;
/// The delay of the first take-over in a quarrel; each one doubles it.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(15);
/// A quarrel is told for so long after its last take-over, and in the log once in this time.
const REMEMBERED: Duration = Duration::from_secs(300);
const LOGGED: Duration = Duration::from_secs(60);
/// Client ids that are watched at once, and connections that are delayed at once.
const MOST: usize = 256;
const MOST_WAITING: usize = 32;

/// Two devices that use the same client id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// The client id.
    pub client_id: String,
    /// Whose connection was thrown out last, and whose took over.
    pub addresses: [SocketAddr; 2],
    /// Take-overs so far.
    pub takeovers: u64,
    /// How long the next take-over has to wait, in milliseconds.
    pub delay_ms: u64,
}

#[derive(Debug)]
struct Case {
    score: u32,
    takeovers: u64,
    last: Instant,
    delay: Duration,
    between: [SocketAddr; 2],
    logged: Option<Instant>,
    /// A connection waits for its turn.
    waiting: bool,
}

/// All client ids whose sessions were taken over lately.
#[derive(Debug, Default)]
pub(crate) struct Rivals {
    cases: Mutex<HashMap<Arc<str>, Case>>,
    waiting: Places,
}

/// A connection that waits for its turn; dropping it lets the next one wait.
struct Turn<'a>(&'a Rivals, &'a str);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(case) = self.0.lock().get_mut(self.1) {
            case.waiting = false;
        }
    }
}

impl Case {
    fn new(between: [SocketAddr; 2], now: Instant) -> Self {
        Self { score: 0, takeovers: 0, last: now, delay: Duration::ZERO, between, logged: None, waiting: false }
    }

    /// Whether a take-over now belongs to those before.
    fn goes_on(&self, now: Instant) -> bool {
        now.duration_since(self.last) <= WINDOW + self.delay
    }

    fn is_quarrel(&self) -> bool {
        self.score >= QUARREL
    }
}

impl Rivals {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Case>> {
        self.cases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection from `by` has taken the session over from that of `from`, which was still there.
    pub(crate) fn took_over(&self, client_id: &Arc<str>, from: SocketAddr, by: SocketAddr, now: Instant) {
        let mut cases = self.lock();
        if cases.len() >= MOST && !cases.contains_key(client_id) {
            let oldest = cases.iter().min_by_key(|(_, case)| case.last).map(|(id, _)| Arc::clone(id));
            oldest.and_then(|id| cases.remove(&id));
        }
        let case = cases.entry(Arc::clone(client_id)).or_insert_with(|| Case::new([from, by], now));
        if !case.goes_on(now) {
            (case.score, case.delay) = (0, Duration::ZERO);
        }
        case.score = case.score.saturating_add(if from.ip() == by.ip() { 1 } else { 2 });
        case.takeovers += 1;
        (case.last, case.between) = (now, [from, by]);
        if !case.is_quarrel() {
            return;
        }
        case.delay = (case.delay * 2).clamp(SHORTEST, LONGEST);
        let (takeovers, loud) = (case.takeovers, case.logged.is_none_or(|at| now.duration_since(at) >= LOGGED));
        if loud {
            case.logged = Some(now);
        }
        drop(cases);
        if loud {
            tracing::warn!(%client_id, one = %from, other = %by, takeovers, "two devices use the same client id: each throws the other out");
        }
    }

    /// Waits until a take-over of this session is in turn: at once, unless there is a quarrel.
    ///
    /// # Errors
    /// Another connection waits for this session already, or too many wait.
    pub(crate) async fn turn(&self, client_id: &str, longest: Duration) -> Result<(), Refused> {
        let busy = Refused { reason: Reason::SERVER_BUSY, why: "other devices use this client id" };
        let delay = {
            let mut cases = self.lock();
            let Some(case) = cases.get_mut(client_id) else { return Ok(()) };
            if case.delay.min(longest).is_zero() || !case.goes_on(Instant::now()) {
                return Ok(());
            }
            if std::mem::replace(&mut case.waiting, true) {
                return Err(busy);
            }
            case.delay.min(longest)
        };
        let _turn = Turn(self, client_id);
        let _place = self.waiting.take(MOST_WAITING).ok_or(busy)?;
        sleep(delay).await;
        Ok(())
    }

    /// The quarrels of now.
    pub(crate) fn list(&self) -> Vec<Duplicate> {
        let now = Instant::now();
        let mut cases = self.lock();
        cases.retain(|_, case| case.waiting || now.duration_since(case.last) < REMEMBERED);
        let quarrels = cases.iter().filter(|(_, case)| case.is_quarrel());
        let duplicate = |(id, case): (&Arc<str>, &Case)| Duplicate {
            client_id: id.to_string(),
            addresses: case.between,
            takeovers: case.takeovers,
            delay_ms: case.delay.as_millis() as u64,
        };
        quarrels.map(duplicate).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    const A: &str = "192.0.2.1:1000";
    const B: &str = "192.0.2.2:2000";

    fn quarrel(rivals: &Rivals, id: &str, one: &str, other: &str) {
        rivals.took_over(&id.into(), address(one), address(other), Instant::now());
    }

    async fn turn(rivals: &Rivals, id: &str) -> u64 {
        let began = Instant::now();
        rivals.turn(id, LONGEST).await.unwrap();
        began.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn two_devices_are_slowed_down_more_and_more() {
        let rivals = Rivals::default();
        let mut delays = Vec::new();
        for round in 0..10 {
            delays.push(turn(&rivals, "twin").await);
            let (one, other) = if round % 2 == 0 { (A, B) } else { (B, A) };
            quarrel(&rivals, "twin", one, other);
        }
        assert_eq!(delays, [0, 0, 0, 1, 2, 4, 8, 15, 15, 15]);
        let addresses = [address(B), address(A)];
        let wanted = Duplicate { client_id: "twin".into(), addresses, takeovers: 10, delay_ms: 15_000 };
        assert_eq!(rivals.list(), [wanted]);
        assert_eq!(turn(&rivals, "other").await, 0, "nobody else waits");
        // They have made peace: the next reconnect is one like any other, and the case is forgotten.
        sleep(WINDOW + LONGEST + Duration::from_secs(1)).await;
        assert_eq!(turn(&rivals, "twin").await, 0);
        sleep(REMEMBERED).await;
        assert_eq!(rivals.list(), []);
        assert!(rivals.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn one_device_that_comes_back_never_waits() {
        let rivals = Rivals::default();
        for _ in 0..50 {
            assert_eq!(turn(&rivals, "roamer").await, 0);
            quarrel(&rivals, "roamer", A, B);
            sleep(WINDOW + Duration::from_secs(1)).await;
        }
        for _ in 0..4 {
            assert_eq!(turn(&rivals, "shaky").await, 0);
            quarrel(&rivals, "shaky", A, "192.0.2.1:1001");
            sleep(Duration::from_secs(2)).await;
        }
        assert_eq!(rivals.list(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn one_waits_for_a_session_and_few_in_all() {
        let rivals = Arc::new(Rivals::default());
        for number in 0..=MOST_WAITING {
            (0..3).for_each(|_| quarrel(&rivals, &number.to_string(), A, B));
        }
        let mut waiting = Vec::new();
        for number in 0..MOST_WAITING {
            let rivals = Arc::clone(&rivals);
            waiting.push(tokio::spawn(async move { rivals.turn(&number.to_string(), LONGEST).await }));
        }
        tokio::task::yield_now().await;
        assert_eq!(rivals.turn("0", LONGEST).await.unwrap_err().reason, Reason::SERVER_BUSY);
        assert_eq!(rivals.turn(&MOST_WAITING.to_string(), LONGEST).await.unwrap_err().reason, Reason::SERVER_BUSY);
        // One that gives up makes room.
        waiting.pop().unwrap().abort();
        tokio::task::yield_now().await;
        rivals.turn(&MOST_WAITING.to_string(), LONGEST).await.unwrap();
        for turn in waiting {
            turn.await.unwrap().unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn few_client_ids_are_watched() {
        let rivals = Rivals::default();
        for number in 0..2 * MOST {
            quarrel(&rivals, &number.to_string(), A, B);
        }
        assert_eq!(rivals.lock().len(), MOST);
    }
}
