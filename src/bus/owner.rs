//! One owner per bus: whoever wants a transaction waits in line, and one worker carries it out.
//!
//! Invariants:
//! - At most one transaction of a bus runs at a time, callers are served in the order they came,
//!   and a caller that is dropped leaves nothing behind but the transaction that runs already.
//! - A transaction that outlives its deadline costs the worker: it is abandoned and replaced.
//!   At most one worker is abandoned at a time; when its replacement hangs too, the bus is dead
//!   until one of them returns.
//! - The device whose transaction hangs is refused until the abandoned worker is back.
//! - Nothing runs in the background: deadlines are watched by whoever is next in line.
//!
//! The line holds at most one caller for each open device, because devices lend themselves mutably.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::breaker::Breaker;
use super::tally::Tally;
use crate::model::Fault;

/// What a worker does for one transaction; tells the fault, if there was one.
type Work<B> = Box<dyn FnOnce(&mut B) -> Option<Fault> + Send>;

/// One transaction on its way to the worker of a `B`.
pub(super) struct Job<B> {
    work: Work<B>,
    done: oneshot::Sender<Option<Fault>>,
}

impl<B> Job<B> {
    /// Carries the transaction out; the caller learns of it when [`Finished::tell`] is called.
    pub(super) fn run(self, bus: &mut B) -> Finished {
        Finished { fault: (self.work)(bus), done: self.done }
    }
}

/// A transaction that has been carried out.
pub(super) struct Finished {
    fault: Option<Fault>,
    done: oneshot::Sender<Option<Fault>>,
}

impl Finished {
    /// Lets the caller go on. A caller that has left is no fault.
    pub(super) fn tell(self) {
        self.done.send(self.fault).ok();
    }
}

/// Starts a worker that serves jobs until their sender is gone.
pub(super) type Start<B> = Box<dyn Fn(mpsc::Receiver<Job<B>>) -> Result<(), Fault> + Send + Sync>;

/// The owner of one bus, whose worker holds a `B`.
pub struct Owner<B> {
    deadline: Duration,
    start: Start<B>,
    line: Mutex<Line<B>>,
    tally: Arc<Tally>,
}

/// What the caller at the head of the line holds.
struct Line<B> {
    worker: Option<mpsc::Sender<Job<B>>>,
    running: Option<Running>,
    abandoned: Option<Running>,
    breakers: BTreeMap<u32, Breaker>,
}

/// A transaction that a worker has been given.
struct Running {
    device: u32,
    until: Instant,
    done: oneshot::Receiver<Option<Fault>>,
}

/// How a running transaction ended.
enum End {
    Finished,
    Panicked,
    Abandoned,
    Dead,
}

impl<B: 'static> Owner<B> {
    /// An owner whose workers are made by `start`; a transaction may take `deadline`.
    pub(super) fn new(deadline: Duration, start: Start<B>) -> Self {
        let line = Line { worker: None, running: None, abandoned: None, breakers: BTreeMap::new() };
        Self { deadline, start, line: Mutex::new(line), tally: Arc::new(Tally::default()) }
    }

    /// What has happened on this bus so far.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Carries out `work` for `device`, alone on the bus, within the deadline.
    ///
    /// # Errors
    /// What `work` answers; [`Fault::Timeout`] when it does not return in time or when its device
    /// was too slow too often; [`Fault::Wedged`] when the device or the whole bus hangs.
    pub async fn transact<R: Send + 'static>(
        &self,
        device: u32,
        work: impl FnOnce(&mut B) -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Fault> {
        let mut line = self.line.lock().await;
        let outcome = self.take_turn(&mut line, device, work).await;
        self.tally.note(&outcome);
        outcome
    }

    async fn take_turn<R: Send + 'static>(
        &self,
        line: &mut Line<B>,
        device: u32,
        work: impl FnOnce(&mut B) -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Fault> {
        // A caller that was dropped may have left its transaction running.
        if let End::Dead = self.settle(line).await {
            return Err(Fault::Wedged);
        }
        line.admit(device)?;
        let (answer, mut answered) = oneshot::channel();
        let work = Box::new(move |bus: &mut B| {
            let result = work(bus);
            let fault = result.as_ref().err().cloned();
            // Nobody listens any more when the caller has been dropped.
            answer.send(result).ok();
            fault
        });
        self.hand_over(line, device, work)?;
        match self.settle(line).await {
            End::Finished => answered.try_recv().unwrap_or(Err(Fault::Panicked)),
            End::Panicked => Err(Fault::Panicked),
            End::Abandoned | End::Dead => Err(Fault::Timeout),
        }
    }

    fn hand_over(&self, line: &mut Line<B>, device: u32, work: Work<B>) -> Result<(), Fault> {
        let (done, finished) = oneshot::channel();
        if line.worker.is_none() {
            let (jobs, queue) = mpsc::channel(1);
            (self.start)(queue)?;
            line.worker = Some(jobs);
        }
        let worker = line.worker.as_ref().expect("started above");
        if worker.try_send(Job { work, done }).is_err() {
            line.worker = None;
            return Err(Fault::Panicked);
        }
        line.running = Some(Running { device, until: Instant::now() + self.deadline, done: finished });
        Ok(())
    }

    /// Waits until the worker is idle, at most until the deadline of what it does.
    async fn settle(&self, line: &mut Line<B>) -> End {
        let Some(running) = line.running.as_mut() else { return End::Finished };
        match timeout_at(running.until, &mut running.done).await {
            Ok(Ok(fault)) => {
                self.tally.dead(false);
                line.finished(fault)
            }
            Ok(Err(_)) => {
                line.running = None;
                line.worker = None;
                End::Panicked
            }
            Err(_) => self.abandon(line),
        }
    }

    /// Gives up the worker, unless an older one is still away.
    fn abandon(&self, line: &mut Line<B>) -> End {
        if line.someone_is_away() {
            self.tally.dead(true);
            return End::Dead;
        }
        self.tally.dead(false);
        self.tally.abandoned();
        line.worker = None;
        line.abandoned = line.running.take();
        if let Some(gone) = &line.abandoned {
            line.breakers.entry(gone.device).or_default().slow(Instant::now());
        }
        End::Abandoned
    }
}

impl<B> Line<B> {
    fn finished(&mut self, fault: Option<Fault>) -> End {
        if let Some(running) = self.running.take() {
            let breaker = self.breakers.entry(running.device).or_default();
            match fault {
                Some(Fault::Timeout) => breaker.slow(Instant::now()),
                _ => breaker.answered(),
            }
        }
        End::Finished
    }

    /// Whether the abandoned worker has not returned yet.
    fn someone_is_away(&mut self) -> bool {
        let away = self
            .abandoned
            .as_mut()
            .is_some_and(|gone| gone.done.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        if !away {
            self.abandoned = None;
        }
        away
    }

    fn admit(&mut self, device: u32) -> Result<(), Fault> {
        if self.someone_is_away() && self.abandoned.as_ref().is_some_and(|gone| gone.device == device) {
            return Err(Fault::Wedged);
        }
        match self.breakers.get(&device) {
            Some(breaker) if !breaker.admits(Instant::now()) => Err(Fault::Timeout),
            _ => Ok(()),
        }
    }
}

/// Workers that are OS threads called `name`, each with a `B` of its own.
pub(super) fn threads<B: Send + 'static>(name: String, make: impl Fn() -> B + Send + Sync + 'static) -> Start<B> {
    Box::new(move |mut jobs: mpsc::Receiver<Job<B>>| {
        let mut bus = make();
        let serve = move || {
            while let Some(job) = jobs.blocking_recv() {
                job.run(&mut bus).tell();
            }
        };
        let started = std::thread::Builder::new().name(name.clone()).spawn(serve);
        started.map(drop).map_err(|error| Fault::Bus(format!("cannot start the thread {name}: {error}")))
    })
}
