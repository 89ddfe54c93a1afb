//! Files of the kernel's trees: sysfs and procfs.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use rustix::io::Errno;

use crate::model::Fault;

/// More than any file of sysfs or procfs that a driver reads; the rest is left alone.
const LONGEST: u64 = 256 * 1024;

/// Room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// All bytes.
    pub total: u64,
    /// Bytes that nobody uses.
    pub free: u64,
    /// Bytes that a process without privileges can still use.
    pub available: u64,
}

/// Who may use a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// The permission bits.
    pub mode: u32,
    /// The owner.
    pub user: u32,
    /// The group.
    pub group: u32,
}

impl Rights {
    /// Whether a user with these groups may read and write it. Root may do so always.
    pub fn allow(&self, user: u32, groups: &[u32]) -> bool {
        let bits = if user == self.user {
            self.mode >> 6
        } else if groups.contains(&self.group) {
            self.mode >> 3
        } else {
            self.mode
        };
        user == 0 || bits & 0o6 == 0o6
    }
}

/// Where a driver reads; paths start at the root, without a slash: `sys/class/hwmon`.
///
/// Everything here may block; see [`Kernel::run`](super::Kernel::run).
pub trait Files: Send + Sync {
    /// The text of a file, without the white space around it.
    ///
    /// # Errors
    /// The fault that the error of the kernel means.
    fn read(&self, path: &str) -> Result<String, Fault>;

    /// The names in a directory, sorted; numbers within names in their order.
    ///
    /// # Errors
    /// The fault that the error of the kernel means.
    fn list(&self, path: &str) -> Result<Vec<String>, Fault>;

    /// What a symbolic link points to; nothing when it is no link.
    fn link(&self, path: &str) -> Option<String>;

    /// Who may use a file: its owner, its group and its mode.
    ///
    /// # Errors
    /// The fault that the error of the kernel means.
    fn rights(&self, path: &str) -> Result<Rights, Fault>;

    /// The room on the file system that holds `path`.
    ///
    /// # Errors
    /// The fault that the error of the kernel means.
    fn space(&self, path: &str) -> Result<Space, Fault>;
}

/// Files below a directory: `/`, or a fixture of a test.
#[derive(Debug, Clone)]
pub struct Root(pub PathBuf);

impl Root {
    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }
}

impl Files for Root {
    fn read(&self, path: &str) -> Result<String, Fault> {
        let mut bytes = Vec::new();
        let read = File::open(self.path(path)).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes));
        read.map_err(|error| fault(path, &error))?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    fn list(&self, path: &str) -> Result<Vec<String>, Fault> {
        let entries = std::fs::read_dir(self.path(path)).map_err(|error| fault(path, &error))?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let mut names = names.collect::<io::Result<Vec<_>>>().map_err(|error| fault(path, &error))?;
        names.sort_by_cached_key(|name| order(name));
        Ok(names)
    }

    fn link(&self, path: &str) -> Option<String> {
        let target = std::fs::read_link(self.path(path)).ok()?;
        Some(target.to_string_lossy().into_owned())
    }

    fn rights(&self, path: &str) -> Result<Rights, Fault> {
        let meta = std::fs::metadata(self.path(path)).map_err(|error| fault(path, &error))?;
        Ok(Rights { mode: meta.mode() & 0o7777, user: meta.uid(), group: meta.gid() })
    }

    fn space(&self, path: &str) -> Result<Space, Fault> {
        let at = self.path(path);
        let stat = rustix::fs::statvfs(&at).map_err(|errno| fault(path, &errno.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Space { total: bytes(stat.f_blocks), free: bytes(stat.f_bfree), available: bytes(stat.f_bavail) })
    }
}

/// A key that sorts `temp2` before `temp10`: letters and numbers in turn.
pub(super) fn order(name: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        parts.push((word.to_owned(), tail[..end].parse().unwrap_or(0)));
        rest = &tail[end..];
    }
    parts
}

/// What an error of the kernel means for a sensor.
fn fault(path: &str, error: &io::Error) -> Fault {
    let what = || format!("/{}: {error}", path.trim_start_matches('/'));
    match Errno::from_io_error(error) {
        Some(Errno::NOENT | Errno::NODEV | Errno::NXIO | Errno::NOTDIR) => Fault::NotPresent(what()),
        Some(Errno::ACCESS | Errno::PERM) => Fault::Permission(what()),
        Some(Errno::REMOTEIO) => Fault::Nack,
        Some(Errno::TIMEDOUT) => Fault::Timeout,
        // No conversion yet, or the channel is switched off (hwmon's `tempN_enable`).
        Some(Errno::NODATA | Errno::AGAIN | Errno::BUSY) => Fault::NotReady(what()),
        _ => Fault::Bus(what()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_read_below_its_root() {
        let scratch = tempfile::tempdir().unwrap();
        let root = Root(scratch.path().to_owned());
        let dir = scratch.path().join("sys/class/x");
        std::fs::create_dir_all(&dir).unwrap();
        for name in ["temp10", "temp2", "name"] {
            std::fs::write(dir.join(name), " 21500\n").unwrap();
        }
        std::os::unix::fs::symlink("../../devices/i2c-1/1-0044", dir.join("device")).unwrap();
        assert_eq!(root.read("sys/class/x/name"), Ok("21500".into()));
        assert_eq!(root.list("sys/class/x"), Ok(vec!["device".into(), "name".into(), "temp2".into(), "temp10".into()]));
        assert_eq!(root.link("sys/class/x/device").as_deref(), Some("../../devices/i2c-1/1-0044"));
        assert_eq!(root.link("sys/class/x/name"), None);
        assert!(matches!(root.read("sys/class/y"), Err(Fault::NotPresent(_))));
        assert!(matches!(root.list("sys/class/x/name"), Err(Fault::NotPresent(_))));
        assert!(root.space("").unwrap().total > 0);
        assert_eq!(root.rights("sys/class/x/name").unwrap().mode & 0o600, 0o600);
        assert!(root.rights("sys/class/y").is_err());
    }

    #[test]
    fn rights_are_those_of_the_first_that_fits() {
        let node = Rights { mode: 0o660, user: 0, group: 998 };
        assert!(node.allow(1000, &[1000, 998]) && node.allow(0, &[]) && !node.allow(1000, &[1000]));
        // Whoever owns it is no member of the others.
        assert!(!Rights { mode: 0o066, user: 1000, group: 998 }.allow(1000, &[998]));
        assert!(!Rights { mode: 0o640, user: 0, group: 998 }.allow(1000, &[998]), "to read alone is not enough");
    }

    #[test]
    fn errors_of_the_kernel_have_a_meaning() {
        let word = |errno: Errno| fault("sys/x", &errno.into()).word();
        assert_eq!(
            [Errno::NODEV, Errno::ACCESS, Errno::REMOTEIO, Errno::TIMEDOUT, Errno::NODATA, Errno::IO].map(word),
            ["not_present", "permission", "nack", "timeout", "not_ready", "bus"]
        );
    }
}
