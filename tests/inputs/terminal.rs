//! A real pseudo-terminal: the test holds the end of the device.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// The device's end, and a link to the gateway's end that stays when the device is plugged in again.
pub(crate) struct Terminal {
    device: OwnedFd,
    /// Holds the other end open in raw mode, so that what is written before the gateway comes is kept as it is.
    _raw: File,
    link: PathBuf,
}

impl Terminal {
    /// Plugs a device in at `link`.
    pub(crate) fn plug_in(link: &Path) -> Self {
        let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&device).expect("it is ours");
        unlockpt(&device).expect("it is ours");
        let name = ptsname(&device, Vec::new()).expect("it has a name");
        let node = Path::new(OsStr::from_bytes(name.as_bytes())).to_owned();
        let raw = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NOCTTY.bits() as i32)
            .open(&node)
            .expect("the node is there");
        let mut modes = tcgetattr(&raw).expect("it is a terminal");
        modes.make_raw();
        tcsetattr(&raw, OptionalActions::Now, &modes).expect("it is ours");
        // It may lead to an earlier device.
        std::fs::remove_file(link).ok();
        symlink(&node, link).expect("the scratch directory is writable");
        Self { device, _raw: raw, link: link.to_owned() }
    }

    /// The device says `bytes`.
    pub(crate) fn say(&self, bytes: &[u8]) {
        let mut device = File::from(self.device.try_clone().expect("a descriptor"));
        device.write_all(bytes).expect("the terminal takes it");
    }

    /// The options of a `serial-line` on this port, with more behind them.
    pub(crate) fn options(&self, more: &str) -> String {
        format!("port = \"{}\"\n{more}", self.link.display())
    }
}
