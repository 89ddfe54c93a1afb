//! The little of a file system that the store needs, as a trait: the real one and a simulated one.

mod real;
pub mod sim;

use std::io;

pub use real::RealDisk;

/// What a flush is for: counted per kind, and the simulated disk can leave one kind out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flush {
    /// A frame with records.
    Frame,
    /// A frame with acknowledgements only.
    Ack,
    /// The header of a segment, before its first frame.
    Header,
    /// The ledger: store id, start number, gaps.
    Ledger,
    /// What a killed run left in the page cache, before anything builds on it.
    Recovered,
    /// The directory, after a segment or the ledger was created.
    Created,
    /// The directory, after a segment was renamed for its next use.
    Renamed,
    /// A segment that is to take the place of others.
    Draft,
    /// The directory, after that segment got its name.
    Replaced,
    /// The directory, after the segments whose place it took were removed.
    Removed,
}

impl Flush {
    /// Every kind.
    pub const ALL: [Flush; 10] = [
        Flush::Frame,
        Flush::Ack,
        Flush::Header,
        Flush::Ledger,
        Flush::Recovered,
        Flush::Created,
        Flush::Renamed,
        Flush::Draft,
        Flush::Replaced,
        Flush::Removed,
    ];
}

/// The space of the file system below the store, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What an unprivileged process may still use.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

/// One flat directory.
pub trait Disk: Send + Sync {
    /// Keeps every other process (and every other handle) out until this disk is dropped.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when somebody else holds the lock.
    fn lock(&self) -> io::Result<()>;
    /// The names of all files, in no order.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes an empty file, which must not exist yet.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Renames a file; not durable before [`Disk::sync_dir`].
    ///
    /// # Errors
    /// Whatever the file system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file; not durable before [`Disk::sync_dir`].
    ///
    /// # Errors
    /// Whatever the file system says.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes creations, renames and removals durable.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn sync_dir(&self, why: Flush) -> io::Result<()>;
    /// Free and total space.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn space(&self) -> io::Result<Space>;
}

/// One open file.
pub trait DiskFile: Send {
    /// Its size in bytes.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn size(&self) -> io::Result<u64>;
    /// Reads up to `buffer.len()` bytes at `at`; fewer only at the end of the file.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;
    /// Writes all of `bytes` at `at`; not durable before [`DiskFile::sync_data`].
    ///
    /// # Errors
    /// Whatever the file system says; then an unknown part is written.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Reserves the space for `len` bytes, which read as zero.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] when there is not enough.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Makes what was written, and the size, durable.
    ///
    /// # Errors
    /// Whatever the file system says; then nothing written since the last flush may be trusted.
    fn sync_data(&self, why: Flush) -> io::Result<()>;
}
