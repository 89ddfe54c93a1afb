//! Where connections wait until their CONNECT is there: shaking hands, or silent. They have taken no place yet.
//! When the lobby is full the one that has waited longest has to go, so that silence keeps nobody out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

/// Those who wait, in the order in which they came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lobby(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    /// How to end each; not known for the moment in which its task is made.
    tasks: BTreeMap<u64, Option<AbortHandle>>,
}

/// One who waits. It leaves the lobby when this is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    lobby: Lobby,
    number: u64,
}

impl Lobby {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets one more in. If there are `most` already, the first of them goes; says whether that was so.
    pub(crate) fn enter(&self, most: usize) -> (Ticket, bool) {
        let mut waiting = self.waiting();
        let crowded = waiting.tasks.len() >= most;
        if crowded && let Some((_, Some(task))) = waiting.tasks.pop_first() {
            task.abort();
        }
        let number = waiting.next;
        waiting.next += 1;
        waiting.tasks.insert(number, None);
        (Ticket { lobby: self.clone(), number }, crowded)
    }

    /// The task with the ticket of this number can be ended by `task`.
    pub(crate) fn watch(&self, number: u64, task: AbortHandle) {
        match self.waiting().tasks.get_mut(&number) {
            Some(known) => *known = Some(task),
            // It is through already. If it was sent away before its task was known, it finds out when it leaves.
            None => drop(task),
        }
    }
}

impl Ticket {
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Leaves the lobby for a place: from now on nobody is sent away for those who come later. False when that
    /// has happened already.
    pub(crate) fn leave(&self) -> bool {
        self.lobby.waiting().tasks.remove(&self.number).is_some()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_longest_goes_first_and_whoever_is_through_stays() {
        let lobby = Lobby::default();
        let mut guests = Vec::new();
        for number in 0..3 {
            let (ticket, crowded) = lobby.enter(3);
            assert_eq!((ticket.number(), crowded), (number, false));
            let task = tokio::spawn(std::future::pending::<()>());
            lobby.watch(number, task.abort_handle());
            guests.push((ticket, task));
        }
        assert!(guests[0].0.leave());
        let (_fourth, crowded) = lobby.enter(3);
        assert!(!crowded);
        let (_fifth, crowded) = lobby.enter(3);
        assert!(crowded);
        let (second, task) = guests.remove(1);
        assert!(task.await.is_err_and(|error| error.is_cancelled()));
        assert!(!second.leave());
        assert!(guests.iter().all(|(_, task)| !task.is_finished()));
        drop(guests);
        assert_eq!(lobby.waiting().tasks.len(), 2);
    }

    #[test]
    fn a_task_that_is_through_before_it_is_known_leaves_nothing_behind() {
        let lobby = Lobby::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (ticket, _) = lobby.enter(1);
        assert!(ticket.leave());
        lobby.watch(ticket.number(), runtime.spawn(async {}).abort_handle());
        assert!(lobby.waiting().tasks.is_empty());
    }
}
