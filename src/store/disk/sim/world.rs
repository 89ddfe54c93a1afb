//! What a simulated disk consists of: platter, cache, and the rules of losing.

use std::collections::BTreeMap;
use std::io;
use std::sync::Weak;

use fastrand::Rng;

use super::Faults;
use crate::store::disk::{Flush, Space};

/// What survives or dies as one piece.
const SECTOR: usize = 512;
/// What an SD card may tear as a whole.
const PAGE: usize = 4096;

type Sector = [u8; SECTOR];

/// Calls and bytes since the disk was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of `write_at`.
    pub writes: u64,
    /// Bytes in them.
    pub bytes_written: u64,
    /// Calls of `read_at`.
    pub reads: u64,
    /// Flushes by kind, the skipped ones included.
    pub flushes: BTreeMap<Flush, u64>,
}

#[derive(Default)]
struct Inode {
    platter: Vec<u8>,
    cache: Vec<u8>,
    /// Every version a sector had since the last flush.
    dirty: BTreeMap<usize, Vec<Sector>>,
}

enum Change {
    Create(String, u64),
    Rename(String, String),
    Remove(String),
}

type Names = BTreeMap<String, u64>;

pub(super) struct World {
    pub(super) life: u64,
    pub(super) holder: Weak<()>,
    pub(super) skipped: Vec<Flush>,
    pub(super) faults: Faults,
    pub(super) capacity: u64,
    pub(super) read_only: bool,
    pub(super) counts: Counts,
    /// Changes until the power fails; it is out at 0.
    pub(super) fuse: Option<u32>,
    rng: Rng,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    /// The directory as it is on the platter.
    durable: Names,
    /// The directory as programs see it.
    visible: Names,
    /// What changed since the last directory flush.
    changes: Vec<Change>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            life: 0,
            holder: Weak::new(),
            skipped: Vec::new(),
            faults: Faults::default(),
            capacity: u64::MAX,
            read_only: false,
            counts: Counts::default(),
            fuse: None,
            rng: Rng::with_seed(seed),
            inodes: BTreeMap::new(),
            next_inode: 0,
            durable: Names::new(),
            visible: Names::new(),
            changes: Vec::new(),
        }
    }

    /// This world, if it is mounted writable.
    pub(super) fn changes_allowed(&mut self) -> io::Result<&mut Self> {
        if self.read_only { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(self) }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.visible.keys().cloned().collect()
    }

    pub(super) fn sizes(&self) -> Vec<(String, u64)> {
        self.visible.iter().map(|(name, inode)| (name.clone(), self.inodes[inode].cache.len() as u64)).collect()
    }

    pub(super) fn image(&self) -> Vec<(String, Vec<u8>)> {
        self.visible.iter().map(|(name, inode)| (name.clone(), self.inodes[inode].cache.clone())).collect()
    }

    pub(super) fn find(&self, name: &str) -> io::Result<u64> {
        self.visible.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn create(&mut self, name: &str) -> io::Result<u64> {
        if self.visible.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.next_inode += 1;
        self.inodes.insert(self.next_inode, Inode::default());
        self.visible.insert(name.to_owned(), self.next_inode);
        self.changes.push(Change::Create(name.to_owned(), self.next_inode));
        Ok(self.next_inode)
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let change = Change::Rename(from.to_owned(), to.to_owned());
        self.find(from)?;
        apply(&mut self.visible, &change);
        self.changes.push(change);
        if self.burns() { Err(eio()) } else { Ok(()) }
    }

    pub(super) fn remove(&mut self, name: &str) -> io::Result<()> {
        let change = Change::Remove(name.to_owned());
        self.find(name)?;
        apply(&mut self.visible, &change);
        self.changes.push(change);
        Ok(())
    }

    pub(super) fn space(&self) -> Space {
        Space { free: self.capacity.saturating_sub(self.used()), total: self.capacity }
    }

    fn used(&self) -> u64 {
        self.visible.values().map(|inode| self.inodes[inode].cache.len() as u64).sum()
    }

    fn inode(&mut self, inode: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&inode).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Counts a change; says whether the power fails during it.
    fn burns(&mut self) -> bool {
        self.fuse = self.fuse.map(|calls| calls.saturating_sub(1));
        self.fuse == Some(0)
    }

    /// Whether a call with these odds fails this time.
    fn fails(&mut self, one_in: u32) -> bool {
        one_in > 0 && self.rng.u32(0..one_in) == 0
    }

    pub(super) fn size(&mut self, inode: u64) -> io::Result<u64> {
        Ok(self.inode(inode)?.cache.len() as u64)
    }

    pub(super) fn read(&mut self, inode: u64, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.counts.reads += 1;
        if self.fails(self.faults.read) {
            return Err(eio());
        }
        let cache = &self.inode(inode)?.cache;
        let from = cache.len().min(usize::try_from(at).unwrap_or(usize::MAX));
        let count = buffer.len().min(cache.len() - from);
        buffer[..count].copy_from_slice(&cache[from..from + count]);
        Ok(count)
    }

    pub(super) fn write(&mut self, inode: u64, bytes: &[u8], at: u64) -> io::Result<()> {
        self.counts.writes += 1;
        self.counts.bytes_written += bytes.len() as u64;
        let out = self.burns();
        let fails = self.fails(self.faults.write) || out;
        let kept = if fails && (!out || self.rng.bool()) { self.rng.usize(0..=bytes.len()) } else { bytes.len() };
        let at = usize::try_from(at).map_err(|_| eio())?;
        let file = self.inode(inode)?;
        let end = at + kept;
        if file.cache.len() < end {
            grow(&mut file.cache, end);
        }
        file.cache[at..end].copy_from_slice(&bytes[..kept]);
        for number in at / SECTOR..end.div_ceil(SECTOR) {
            let version = sector(&file.cache, number);
            file.dirty.entry(number).or_default().push(version);
        }
        if fails { Err(eio()) } else { Ok(()) }
    }

    pub(super) fn allocate(&mut self, inode: u64, len: u64) -> io::Result<()> {
        let has = self.size(inode)?;
        if len > has && self.used().saturating_add(len.saturating_sub(has)) > self.capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let len = usize::try_from(len).map_err(|_| eio())?;
        let file = self.inode(inode)?;
        if file.cache.len() < len {
            grow(&mut file.cache, len);
        }
        Ok(())
    }

    /// Counts a flush; says whether it is really carried out.
    fn flushes(&mut self, why: Flush) -> bool {
        *self.counts.flushes.entry(why).or_default() += 1;
        !self.skipped.contains(&why)
    }

    pub(super) fn sync_data(&mut self, inode: u64, why: Flush) -> io::Result<()> {
        if !self.flushes(why) {
            return Ok(());
        }
        if self.burns() {
            return Err(eio());
        }
        let fails = self.fails(self.faults.sync);
        let luck = self.rng.u64(..);
        let file = self.inode(inode)?;
        grow(&mut file.platter, file.cache.len());
        for (number, versions) in std::mem::take(&mut file.dirty) {
            let lands = !fails || (luck.rotate_left(number as u32) & 1) == 0;
            if let Some(version) = versions.last().filter(|_| lands) {
                put(&mut file.platter, number, version);
            }
        }
        if fails { Err(eio()) } else { Ok(()) }
    }

    pub(super) fn sync_dir(&mut self, why: Flush) -> io::Result<()> {
        if !self.flushes(why) {
            return Ok(());
        }
        if self.burns() || self.fails(self.faults.sync) {
            return Err(eio());
        }
        self.durable = self.visible.clone();
        self.changes.clear();
        Ok(())
    }

    pub(super) fn next_life(&mut self) -> u64 {
        self.holder = Weak::new();
        self.fuse = None;
        self.life += 1;
        self.life
    }

    /// A power cut: the cache is gone but for what luck had written already.
    pub(super) fn crash(&mut self, seed: u64) -> u64 {
        let mut rng = Rng::with_seed(seed);
        let kept = std::mem::take(&mut self.changes).into_iter().filter(|_| rng.bool());
        kept.for_each(|change| apply(&mut self.durable, &change));
        self.visible = self.durable.clone();
        let linked: Vec<u64> = self.durable.values().copied().collect();
        self.inodes.retain(|inode, _| linked.contains(inode));
        let tears = rng.u8(0..4) == 0;
        for file in self.inodes.values_mut() {
            file.cut(&mut rng, tears);
        }
        self.next_life()
    }

    pub(super) fn flip(&mut self, seed: u64) -> Option<(String, u64)> {
        let mut rng = Rng::with_seed(seed);
        let names: Vec<(String, u64)> = self.sizes().into_iter().filter(|(_, size)| *size > 0).collect();
        let (name, size) = rng.choice(names)?;
        let at = rng.u64(0..size);
        self.flip_at(&name, at);
        Some((name, at))
    }

    pub(super) fn flip_at(&mut self, name: &str, at: u64) {
        let (Ok(inode), Ok(at)) = (self.find(name), usize::try_from(at)) else { return };
        let bit = 1 << (at % 8);
        let Some(file) = self.inodes.get_mut(&inode) else { return };
        for bytes in [&mut file.platter, &mut file.cache] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bit;
            }
        }
    }
}

impl Inode {
    /// Decides for every unflushed sector which of its versions survives.
    fn cut(&mut self, rng: &mut Rng, tears: bool) {
        if self.platter.len() < self.cache.len() && rng.bool() {
            grow(&mut self.platter, self.cache.len());
        }
        let dirty = std::mem::take(&mut self.dirty);
        let torn = if tears { dirty.keys().next_back().map(|number| number * SECTOR / PAGE) } else { None };
        for (number, versions) in dirty {
            let luck = rng.usize(0..=versions.len());
            if let Some(version) = luck.checked_sub(1).and_then(|index| versions.get(index)) {
                put(&mut self.platter, number, version);
            }
        }
        if let Some(page) = torn {
            let end = self.platter.len().min((page + 1) * PAGE);
            let start = end.min(page * PAGE);
            self.platter[start..end].iter_mut().for_each(|byte| *byte = rng.u8(..));
        }
        self.cache.clone_from(&self.platter);
    }
}

fn apply(names: &mut Names, change: &Change) {
    match change {
        Change::Create(name, inode) => {
            names.insert(name.clone(), *inode);
        }
        Change::Rename(from, to) => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
        Change::Remove(name) => {
            names.remove(name);
        }
    }
}

/// Lengthens with zeros, as `resize` does, but fast without optimisation too.
fn grow(bytes: &mut Vec<u8>, len: usize) {
    if bytes.len() < len {
        let mut longer = vec![0; len];
        longer[..bytes.len()].copy_from_slice(bytes);
        *bytes = longer;
    }
}

fn sector(bytes: &[u8], number: usize) -> Sector {
    let mut version = [0; SECTOR];
    let start = number * SECTOR;
    let end = bytes.len().min(start + SECTOR);
    version[..end - start].copy_from_slice(&bytes[start..end]);
    version
}

/// Puts a sector where the file has room for it; what lies beyond its end is lost.
fn put(bytes: &mut [u8], number: usize, version: &Sector) {
    let start = bytes.len().min(number * SECTOR);
    let end = bytes.len().min(start + SECTOR);
    bytes[start..end].copy_from_slice(&version[..end - start]);
}

fn eio() -> io::Error {
    io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error())
}
