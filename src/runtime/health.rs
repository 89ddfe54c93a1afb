//! The health board: how every part of the gateway is, since when and why.
//!
//! Invariant: last good and last fault stand side by side; a fault never erases when it last went well.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::Clock;
use crate::model::{Fault, Name, Stamp};

/// A part of the gateway that can be well or not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// A sensor.
    Sensor(Name),
    /// An output.
    Output(Name),
    /// A bridge.
    Bridge(Name),
}

impl Part {
    /// Its name.
    pub fn name(&self) -> &Name {
        match self {
            Part::Sensor(name) | Part::Output(name) | Part::Bridge(name) => name,
        }
    }

    /// `sensor`, `output` or `bridge`.
    pub fn kind(&self) -> &'static str {
        match self {
            Part::Sensor(_) => "sensor",
            Part::Output(_) => "output",
            Part::Bridge(_) => "bridge",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.name())
    }
}

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing known yet.
    Starting,
    /// The last attempt went well.
    Ok,
    /// The last attempt failed, and the next one follows at the usual time.
    Degraded,
    /// Too many attempts failed in a row; it is being reopened with growing pauses.
    Dead,
}

impl State {
    /// The word in topics.
    pub fn word(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Ok => "ok",
            State::Degraded => "degraded",
            State::Dead => "dead",
        }
    }
}

/// Times without a good round that are remembered for each part; the oldest are forgotten.
const HOLES: usize = 16;

/// A time in which a part had to be opened anew, and gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// The last good round before; when it was first looked at, if there was none.
    pub from: Stamp,
    /// The first good round after; nothing while it lasts.
    pub to: Option<Stamp>,
    /// The word of the last fault.
    pub reason: &'static str,
}

/// All that is known of one part.
#[derive(Debug, Clone)]
pub struct Status {
    /// How it is.
    pub state: State,
    /// Since when.
    pub since: Stamp,
    /// How often the state has changed, or what a dead one is dead of.
    pub changes: u64,
    /// When it last went well.
    pub last_good: Option<Stamp>,
    /// The last fault and when.
    pub last_fault: Option<(Fault, Stamp)>,
    /// Faults so far, by their word.
    pub faults: BTreeMap<&'static str, u64>,
    /// Rounds that went well.
    pub good: u64,
    /// Rounds that were skipped because the one before was late.
    pub skipped: u64,
    /// Readings that filters held back.
    pub filtered: u64,
    /// When it was first looked at.
    began: Stamp,
    /// It has been dead since the last good round.
    died: bool,
    /// The last word on it was a strike.
    struck: bool,
    /// The last times without a good round, oldest first.
    holes: VecDeque<Hole>,
    /// What there is to know about it while it is well.
    pub note: Option<String>,
}

impl Status {
    /// The last times in which it was dead, oldest first; the last one may not be over yet.
    pub fn holes(&self) -> impl Iterator<Item = Hole> {
        self.holes.iter().copied().chain(self.hole(None))
    }

    /// The time since the last good round, when it has died in it.
    fn hole(&self, to: Option<Stamp>) -> Option<Hole> {
        let reason = self.last_fault.as_ref().map_or("unknown", |(fault, _)| fault.word());
        self.died.then(|| Hole { from: self.last_good.unwrap_or(self.began), to, reason })
    }

    /// What it is dead of.
    fn death(&self) -> Option<&'static str> {
        self.last_fault.as_ref().filter(|_| self.state == State::Dead).map(|(fault, _)| fault.word())
    }

    /// Notes the end of the hole, if there is one.
    fn revive(&mut self, now: Stamp) {
        self.holes.extend(self.hole(Some(now)));
        self.died = false;
        if self.holes.len() > HOLES {
            self.holes.pop_front();
        }
    }

    fn starting(since: Stamp) -> Self {
        Self {
            state: State::Starting,
            since,
            changes: 0,
            last_good: None,
            last_fault: None,
            faults: BTreeMap::new(),
            good: 0,
            skipped: 0,
            filtered: 0,
            began: since,
            died: false,
            struck: false,
            holes: VecDeque::new(),
            note: None,
        }
    }
}

/// The board that all parts write on.
#[derive(Debug, Clone)]
pub struct Board {
    clock: Clock,
    parts: Arc<Mutex<BTreeMap<Part, Status>>>,
    changes: watch::Sender<u64>,
}

impl Board {
    /// An empty board.
    pub fn new(clock: Clock) -> Self {
        Self { clock, parts: Arc::default(), changes: watch::Sender::new(0) }
    }

    /// The pen for one part; the part is on the board from now on.
    pub fn health(&self, part: Part) -> Health {
        let health = Health { board: self.clone(), part };
        health.change(|_, _| {});
        health
    }

    /// All that is known of `part`.
    pub fn status(&self, part: &Part) -> Option<Status> {
        self.lock(|parts| parts.get(part).cloned())
    }

    /// All parts, in order.
    pub fn all(&self) -> Vec<(Part, Status)> {
        self.lock(|parts| parts.iter().map(|(part, status)| (part.clone(), status.clone())).collect())
    }

    /// Ticks whenever a part changes its state.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// One line for the service manager: how many parts are in which state.
    pub fn summary(&self) -> String {
        let all = self.all();
        let count = |state| all.iter().filter(|(_, status)| status.state == state).count();
        let (ok, starting) = (count(State::Ok), count(State::Starting));
        format!("{ok} ok, {starting} starting, {} degraded, {} dead", count(State::Degraded), count(State::Dead))
    }

    fn lock<T>(&self, act: impl FnOnce(&mut BTreeMap<Part, Status>) -> T) -> T {
        act(&mut self.parts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The pen of one part.
#[derive(Debug, Clone)]
pub struct Health {
    board: Board,
    part: Part,
}

impl Health {
    /// Whose health this is.
    pub fn part(&self) -> &Part {
        &self.part
    }

    /// A round went well.
    pub fn good(&self) {
        self.change(|status, now| {
            status.revive(now);
            status.good += 1;
            status.last_good = Some(now);
            status.struck = false;
            status.state = State::Ok;
        });
    }

    /// It went well, and there is something to know about it.
    pub fn good_but(&self, note: String) {
        self.good();
        self.change(|status, _| status.note = Some(note));
    }

    /// A round failed; the next one follows at the usual time.
    pub fn strike(&self, fault: &Fault) {
        self.fault(fault, State::Degraded);
    }

    /// It failed for good and is being reopened.
    pub fn dead(&self, fault: &Fault) {
        self.fault(fault, State::Dead);
    }

    /// `count` rounds were skipped.
    pub fn skipped(&self, count: u64) {
        self.change(|status, _| status.skipped += count);
    }

    /// Filters held back `count` readings.
    pub fn filtered(&self, count: u64) {
        if count > 0 {
            self.change(|status, _| status.filtered += count);
        }
    }

    fn fault(&self, fault: &Fault, state: State) {
        self.change(|status, now| {
            // The strike that kills is told as a strike and then as the death: count it once.
            let told = status.struck && state == State::Dead;
            let same = status.last_fault.as_ref().is_some_and(|(last, _)| last == fault);
            if !(told && same) {
                *status.faults.entry(fault.word()).or_default() += 1;
            }
            status.last_fault = Some((fault.clone(), now));
            status.died |= state == State::Dead;
            status.struck = state == State::Degraded;
            status.note = None;
            // Strikes of what was opened anew do not bring it back to life.
            status.state = if status.died { State::Dead } else { state };
        });
    }

    fn change(&self, act: impl FnOnce(&mut Status, Stamp)) {
        let now = self.board.clock.now();
        let changed = self.board.lock(|parts| {
            let status = parts.entry(self.part.clone()).or_insert_with(|| Status::starting(now));
            let (before, death) = (status.state, status.death());
            act(status, now);
            if status.state != before {
                status.since = now;
            }
            let changed = status.state != before || status.death() != death;
            status.changes += u64::from(changed);
            changed
        });
        if changed {
            self.board.changes.send_modify(|count| *count += 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_good_and_the_last_fault_stand_side_by_side() {
        let board = Board::new(Clock::system());
        let part = Part::Sensor(Name::new("x").unwrap());
        let health = board.health(part.clone());
        let changes = board.changes();
        health.good();
        health.good();
        health.strike(&Fault::Nack);
        health.dead(&Fault::Nack);
        let status = board.status(&part).unwrap();
        assert_eq!((status.state, status.good), (State::Dead, 2));
        assert!(status.last_good.is_some());
        assert_eq!(status.faults.get("nack"), Some(&1));
        assert_eq!(*changes.borrow(), 3, "starting, ok, degraded, dead are three changes");
        assert_eq!(board.summary(), "0 ok, 0 starting, 0 degraded, 1 dead");
    }

    #[test]
    fn the_dead_stay_dead_until_it_goes_well() {
        let board = Board::new(Clock::system());
        let part = Part::Sensor(Name::new("x").unwrap());
        let health = board.health(part.clone());
        let is = || board.status(&part).map(|status| (status.state, status.changes, status.faults["nack"])).unwrap();
        let round = || (0..3).for_each(|_| health.strike(&Fault::Nack));
        round();
        health.dead(&Fault::Nack);
        assert_eq!(is(), (State::Dead, 2, 3));
        round();
        assert_eq!(is(), (State::Dead, 2, 6), "opened anew, and no better");
        health.dead(&Fault::Nack);
        assert_eq!(is(), (State::Dead, 2, 6), "the strike that kills counts once");
        health.strike(&Fault::Checksum);
        assert_eq!(is(), (State::Dead, 3, 6), "of something else");
        health.good();
        health.strike(&Fault::Nack);
        assert_eq!(is(), (State::Degraded, 5, 7));
    }

    #[test]
    fn times_without_a_good_round_are_remembered_and_bounded() {
        let board = Board::new(Clock::system());
        let part = Part::Sensor(Name::new("x").unwrap());
        let health = board.health(part.clone());
        let holes = || board.status(&part).unwrap().holes().collect::<Vec<_>>();
        health.good();
        health.strike(&Fault::Nack);
        health.good();
        assert_eq!(holes(), [], "one bad round is a strike and no more");
        let last_good = board.status(&part).unwrap().last_good.unwrap();
        health.strike(&Fault::Nack);
        health.dead(&Fault::Nack);
        // It is opened anew, and fails again at the first round.
        health.strike(&Fault::Timeout);
        let open = holes();
        assert_eq!(open, [Hole { from: last_good, to: None, reason: Fault::Timeout.word() }]);
        health.good();
        let closed = holes();
        assert!(closed.len() == 1 && closed[0].from == last_good && closed[0].to.is_some(), "{closed:?}");
        for _ in 0..2 * HOLES {
            health.dead(&Fault::Nack);
            health.good();
        }
        assert_eq!(holes().len(), HOLES);
    }
}
