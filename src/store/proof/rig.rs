//! One story: a store on a simulated disk, and everything that can happen to it.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::book::{Book, promise};
use crate::model::Name;
use crate::store::disk::Flush;
use crate::store::disk::sim::{Faults, SimDisk};
use crate::store::engine::Engine;
use crate::store::gap::Gap;
use crate::store::layout::ledger;
use crate::store::past::Waits;
use crate::store::pending::{Cell, MOST};
use crate::store::pump::{Pump, take_ack, take_acks};
use crate::store::settings::{Settings, WhenFull};
use crate::store::types::{ChainKey, Label, Record, Refused, Settle};

/// What kind of story it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Setup {
    /// Flushes that the disk leaves out.
    pub(super) skipped: Vec<Flush>,
    /// EIO and ENOSPC come by chance.
    pub(super) fails: bool,
    /// Bits flip at rest.
    pub(super) rots: bool,
    /// Somebody thins what is full.
    pub(super) thins: bool,
}

pub(super) struct Rig {
    pub(super) rng: Rng,
    pub(super) setup: Setup,
    settings: Settings,
    pub(super) disk: SimDisk,
    pub(super) engine: Engine,
    pub(super) cells: Vec<Arc<Cell>>,
    books: Vec<Book>,
    pub(super) pump: Pump,
    pub(super) now: Duration,
    /// Since when records wait for who thins.
    pub(super) wanted: Option<Duration>,
    /// An error, or rot, may have cost something.
    pub(super) hurt: bool,
    /// The power failed in the middle of something.
    dark: bool,
    /// A recovery that nobody used found damage.
    found_rot: bool,
    records_read: u64,
    /// By chain: the sequence that the first record of this run gets.
    begins: Vec<u64>,
    /// How often it was asked about a label that no record has, and how often the answer was no.
    pub(super) asked: (u32, u32),
}

/// What the records of a story are about: their first byte says it.
fn label(record: &[u8]) -> Option<u64> {
    Some(record.first().map_or(256, |byte| u64::from(*byte)))
}

/// Two of the three chains have labels.
fn labelled(key: &ChainKey) -> Option<Label> {
    (key.queue.as_str() == "cloud").then_some(label)
}

/// Where a story's wall clock begins, in milliseconds since 1970.
const EPOCH_MS: i64 = 1_790_000_000_000;
const OPS_SEGMENTS: [u64; 3] = [16 * 1024, 32 * 1024, 64 * 1024];

fn settings(rng: &mut Rng) -> Settings {
    let segment_size = *rng.choice(&OPS_SEGMENTS).expect("not empty");
    let when_full = if rng.u8(0..4) == 0 { WhenFull::Reject } else { WhenFull::DropOldest };
    Settings {
        dir: std::path::PathBuf::new(),
        max_size: 128 * 1024 + segment_size * rng.u64(4..10),
        segment_size,
        max_loss: Duration::from_secs(1),
        when_full,
        max_commits_per_s: 20,
    }
}

impl Rig {
    pub(super) fn new(seed: u64, setup: Setup) -> Result<Self, String> {
        let mut rng = Rng::with_seed(seed);
        let disk = SimDisk::new(rng.u64(..));
        setup.skipped.iter().for_each(|&kind| disk.skip(kind));
        let mut settings = settings(&mut rng);
        if setup.thins {
            settings.when_full = WhenFull::Thin;
        }
        let engine = Engine::open(Box::new(disk.clone()), settings.clone(), rng.u64(..), Some(EPOCH_MS), labelled)
            .map_err(|e| e.to_string())?;
        let mut rig = Self {
            rng,
            setup,
            settings,
            disk,
            engine,
            cells: Vec::new(),
            books: Vec::new(),
            pump: Pump::new(Duration::ZERO),
            now: Duration::ZERO,
            wanted: None,
            hurt: false,
            dark: false,
            found_rot: false,
            records_read: 0,
            begins: Vec::new(),
            asked: (0, 0),
        };
        rig.chains();
        Ok(rig)
    }

    /// Puts cells before the engine's chains, as a store's handles would.
    fn chains(&mut self) {
        for (queue, class) in [("cloud", 0), ("cloud", 2), ("hub", 3)] {
            self.engine.chain(&ChainKey { queue: Name::new(queue).expect("a name"), class });
        }
        self.books.resize_with(3, Book::default);
        let id = self.engine.id();
        self.books.iter_mut().for_each(|book| book.id = id);
        let most = self.engine.max_record();
        let cell = |chain: &crate::store::engine::Chain| {
            let cell = Cell::new(chain.key.clone(), chain.next(), chain.written, chain.ack, most);
            cell.past(|past| past.clone_from(&chain.past));
            Arc::new(cell)
        };
        self.cells = self.engine.chains.iter().map(cell).collect();
        self.begins = self.engine.chains.iter().map(crate::store::engine::Chain::next).collect();
        if !self.engine.ready() {
            self.cells.iter().for_each(|cell| {
                cell.refuse(Refused::Disk);
            });
        }
    }

    /// The engine's chains may come in another order after a restart; books go by key.
    pub(super) fn book(&mut self, index: usize) -> &mut Book {
        let key = &self.cells[index].key;
        let place = if key.queue.as_str() == "hub" { 2 } else { usize::from(key.class / 2) };
        &mut self.books[place]
    }

    pub(super) fn step(&mut self) -> Result<(), String> {
        match self.rng.u8(0..100) {
            0..=44 => self.offer()?,
            45..=69 => self.turn()?,
            70..=79 => self.read()?,
            80..=91 => self.deliver()?,
            92 => self.thin()?,
            93 => self.restart(true)?,
            94..=95 => self.restart(false)?,
            96 => self.close()?,
            97 => self.tell(),
            98 => self.thin()?,
            _ => self.hurt(),
        }
        self.look()
    }

    pub(super) fn end(&mut self) -> Result<(), String> {
        self.disk.set_faults(Faults::default());
        self.disk.set_capacity(u64::MAX);
        self.restart(true)?;
        self.look()
    }

    fn offer(&mut self) -> Result<(), String> {
        let index = self.rng.usize(0..self.cells.len());
        for _ in 0..self.rng.usize(1..8) {
            let long = self.rng.u8(0..12) == 0;
            let len = if long { self.rng.usize(0..12_000) } else { self.rng.usize(0..400) };
            let bytes = self.random(len);
            let cell = Arc::clone(&self.cells[index]);
            let key = (self.engine.id(), self.engine.start(), cell.with(|state| state.next));
            let mail = Arc::clone(&self.book(index).mail);
            let settle: Settle = Box::new(move |outcome| mail.lock().expect("no panic").push((key, outcome)));
            match cell.offer(bytes.clone(), Some(settle), self.now) {
                Ok((sequence, _)) => {
                    promise!(sequence == key.2, "{sequence} instead of {}", key.2);
                    self.book(index).offered(key, bytes)?;
                }
                Err(full) => promise!(full.record == bytes && full.settle.is_some(), "not given back"),
            }
        }
        Ok(())
    }

    fn random(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.rng.fill(&mut bytes);
        bytes
    }

    /// Some bytes, fewer than `most`.
    pub(super) fn bytes(&mut self, most: usize) -> Vec<u8> {
        let len = self.rng.usize(0..most);
        self.random(len)
    }

    pub(super) fn take_acks(&mut self) {
        take_acks(&mut self.engine, &self.cells);
    }

    fn turn(&mut self) -> Result<(), String> {
        let steps = [5, 5, 60, 60, 300, 300, 1100, 1100, 6000];
        self.now += Duration::from_millis(*self.rng.choice(&steps).expect("not empty"));
        if self.setup.thins {
            return self.turn_and_thin();
        }
        self.turn_now();
        Ok(())
    }

    fn wall_ms(&self) -> Option<i64> {
        Some(EPOCH_MS + self.now.as_millis() as i64)
    }

    pub(super) fn turn_now(&mut self) {
        self.engine.wall_ms = self.wall_ms();
        // The owner comes back as soon as the commit limit allows.
        for _ in 0..4 {
            let next = self.pump.turn(&mut self.engine, &self.cells, self.now);
            match next {
                Some(at) if at <= self.now + Duration::from_millis(50) => self.now = self.now.max(at),
                _ => break,
            }
        }
    }

    pub(super) fn gaps(&self, index: usize) -> Vec<Gap> {
        self.engine.chains[index].gaps.list.clone()
    }

    /// Reads like a handle: memory when the disk cannot have it.
    fn read_from(&mut self, index: usize, from: u64, max: usize) -> Result<u64, String> {
        let start = self.engine.start();
        let cell = Arc::clone(&self.cells[index]);
        let ack = cell.with(|state| state.ack);
        take_ack(&mut self.engine.chains[index], &cell);
        let newest = cell.with(|state| state.read_newest(from, max, start));
        let records = match newest {
            Some(records) => records,
            None => match self.engine.read(index, from.max(ack + 1), max) {
                Ok(records) if records.is_empty() => cell.with(|state| state.read(from.max(state.first()), max, start)),
                Ok(records) => records,
                Err(_) if self.setup.fails => return Ok(from),
                Err(error) => return Err(format!("cannot read: {error}")),
            },
        };
        let (id, gaps, rots) = (self.engine.id(), self.gaps(index), self.setup.rots);
        // At the tail rot and a torn commit look alike: it is counted as damage then, and not told.
        let rotten = rots && (self.found_rot || self.engine.totals.damage > 0);
        let last = records.is_empty() && !rotten;
        let from = from.max(ack + 1);
        self.book(index).read_mail()?;
        if rotten {
            let reached = records.last().map_or(from, |record| record.sequence + 1);
            let written = self.engine.chains[index].written;
            self.book(index).durable.retain(|sequence, _| *sequence <= written || *sequence < reached);
        }
        self.records_read += records.len() as u64;
        records.iter().try_for_each(|record| self.was_expected(index, record))?;
        self.book(index).read(from, &records, (id, start), &gaps, rots, last)?;
        Ok(records.last().map_or(from, |record| record.sequence + 1))
    }

    /// What an earlier run left was not said to be absent.
    fn was_expected(&self, index: usize, record: &Record) -> Result<(), String> {
        let (cell, begins) = (&self.cells[index], self.begins[index]);
        if record.sequence >= begins || record.start == self.engine.start() || labelled(&cell.key).is_none() {
            return Ok(());
        }
        let of = label(&record.bytes).unwrap_or(0);
        let waits = cell.past(|past| past.waits(of, record.sequence - 1, begins));
        promise!(waits != Waits::No, "{} with label {of} waits, and was said to be absent", record.sequence);
        Ok(())
    }

    /// Asks about a label that no record has.
    fn ask(&mut self) {
        for (cell, begins) in self.cells.iter().zip(&self.begins).filter(|(cell, _)| labelled(&cell.key).is_some()) {
            let ack = cell.with(|state| state.ack);
            if ack + 1 < *begins {
                let absent = cell.past(|past| past.waits(1000, ack, *begins)) == Waits::No;
                self.asked = (self.asked.0 + 1, self.asked.1 + u32::from(absent));
            }
        }
    }

    fn read(&mut self) -> Result<(), String> {
        let index = self.rng.usize(0..self.cells.len());
        let from = self.cells[index].with(|state| state.ack + 1);
        let max = self.rng.usize(1..20_000);
        self.read_from(index, from, max).map(drop)
    }

    /// Reads some and acknowledges a part of it.
    fn deliver(&mut self) -> Result<(), String> {
        let index = self.rng.usize(0..self.cells.len());
        let from = self.cells[index].with(|state| state.ack + 1);
        let mut next = from;
        for _ in 0..self.rng.usize(1..4) {
            next = self.read_from(index, next, 30_000)?;
        }
        let upto = if self.rng.bool() { next - 1 } else { self.rng.u64(from - 1..next) };
        if upto >= from {
            self.give_up(index, from, upto);
        }
        let now = self.now;
        self.book(index).acked(upto, now);
        self.cells[index].ack(upto);
        Ok(())
    }

    /// Goes on until the power fails in the middle of something. What fails by that is no broken promise.
    fn work_until_dark(&mut self) -> Result<(), String> {
        self.disk.set_faults(Faults::default());
        self.disk.fail_after(self.rng.u32(1..16));
        for _ in 0..12 {
            match self.rng.u8(0..8) {
                0..=2 => self.offer()?,
                3 => self.thin()?,
                4..=6 => self.turn()?,
                _ => {
                    let index = self.rng.usize(0..self.cells.len());
                    let (ack, next) = self.cells[index].with(|state| (state.ack, state.next));
                    let upto = self.rng.u64(ack..next);
                    let now = self.now;
                    self.book(index).acked(upto, now);
                    self.cells[index].ack(upto);
                }
            }
            if self.disk.is_out() {
                break;
            }
        }
        // What was dark may not have been written in time.
        self.dark |= self.disk.is_out();
        Ok(())
    }

    /// A recovery that a power cut ends.
    fn recover_until_dark(&mut self) {
        self.disk.fail_after(self.rng.u32(1..10));
        let (disk, settings) = (Box::new(self.disk.clone()), self.settings.clone());
        // Whether it opened does not matter: nobody gets to use it.
        let opened = Engine::open(disk, settings, self.rng.u64(..), None, labelled);
        self.found_rot |= opened.is_ok_and(|engine| engine.totals.damage > 0);
        self.disk = self.disk.crash(self.rng.u64(..));
    }

    /// A power cut, or the death of the process alone; sometimes another one during recovery.
    fn restart(&mut self, power: bool) -> Result<(), String> {
        if self.rng.u8(0..4) > 0 {
            self.work_until_dark()?;
        }
        for index in 0..self.cells.len() {
            self.book(index).read_mail()?;
        }
        let quiet = Faults::default();
        self.disk.set_faults(quiet);
        self.disk = if power { self.disk.crash(self.rng.u64(..)) } else { self.disk.kill() };
        while self.rng.u8(0..3) == 0 {
            self.recover_until_dark();
        }
        self.open()?;
        if self.rng.u8(0..4) == 0 {
            // Not even recovery is left alone: what it found has to be there the next time too.
            self.read_all()?;
            self.disk = self.disk.crash(self.rng.u64(..));
            self.open()?;
        }
        self.read_all()?;
        self.found_rot = false;
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let refused = |cell: &Arc<Cell>| cell.with(|state| state.refused);
        let before: Vec<u64> = self.cells.iter().map(refused).collect();
        self.pump.finish(&mut self.engine, &self.cells);
        for (index, before) in before.into_iter().enumerate() {
            let lost = refused(&self.cells[index]) - before;
            let may = self.setup.fails || self.settings.when_full == WhenFull::Reject || self.engine.failing;
            promise!(lost == 0 || may || !self.may_have_more(index), "{lost} not written at close");
        }
        for index in 0..self.cells.len() {
            self.book(index).read_mail()?;
        }
        self.disk.set_faults(Faults::default());
        self.disk = self.disk.kill();
        self.open()?;
        self.read_all()
    }

    /// Whether a chain may have one more segment. If not, one has to be dropped for it, and none is with everything
    /// in flight or all space in more important chains.
    fn may_have_more(&self, index: usize) -> bool {
        let (size, ordinary) = (self.settings.segment_size, |cell: &Arc<Cell>| cell.key.rank() >= 2);
        let all = self.quota() - ledger::SIZE;
        // Ordinary chains leave a tenth of the segments to the others, unless there are few.
        let left = if all / size < 8 { 0 } else { (all / size / 10).max(1) };
        let chains = self.engine.chains.iter().zip(&self.cells).filter(|(_, cell)| ordinary(cell));
        let taken = chains.flat_map(|(chain, _)| &chain.segments).map(|segment| segment.size).sum::<u64>();
        let has_share = !ordinary(&self.cells[index]) || taken + size <= all - left * size;
        has_share && self.engine.used() + size <= self.quota()
    }

    fn open(&mut self) -> Result<(), String> {
        let (disk, settings) = (Box::new(self.disk.clone()), self.settings.clone());
        self.engine = Engine::open(disk, settings, self.rng.u64(..), self.wall_ms(), labelled)
            .map_err(|error| error.to_string())?;
        self.chains();
        self.ask();
        // Five seconds of acknowledgements may be forgotten.
        let window = (!self.hurt && !self.dark).then_some(Duration::from_secs(5));
        self.dark = false;
        let now = self.now;
        for index in 0..self.cells.len() {
            let ack = self.cells[index].with(|state| state.ack);
            self.book(index).reopened(ack, now, window)?;
            self.book(index).id = self.engine.id();
            self.reopened(index)?;
        }
        self.pump = Pump::new(self.now);
        self.wanted = None;
        Ok(())
    }

    /// Everything that has to be there is there, in order.
    fn read_all(&mut self) -> Result<(), String> {
        for index in 0..self.cells.len() {
            let mut from = self.cells[index].with(|state| state.ack + 1);
            let before = self.records_read;
            loop {
                let next = self.read_from(index, from, 20_000)?;
                if next == from {
                    break;
                }
                from = next;
            }
            self.adds_up(index, self.records_read - before)?;
            let ack = self.cells[index].with(|state| state.ack);
            self.engine.chains[index].handed = ack;
            self.book(index).handed = ack;
        }
        Ok(())
    }

    /// What segments may have, with what is kept free for a replacement taken off.
    fn quota(&self) -> u64 {
        self.settings.max_size - if self.setup.thins { self.settings.segment_size } else { 0 }
    }

    fn hurt(&mut self) {
        if self.setup.fails {
            self.hurt = true;
            match self.rng.u8(0..4) {
                0 => self.disk.set_faults(Faults { write: 10, sync: 5, read: 0 }),
                1 => self.disk.set_capacity(self.rng.u64(200_000..600_000)),
                2 => self.disk.set_capacity(u64::MAX),
                _ => self.disk.set_faults(Faults::default()),
            }
        }
        if self.setup.rots {
            self.hurt = true;
            self.disk.flip(self.rng.u64(..));
        }
    }

    /// What holds at every moment.
    fn look(&mut self) -> Result<(), String> {
        let drops = self.settings.when_full != WhenFull::Reject;
        let hurt = self.hurt;
        for index in 0..self.cells.len() {
            let gaps = self.gaps(index);
            let flying = self.book(index).in_flight(&gaps);
            promise!(flying.is_none(), "{flying:?} was dropped in flight");
            self.book(index).read_mail()?;
            self.book(index).gaps(&gaps, drops, hurt)?;
            self.look_at_gaps(index)?;
            let bytes = self.cells[index].with(|state| state.bytes);
            promise!(bytes <= MOST + 70_000, "{bytes} bytes wait in memory");
        }
        let used: u64 = self.disk.sizes().iter().map(|(_, size)| size).sum();
        let quota = self.quota();
        promise!(used <= quota || self.hurt, "{used} bytes of {quota}");
        Ok(())
    }
}
