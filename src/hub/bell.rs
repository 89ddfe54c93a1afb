//! Wakes one connection: ringing is cheap, and a ring before the wait is not lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

/// Who follows one owner at most; more do not wait for it.
const FOLLOWERS: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: AtomicBool,
    waker: AtomicWaker,
    /// Somebody follows; looked at without the lock.
    followed: AtomicBool,
    followers: Mutex<Followers>,
}

/// Who is rung when the owner has had its turn.
#[derive(Debug, Default)]
struct Followers {
    bells: Vec<Arc<Bell>>,
    /// The owner is gone and has no more turns.
    closed: bool,
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Ready once for all rings since the last time.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        self.waker.register(context.waker());
        if self.rung.swap(false, Ordering::AcqRel) { Poll::Ready(()) } else { Poll::Pending }
    }

    fn followers(&self) -> MutexGuard<'_, Followers> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rings `follower` once the owner of this bell has had its next turn, or is gone; false when it is gone already,
    /// or too many follow.
    pub(crate) fn follow(&self, follower: &Arc<Bell>) -> bool {
        let mut followers = self.followers();
        let follows = !followers.closed && followers.bells.len() < FOLLOWERS;
        if follows {
            followers.bells.push(Arc::clone(follower));
            self.followed.store(true, Ordering::Release);
        }
        follows
    }

    /// The owner has had its turn.
    pub(crate) fn passed(&self) {
        if self.followed.load(Ordering::Acquire) {
            self.ring_followers(false);
        }
    }

    fn ring_followers(&self, closed: bool) {
        let bells = {
            let mut followers = self.followers();
            followers.closed |= closed;
            self.followed.store(false, Ordering::Release);
            std::mem::take(&mut followers.bells)
        };
        bells.iter().for_each(|bell| bell.ring());
    }
}

/// The bell of a living connection: whoever follows it does not wait for one that is gone.
#[derive(Debug, Default)]
pub(crate) struct OwnBell(pub(crate) Arc<Bell>);

impl Drop for OwnBell {
    fn drop(&mut self) {
        self.0.ring_followers(true);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn is_rung(bell: &Bell) -> bool {
        bell.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn followers_are_rung_once_when_the_owner_has_had_its_turn() {
        let (owner, one, other) = (OwnBell::default(), Arc::new(Bell::default()), Arc::new(Bell::default()));
        owner.0.passed();
        assert!(owner.0.follow(&one) && owner.0.follow(&other));
        assert!(!is_rung(&one) && !is_rung(&other));
        owner.0.passed();
        assert!(is_rung(&one) && is_rung(&other));
        owner.0.passed();
        assert!(!is_rung(&one) && !is_rung(&other));
    }

    #[test]
    fn followers_are_bounded() {
        let (owner, follower) = (OwnBell::default(), Arc::new(Bell::default()));
        assert!((0..FOLLOWERS).all(|_| owner.0.follow(&follower)));
        assert!(!owner.0.follow(&follower), "one too many");
        owner.0.passed();
        assert!(owner.0.follow(&follower));
    }

    #[test]
    fn nobody_waits_for_an_owner_that_is_gone() {
        let (owner, follower) = (OwnBell::default(), Arc::new(Bell::default()));
        let bell = Arc::clone(&owner.0);
        assert!(bell.follow(&follower));
        drop(owner);
        assert!(is_rung(&follower));
        assert!(!bell.follow(&follower), "too late to follow");
    }
}
