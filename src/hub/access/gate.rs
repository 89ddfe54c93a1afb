//! Verifying passwords: off the async threads, few at a time, and only for those who are still there.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::failures::Failures;
use super::users::Users;
use crate::hub::places::Places;

/// Passwords verified at once: each takes 19 MiB and a whole core.
const AT_ONCE: usize = 2;
/// Logins that wait for their turn.
const WAITING: usize = 512;

/// Where logins wait for their turn.
#[derive(Debug)]
pub(crate) struct Gate {
    turns: Arc<Semaphore>,
    waiting: Places,
    failures: Mutex<Failures>,
}

/// What came of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    /// The password is this user's.
    Right,
    /// It is not, or there is no such user.
    Wrong,
    /// Its address has failed too often: it has to wait.
    TooOften,
    /// Too many are waiting.
    Busy,
}

impl Default for Gate {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let turns = Arc::new(Semaphore::new(cores.min(AT_ONCE)));
        Self { turns, waiting: Places::default(), failures: Mutex::default() }
    }
}

/// A login under way; it has failed only when it says so.
struct Attempt<'a> {
    gate: &'a Gate,
    address: IpAddr,
    failed: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.gate.failures().leave(self.address, self.failed, Instant::now());
    }
}

impl Gate {
    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Verifies the password of `name`, who comes from `address` (nothing: from this machine, which is trusted to
    /// know its own passwords, or to find out). Dropping the future drops the login out of the queue.
    pub(crate) async fn login(
        &self,
        users: &Arc<Users>,
        name: &str,
        password: &[u8],
        address: Option<IpAddr>,
    ) -> Login {
        let attempt = match address {
            Some(address) if !self.failures().enter(address, Instant::now()) => return Login::TooOften,
            Some(address) => Some(Attempt { gate: self, address, failed: false }),
            None => None,
        };
        let login = self.take_turn(users, name, password).await;
        if let (Some(mut attempt), Login::Wrong) = (attempt, login) {
            attempt.failed = true;
        }
        login
    }

    async fn take_turn(&self, users: &Arc<Users>, name: &str, password: &[u8]) -> Login {
        if users.has_passed(name, password) {
            return Login::Right;
        }
        let Some(_waiting) = self.waiting.take(WAITING) else { return Login::Busy };
        let turn = Arc::clone(&self.turns).acquire_owned().await.expect("the semaphore is never closed");
        // Another device of this user may have been in front.
        if users.has_passed(name, password) {
            return Login::Right;
        }
        let (users, name, password) = (Arc::clone(users), name.to_owned(), password.to_owned());
        let verify = move || {
            let right = users.verify(&name, &password);
            // Kept to here: the work goes on when nobody waits for it any more.
            drop(turn);
            right
        };
        match tokio::task::spawn_blocking(verify).await {
            Ok(true) => Login::Right,
            Ok(false) => Login::Wrong,
            Err(_) => Login::Busy,
        }
    }
}

#[cfg(test)]
impl Gate {
    /// Lets nobody's password be verified until the permit is dropped.
    pub(crate) async fn hold(&self) -> tokio::sync::OwnedSemaphorePermit {
        let all = self.turns.available_permits() as u32;
        Arc::clone(&self.turns).acquire_many_owned(all).await.expect("the semaphore is never closed")
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use super::*;
    use crate::hub::access::users;

    const FAR: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

    fn waits(login: Pin<&mut impl Future<Output = Login>>) -> bool {
        login.poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    fn ann() -> Arc<Users> {
        let dir = tempfile::tempdir().unwrap();
        users::add(&dir.path().join("users"), "ann", b"secret", dir.path()).unwrap();
        Arc::new(Users::read(&dir.path().join("users")).unwrap().0)
    }

    #[tokio::test]
    async fn right_wrong_and_unknown() {
        let (gate, users) = (Gate::default(), ann());
        assert_eq!(gate.login(&users, "ann", b"secret", FAR).await, Login::Right);
        assert_eq!(gate.login(&users, "ann", b"Secret", FAR).await, Login::Wrong);
        assert_eq!(gate.login(&users, "eve", b"secret", FAR).await, Login::Wrong);
        let held = gate.hold().await;
        assert_eq!(gate.login(&users, "ann", b"secret", FAR).await, Login::Right, "remembered: no turn is needed");
        drop(held);
    }

    #[tokio::test]
    async fn a_login_that_nobody_waits_for_leaves_the_queue_and_is_no_failure() {
        let (gate, users) = (Gate::default(), ann());
        let held = gate.hold().await;
        for _ in 0..50 {
            let mut login = Box::pin(gate.login(&users, "ann", b"wrong", FAR));
            assert!(waits(login.as_mut()));
        }
        drop(held);
        assert!(gate.waiting.take(1).is_some(), "nobody waits");
        assert_eq!(gate.login(&users, "ann", b"secret", FAR).await, Login::Right);
    }

    #[tokio::test]
    async fn the_queue_is_bounded() {
        let (gate, users) = (Gate::default(), ann());
        let held = gate.hold().await;
        let mut waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(gate.login(&users, "ann", b"secret", None))).collect();
        for login in &mut waiting {
            assert!(waits(login.as_mut()));
        }
        assert_eq!(gate.login(&users, "ann", b"secret", None).await, Login::Busy);
        drop(held);
        // The first one pays, the others find that it did.
        for login in waiting {
            assert_eq!(login.await, Login::Right);
        }
    }

    #[tokio::test]
    async fn failures_close_an_address_and_not_this_machine() {
        let (gate, users) = (Gate::default(), ann());
        let mut seen = Vec::new();
        for _ in 0..7 {
            seen.push(gate.login(&users, "eve", b"x", FAR).await);
            assert_eq!(gate.login(&users, "eve", b"x", None).await, Login::Wrong);
        }
        assert_eq!(seen.iter().filter(|login| **login == Login::Wrong).count(), 6, "{seen:?}");
        assert_eq!(gate.login(&users, "ann", b"secret", FAR).await, Login::TooOften);
    }
}
