//! Recovery: from names, the ledger and the last segments. It never fails on damage.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use fastrand::Rng;

use super::labels::{Labels, SCANNED};
use super::scan::{Scan, scan_each};
use super::tail::Tail;
use super::{Engine, FileOf, Orphans, Segment};
use crate::store::disk::{Disk, DiskFile, Flush};
use crate::store::layout::header::{self, Found, Header};
use crate::store::layout::ledger::{self, Ledger, Slot};
use crate::store::layout::name::{DRAFT, LEDGER, SegmentName};
use crate::store::layout::{BLOCK, name};
use crate::store::settings::Settings;
use crate::store::types::{ChainKey, Labelled, OpenError, StoreId, Totals};

/// What the last filled segment of a chain gave.
struct Last {
    scan: Scan,
    file: Box<dyn DiskFile>,
    header: Header,
    labels: Labels,
}

impl Engine {
    /// Locks the disk and recovers. Ids and epochs follow from `seed`; `wall_ms` is what the wall clock
    /// shows, if it can be believed; `labelled` says which chains have labels.
    ///
    /// # Errors
    /// Locked, written by a newer weir, or a directory that cannot be listed. Not on damage.
    pub(crate) fn open(
        disk: Box<dyn Disk>,
        settings: Settings,
        seed: u64,
        wall_ms: Option<i64>,
        labelled: Labelled,
    ) -> Result<Self, OpenError> {
        disk.lock().map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => OpenError::Locked,
            _ => OpenError::Io(error),
        })?;
        let names = disk.list()?;
        let found = read_ledger(&*disk, &names)?;
        let mut engine = Self {
            disk,
            settings,
            labelled,
            rng: Rng::with_seed(seed),
            id: StoreId::default(),
            start: 0,
            ledger: None,
            generation: 0,
            outdated: Vec::new(),
            sure_slot: 1,
            ready: false,
            next_number: 1,
            chains: Vec::new(),
            orphans: Orphans::default(),
            spares: VecDeque::new(),
            condemned: Vec::new(),
            totals: Totals::default(),
            failing: false,
            patient: false,
            begun: 0,
            crowded: false,
            wall_ms,
        };
        engine.take_ledger(found);
        engine.take_segments(&names)?;
        engine.settle_recovery();
        engine.look_back(SCANNED);
        Ok(engine)
    }

    fn take_ledger(&mut self, (ledger, damaged): (Option<(u64, Ledger)>, u64)) {
        self.totals.damage += damaged;
        let Some((slot, ledger)) = ledger else {
            // Start numbers may have been used that no frame tells of: only a new id keeps dedupe keys unique.
            self.id = StoreId(std::array::from_fn(|_| self.rng.u8(..)));
            return;
        };
        (self.id, self.start, self.generation) = (ledger.id, ledger.start, ledger.generation);
        self.sure_slot = slot;
        for entry in ledger.chains {
            if let Some(index) = self.chain(&entry.key) {
                let chain = &mut self.chains[index];
                (chain.ack, chain.gaps) = (entry.ack, entry.gaps);
            }
        }
    }

    /// Sorts the files by chain and age, and looks into the last ones.
    fn take_segments(&mut self, names: &[String]) -> Result<(), OpenError> {
        let mut by_chain: BTreeMap<ChainKey, Vec<SegmentName>> = BTreeMap::new();
        self.remove_drafts(names);
        self.take_spares(names);
        for name in names.iter().filter_map(|text| SegmentName::parse(text)) {
            let turn = name.stands.map_or(0, |stands| stands.turn);
            self.next_number = self.next_number.max(name.number.max(turn) + 1);
            by_chain.entry(name.key.clone()).or_default().push(name);
        }
        let mut acks = Vec::new();
        for (key, mut names) in by_chain {
            names.sort_by_key(|name| (name.number, name.stands.map(|stands| stands.turn)));
            self.leave_out_replaced(&mut names);
            // More chains than a ledger holds cannot have been made; such files are left alone.
            if let Some(index) = self.chain(&key) {
                self.take_chain(index, names, &mut acks)?;
            }
        }
        for (mark, ack) in acks {
            match self.chains.iter_mut().find(|chain| chain.mark == mark) {
                Some(chain) => chain.ack = chain.ack.max(ack),
                None => self.orphans.0.push((mark, ack)),
            }
        }
        Ok(())
    }

    /// What was to take the place of others and did not get so far.
    fn remove_drafts(&mut self, names: &[String]) {
        let drafts =
            names.iter().filter(|text| text.strip_suffix(DRAFT).is_some_and(|it| SegmentName::parse(it).is_some()));
        self.condemned.extend(drafts.map(|name| FileOf { name: name.clone(), size: 0 }));
        self.trim();
    }

    /// What waits for its next use.
    fn take_spares(&mut self, names: &[String]) {
        for text in names {
            if let Some(number) = name::spare_number(text) {
                self.next_number = self.next_number.max(number + 1);
                let size = self.disk.open(text).and_then(|file| file.size()).unwrap_or(0);
                self.retire(FileOf { name: text.clone(), size });
            }
        }
    }

    /// Leaves out what another segment has taken the place of, if that one can be read. That it is still there
    /// may mean that the ledger does not know of it yet.
    fn leave_out_replaced(&mut self, names: &mut Vec<SegmentName>) {
        let all = names.clone();
        let stands = |name: &&SegmentName| name.stands.is_some() && all.iter().any(|old| name.replaces(old));
        let (whole, blank): (Vec<_>, Vec<_>) = all.iter().filter(stands).partition(|name| self.has_header(name));
        names.retain(|name| !blank.contains(&name) && !whole.iter().any(|other| other.replaces(name)));
        let old = all.iter().filter(|name| !names.contains(name));
        self.outdated.extend(old.map(|name| FileOf { name: name.text(), size: 0 }));
    }

    fn has_header(&self, name: &SegmentName) -> bool {
        let mut block = vec![0; BLOCK];
        let read = self.disk.open(&name.text()).and_then(|file| file.read_at(&mut block, 0));
        read.is_ok() && matches!(header::judge(&block, name), Found::Header(_))
    }

    /// Notes what the ledger does not know yet of segments that took the place of others. The ledger of the
    /// new run tells it.
    fn note_replaced(&mut self) {
        let mut newest = self.generation;
        let old: Vec<SegmentName> = self.outdated.iter().filter_map(|file| SegmentName::parse(&file.name)).collect();
        for index in 0..self.chains.len() {
            for position in 0..self.chains[index].segments.len() {
                let name = &self.chains[index].segments[position].name;
                if !old.iter().any(|old| name.replaces(old)) {
                    continue;
                }
                let header = self.header(index, position);
                if let Some(header) = header.filter(|header| header.thinned.generation >= self.generation) {
                    self.note_thinned(index, &header);
                    newest = newest.max(header.thinned.generation);
                }
            }
        }
        // The copy that went with the last power may have been newer: the next one says that it knows of them.
        self.generation = newest;
    }

    fn take_chain(
        &mut self,
        index: usize,
        mut names: Vec<SegmentName>,
        acks: &mut Vec<(u64, u64)>,
    ) -> Result<(), OpenError> {
        let mut last = None;
        while let Some(name) = names.last() {
            last = self.look(index, name)?;
            if last.is_some() {
                break;
            }
            names.pop();
        }
        for (position, name) in names.iter().enumerate() {
            let size = self.disk.open(&name.text()).and_then(|file| file.size()).unwrap_or(0);
            // What follows begins behind everything in it.
            let end = names.get(position + 1).map_or(name.first, |next| next.first).saturating_sub(1);
            self.chains[index].segments.push_back(Segment {
                name: name.clone(),
                size,
                last: end,
                filled: true,
                kept: None,
            });
        }
        if let Some(last) = last {
            self.take_last(index, last, acks);
        }
        Ok(())
    }

    /// Scans a segment; `None` when it holds no frame. Then it goes: by its name it would end the segment before it,
    /// which is written on.
    fn look(&mut self, index: usize, name: &SegmentName) -> Result<Option<Last>, OpenError> {
        let Ok(file) = self.disk.open(&name.text()) else { return Ok(None) };
        let size = file.size().unwrap_or(0);
        let mut block = vec![0; BLOCK];
        // A file too short for a header is as empty as one with a blank header.
        let damaged = file.read_at(&mut block, 0).is_err();
        match header::judge(&block, name) {
            Found::Newer { version, writer } => return Err(OpenError::Newer { version, writer }),
            Found::Header(header) => {
                let mut labels = Labels::new(self.chains[index].label);
                let scan = scan_each(&*file, header.epoch, |frame| labels.note_frame(frame)).unwrap_or_default();
                if scan.unread {
                    labels.give_up();
                }
                if scan.frames > 0 {
                    return Ok(Some(Last { scan, file, header, labels }));
                }
                self.totals.damage += scan.broken;
            }
            Found::Spare => self.totals.damage += u64::from(damaged),
            Found::Damaged => self.totals.damage += 1,
        }
        self.condemned.push(FileOf { name: name.text(), size });
        Ok(None)
    }

    /// Makes the last filled segment the tail again.
    fn take_last(&mut self, index: usize, last: Last, acks: &mut Vec<(u64, u64)>) {
        self.totals.damage += last.scan.broken;
        self.start = self.start.max(last.scan.start);
        acks.extend(&last.scan.acks);
        let chain = &mut self.chains[index];
        chain.ack = chain.ack.max(last.scan.ack);
        chain.written = last.scan.written;
        let Some(segment) = chain.segments.back_mut() else { return };
        segment.last = segment.last.max(chain.written);
        let Last { scan, file, header, labels } = last;
        let tail = Tail::found(Tail::new(file, header.epoch, segment.size, header.footer, labels), scan);
        // A killed run may have left frames in the page cache that were never flushed.
        let synced = tail.blank_filter().and_then(|()| tail.file.sync_data(Flush::Recovered));
        if synced.is_ok() {
            chain.tail = Some(tail);
        }
        let counted = self.flushed(synced);
        self.failing |= counted.is_err();
    }

    /// Frees what is delivered or told, begins the new run, tells what is missing.
    fn settle_recovery(&mut self) {
        self.trim();
        // Names may be in the page cache only, just like frames.
        let synced = self.disk.sync_dir(Flush::Recovered);
        let named = self.flushed(synced).is_ok();
        self.start += 1;
        for chain in &mut self.chains {
            chain.durable = chain.ack;
            chain.handed = chain.ack;
        }
        self.note_replaced();
        // Errors are counted; the owner tries again before the first append.
        if named && self.get_ready().is_ok() {
            self.free_told();
            self.free_acked();
            for index in 0..self.chains.len() {
                let last = self.chains[index].segments.len().saturating_sub(1);
                self.check_tail(index, last);
            }
        }
        self.trim();
    }

    /// A segment that was told as lost and not used again before the run ended stays lost.
    fn free_told(&mut self) {
        for index in 0..self.chains.len() {
            let chain = &self.chains[index];
            let told = |segment: &Segment| {
                // It has sequences of records that are missing, so that only its own count.
                if let Some(stands) = segment.name.stands {
                    return chain.gaps.dropped_with(stands.last);
                }
                let first = segment.name.first.max(chain.ack + 1);
                first <= segment.last && chain.gaps.cover(first, segment.last)
            };
            let positions: Vec<usize> = (0..chain.segments.len()).filter(|&at| told(&chain.segments[at])).collect();
            positions.into_iter().rev().for_each(|position| self.give_up(index, position));
        }
    }
}

/// The newer copy with the slot of the older one, if both are whole, and how many are damaged though something
/// is in them. A killed run may have left the newer one in the page cache only: it is true, but only the older
/// one, flushed before the newer was begun, is on the disk for sure.
fn read_ledger(disk: &dyn Disk, names: &[String]) -> Result<(Option<(u64, Ledger)>, u64), OpenError> {
    if !names.iter().any(|text| text == name::LEDGER) {
        return Ok((None, 0));
    }
    let mut good: Vec<(u64, Ledger)> = Vec::new();
    let mut damaged = 0;
    for slot in 0..2_u64 {
        let mut bytes = vec![0; ledger::SLOT];
        if let Ok(file) = disk.open(LEDGER) {
            damaged += u64::from(file.read_at(&mut bytes, slot * ledger::SLOT as u64).is_err());
        }
        match ledger::judge(&bytes) {
            Slot::Newer { version, writer } => return Err(OpenError::Newer { version, writer }),
            Slot::Good(found) => good.push((slot, found)),
            Slot::Bad => damaged += u64::from(bytes.iter().any(|&byte| byte != 0)),
        }
    }
    good.sort_by_key(|(_, ledger)| ledger.generation);
    let sure = good.first().map(|(slot, _)| *slot);
    Ok((sure.zip(good.pop().map(|(_, newest)| newest)), damaged))
}
