//! A simulated disk that loses, tears, reorders and rots on purpose, the same way for the same seed.
//!
//! What was written but not flushed lives in a cache. [`SimDisk::crash`] is a power cut: of every
//! unflushed 512-byte sector an arbitrary version survives, of the unflushed directory changes an
//! arbitrary subset, and a 4 kB page that was being written may be garbage as a whole (SD cards do
//! that). [`SimDisk::kill`] is the death of the process alone: the cache survives.

mod world;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile, Flush, Space};
pub use world::Counts;
use world::World;

/// Errors that come by chance; each is "one in so many calls", 0 for never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// A write fails with EIO and leaves an unknown part of itself.
    pub write: u32,
    /// A flush fails with EIO: an unknown part is on the disk, and the rest counts as clean.
    pub sync: u32,
    /// A read fails with EIO.
    pub read: u32,
}

/// A disk in memory; clones are handles to the same disk, and each may hold its lock.
pub struct SimDisk {
    world: Arc<Mutex<World>>,
    /// The life of the machine this handle belongs to; a crash begins the next one.
    life: u64,
    /// Who this handle is to the lock.
    holder: Arc<()>,
}

impl Clone for SimDisk {
    fn clone(&self) -> Self {
        Self::of(Arc::clone(&self.world), self.life)
    }
}

impl SimDisk {
    /// An empty disk; everything by chance on it follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self::of(Arc::new(Mutex::new(World::new(seed))), 0)
    }

    fn of(world: Arc<Mutex<World>>, life: u64) -> Self {
        Self { world, life, holder: Arc::new(()) }
    }

    /// Cuts the power: every handle so far fails from here on. Returns the disk as it comes back.
    pub fn crash(&self, seed: u64) -> Self {
        let life = self.world().crash(seed);
        Self::of(Arc::clone(&self.world), life)
    }

    /// Kills the process: every handle so far fails, unflushed writes stay in the cache.
    pub fn kill(&self) -> Self {
        let life = self.world().next_life();
        Self::of(Arc::clone(&self.world), life)
    }

    /// Lets the power fail in the middle of the `calls`-th change from now: that write, rename or
    /// flush, and every call after it, fails, until [`SimDisk::crash`] or [`SimDisk::kill`] brings
    /// the disk back.
    pub fn fail_after(&self, calls: u32) {
        self.world().fuse = Some(calls);
    }

    /// Whether the power failed as [`SimDisk::fail_after`] wanted it.
    pub fn is_out(&self) -> bool {
        self.world().fuse == Some(0)
    }

    /// From now on all flushes do nothing and say that they did.
    pub fn never_sync(&self) {
        self.world().skipped = Flush::ALL.to_vec();
    }

    /// From now on flushes of one kind do nothing and say that they did.
    pub fn skip(&self, kind: Flush) {
        self.world().skipped.push(kind);
    }

    /// Sets how often calls fail.
    pub fn set_faults(&self, faults: Faults) {
        self.world().faults = faults;
    }

    /// Sets the size of the disk, in bytes; allocating beyond it is ENOSPC.
    pub fn set_capacity(&self, bytes: u64) {
        self.world().capacity = bytes;
    }

    /// Mounts it read-only, or writable again: meanwhile every change fails with EROFS, and what was written
    /// but not flushed stays in the cache.
    pub fn set_read_only(&self, read_only: bool) {
        self.world().read_only = read_only;
    }

    /// Flips one bit of a file at rest. Returns the name and the byte, or nothing when every file is empty.
    pub fn flip(&self, seed: u64) -> Option<(String, u64)> {
        self.world().flip(seed)
    }

    /// Flips one bit of this byte of this file, on the platter and in the cache.
    pub fn flip_at(&self, name: &str, at: u64) {
        self.world().flip_at(name, at);
    }

    /// Calls and bytes so far.
    pub fn counts(&self) -> Counts {
        self.world().counts.clone()
    }

    /// The sizes of all files, in bytes, by name.
    pub fn sizes(&self) -> Vec<(String, u64)> {
        self.world().sizes()
    }

    /// A copy of everything a reader sees, for comparing before with after.
    pub fn image(&self) -> Vec<(String, Vec<u8>)> {
        self.world().image()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, World>> {
        alive(&self.world, self.life)
    }

    fn file(&self, inode: u64) -> Box<dyn DiskFile> {
        Box::new(SimFile { world: Arc::clone(&self.world), life: self.life, inode })
    }
}

/// The world, if the life that a handle belongs to still lasts.
fn alive(world: &Mutex<World>, life: u64) -> io::Result<MutexGuard<'_, World>> {
    let world = world.lock().unwrap_or_else(PoisonError::into_inner);
    if world.life == life && world.fuse != Some(0) { Ok(world) } else { Err(io::Error::other("the power is out")) }
}

impl Disk for SimDisk {
    fn lock(&self) -> io::Result<()> {
        let mut world = self.alive()?;
        let holder = world.holder.upgrade();
        if holder.is_some_and(|holder| !Arc::ptr_eq(&holder, &self.holder)) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        world.holder = Arc::downgrade(&self.holder);
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.alive()?.names())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.alive()?.changes_allowed()?.create(name)?;
        Ok(self.file(inode))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.alive()?.find(name)?;
        Ok(self.file(inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.alive()?.changes_allowed()?.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.alive()?.changes_allowed()?.remove(name)
    }

    fn sync_dir(&self, why: Flush) -> io::Result<()> {
        self.alive()?.changes_allowed()?.sync_dir(why)
    }

    fn space(&self) -> io::Result<Space> {
        Ok(self.alive()?.space())
    }
}

struct SimFile {
    world: Arc<Mutex<World>>,
    life: u64,
    inode: u64,
}

impl SimFile {
    fn alive(&self) -> io::Result<MutexGuard<'_, World>> {
        alive(&self.world, self.life)
    }
}

impl DiskFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        self.alive()?.size(self.inode)
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.alive()?.read(self.inode, buffer, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.alive()?.changes_allowed()?.write(self.inode, bytes, at)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.alive()?.changes_allowed()?.allocate(self.inode, len)
    }

    fn sync_data(&self, why: Flush) -> io::Result<()> {
        self.alive()?.changes_allowed()?.sync_data(self.inode, why)
    }
}
