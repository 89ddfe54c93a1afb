//! The real disk: one directory of a Linux file system.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, fdatasync, flock, fstatvfs, fsync};

use super::{Disk, DiskFile, Flush, Space};

/// A directory of the machine.
#[derive(Debug)]
pub struct RealDisk {
    path: PathBuf,
    /// Kept open: its lock lives as long, and it is what a directory sync needs.
    dir: File,
    writable: bool,
}

impl RealDisk {
    /// Opens `path`, which is made when it is missing.
    ///
    /// # Errors
    /// When the directory cannot be made or opened.
    pub fn new(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Ok(Self { path: path.to_owned(), dir: File::open(path)?, writable: true })
    }

    /// Opens `path` for looking only: every change fails, and a lock is neither taken nor needed.
    ///
    /// # Errors
    /// When the directory cannot be opened.
    pub fn read_only(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), dir: File::open(path)?, writable: false })
    }

    fn change(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(io::ErrorKind::ReadOnlyFilesystem.into()) }
    }
}

impl Disk for RealDisk {
    fn lock(&self) -> io::Result<()> {
        self.change()?;
        Ok(flock(&self.dir, FlockOperation::NonBlockingLockExclusive)?)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // A name that is not UTF-8 is not ours.
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.change()?;
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(self.path.join(name))?;
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(self.writable).open(self.path.join(name))?;
        Ok(Box::new(RealFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change()?;
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.change()?;
        fs::remove_file(self.path.join(name))
    }

    fn sync_dir(&self, _why: Flush) -> io::Result<()> {
        self.change()?;
        Ok(fsync(&self.dir)?)
    }

    fn space(&self) -> io::Result<Space> {
        let stat = fstatvfs(&self.dir)?;
        Ok(Space { free: stat.f_bavail * stat.f_frsize, total: stat.f_blocks * stat.f_frsize })
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.0.read_at(&mut buffer[done..], at + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, at)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        match fallocate(&self.0, FallocateFlags::empty(), 0, len) {
            // No such call on this file system (NFS, some FUSE): a sparse file has to do.
            Err(rustix::io::Errno::OPNOTSUPP) => self.0.set_len(len),
            result => Ok(result?),
        }
    }

    fn sync_data(&self, _why: Flush) -> io::Result<()> {
        Ok(fdatasync(&self.0)?)
    }
}
