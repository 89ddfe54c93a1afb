//! A file system of its own that can lose power: ext4 on a loop device, shut down without writing anything back.
//!
//! The kernel forgets then what was not synced, as it does when the power fails; mounting replays ext4's journal.
//! Blocks that were written but not flushed by the device stay: this finds missing syncs, not disks that lie.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH (linux/fs/ext4/ext4.h); the project has no unsafe code.
const SHUTDOWN: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

/// What suffices for a store of 16 MiB.
const SMALL_MIB: u64 = 48;

#[derive(Debug)]
pub(crate) struct Image {
    dir: TempDir,
    cuts: usize,
    /// Files that were left behind.
    copies: usize,
    /// What the block device had carried when it was mounted.
    base: Traffic,
    /// What went to the disk before the last cut.
    before: Traffic,
}

/// What went to a block device.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traffic {
    pub(crate) bytes: u64,
    pub(crate) flushes: u64,
}

impl Traffic {
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { bytes: self.bytes - earlier.bytes, flushes: self.flushes - earlier.flushes }
    }

    fn and(self, more: Self) -> Self {
        Self { bytes: self.bytes + more.bytes, flushes: self.flushes + more.flushes }
    }
}

impl Image {
    /// Makes and mounts one, and tries whether it can be cut.
    ///
    /// # Errors
    /// Why that cannot be done here.
    pub(crate) fn new() -> Result<Self, String> {
        Self::of_mib(SMALL_MIB)
    }

    /// The same of another size.
    pub(crate) fn of_mib(mib: u64) -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut image = Self { dir, cuts: 0, copies: 0, base: Traffic::default(), before: Traffic::default() };
        let file = File::create(image.file()).map_err(|error| error.to_string())?;
        file.set_len(mib << 20).map_err(|error| error.to_string())?;
        std::fs::create_dir(image.path()).map_err(|error| error.to_string())?;
        // Nothing is left to be initialised in the background: it would count as traffic.
        let now = ["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"];
        run(Command::new("mkfs.ext4").args(now).arg(image.file()))?;
        image.mount()?;
        image.cut(|| ())?;
        Ok(image)
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join(format!("image{}", self.copies))
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("mounted")
    }

    fn mount(&mut self) -> Result<(), String> {
        run(Command::new("mount").args(["-o", "loop"]).arg(self.file()).arg(self.path()))?;
        self.base = self.device()?;
        Ok(())
    }

    /// Changes how it is mounted, until the power is cut.
    ///
    /// # Errors
    /// When the kernel does not want that.
    pub(crate) fn remount(&self, options: &str) -> Result<(), String> {
        run(Command::new("mount").arg("-o").arg(format!("remount,{options}")).arg(self.path()))
    }

    /// What went to this disk since it was made.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub(crate) fn traffic(&self) -> Result<Traffic, String> {
        Ok(self.before.and(self.device()?.since(self.base)))
    }

    /// The counters of the loop device (Documentation/block/stat.rst of the kernel: sectors of 512 bytes).
    fn device(&self) -> Result<Traffic, String> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").map_err(|error| error.to_string())?;
        let path = self.path();
        let line = mounts.lines().find(|line| line.split(' ').nth(1).is_some_and(|at| Path::new(at) == path));
        let device = line.and_then(|line| line.split(' ').next()).ok_or("it is not mounted")?;
        let name = device.rsplit('/').next().unwrap_or(device);
        let stat = std::fs::read_to_string(format!("/sys/block/{name}/stat")).map_err(|error| error.to_string())?;
        let field = |at| stat.split_whitespace().nth(at).and_then(|text| text.parse::<u64>().ok());
        let (sectors, flushes) = field(6).zip(field(15)).ok_or("the kernel does not count flushes")?;
        Ok(Traffic { bytes: sectors * 512, flushes })
    }

    /// Cuts the power, lets `bury` end whoever had files open, and comes back with what is on the disk.
    ///
    /// # Errors
    /// When a step fails, or when the cut did not lose what it should or lost what it should not.
    pub(crate) fn cut(&mut self, bury: impl FnOnce()) -> Result<(), String> {
        self.cuts += 1;
        let (synced, unsynced) = (self.canary("synced"), self.canary("unsynced"));
        write(&synced, true).and_then(|()| write(&unsynced, false)).map_err(|error| error.to_string())?;
        run(Command::new("python3").args(["-c", SHUTDOWN]).arg(self.path()))?;
        bury();
        self.before = self.traffic()?;
        run(Command::new("umount").arg(self.path()))?;
        self.leave_behind()?;
        run(Command::new("e2fsck").arg("-p").arg(self.file()))?;
        self.mount()?;
        let read = |path: &Path| std::fs::read(path).unwrap_or_default();
        if read(&synced).is_empty() {
            return Err("the cut lost a file that was synced".into());
        }
        if !read(&unsynced).is_empty() {
            return Err("the cut lost nothing: a file that was not synced is there".into());
        }
        Ok(())
    }

    /// A mount namespace that somebody has made meanwhile may have a copy of our mount, and so keep the device. The same
    /// file would be given the same device again, with a file system that is shut down: go on with a copy of it.
    fn leave_behind(&mut self) -> Result<(), String> {
        let held = Command::new("losetup").arg("-j").arg(self.file()).output().map_err(|error| error.to_string())?;
        if held.stdout.is_empty() {
            return Ok(());
        }
        let old = self.file();
        self.copies += 1;
        std::fs::copy(&old, self.file()).and_then(|_| std::fs::remove_file(&old)).map_err(|error| error.to_string())
    }

    fn canary(&self, name: &str) -> PathBuf {
        self.path().join(format!("{name}{}", self.cuts))
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // One that was never mounted cannot be unmounted, and need not be.
        drop(Command::new("umount").arg("-l").arg(self.path()).output());
    }
}

fn write(path: &Path, sync: bool) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(b"here")?;
    if sync { file.sync_all().and_then(|()| File::open(path.parent().unwrap_or(path))?.sync_all()) } else { Ok(()) }
}

/// Runs a program that must succeed. e2fsck says 1 when it has replayed the journal.
fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() || (program == "e2fsck" && output.status.code() == Some(1)) {
        return Ok(());
    }
    Err(format!("{program}: {} {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}
