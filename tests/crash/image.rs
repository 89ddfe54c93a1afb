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

#[derive(Debug)]
pub(crate) struct Image {
    dir: TempDir,
    cuts: usize,
}

impl Image {
    /// Makes and mounts one, and tries whether it can be cut.
    ///
    /// # Errors
    /// Why that cannot be done here.
    pub(crate) fn new() -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut image = Self { dir, cuts: 0 };
        let file = File::create(image.file()).map_err(|error| error.to_string())?;
        file.set_len(48 << 20).map_err(|error| error.to_string())?;
        std::fs::create_dir(image.path()).map_err(|error| error.to_string())?;
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(image.file()))?;
        image.mount()?;
        image.cut(|| ())?;
        Ok(image)
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("mounted")
    }

    fn mount(&self) -> Result<(), String> {
        run(Command::new("mount").args(["-o", "loop"]).arg(self.file()).arg(self.path()))
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
        run(Command::new("umount").arg(self.path()))?;
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
