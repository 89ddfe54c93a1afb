//! What the kernel has read already: files below a root directory, read on a thread of their own.
//!
//! Reading a file of sysfs may block for as long as a conversion takes, or for ever when its driver hangs.
//! So each handle reads through an [`Owner`], with its deadline and its rules for threads that do not return.

mod files;
mod tree;

use std::sync::Arc;

pub use files::{Files, Rights, Root, Space};
pub use tree::Tree;

use super::Buses;
use super::owner::{Owner, threads};
use super::simulated::World;
use crate::model::Fault;

/// Reads the files of one device.
#[derive(Clone)]
pub struct Kernel {
    files: Arc<dyn Files>,
    /// None for files in memory, which never block: a thread and a paused clock would race.
    owner: Option<Arc<Owner<()>>>,
    device: u32,
}

/// Whose files.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// `host`, `hwmon`, `iio`, `thermal` or `w1`: the deadline is that of `[bus.FAMILY]`.
    pub family: &'static str,
    /// Readings of one line run one after the other, on one thread.
    pub line: &'a str,
    /// Tells the devices of one line apart.
    pub device: &'a str,
}

impl Kernel {
    /// Carries out `work`, which may block, away from the async workers.
    ///
    /// # Errors
    /// What `work` answers; [`Fault::Timeout`] and [`Fault::Wedged`] as in [`Owner::transact`].
    pub async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Files) -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Fault> {
        let Some(owner) = &self.owner else { return work(&*self.files) };
        let files = Arc::clone(&self.files);
        owner.transact(self.device, move |()| work(&*files)).await
    }
}

impl Buses {
    /// The kernel's files for one device; `simulated` makes them when the family is simulated.
    pub fn kernel(&self, access: Access<'_>, simulated: impl FnOnce(World) -> Tree) -> Kernel {
        let Access { family, line, device } = access;
        let device = number(device);
        if self.is_simulated(family) {
            let tree = simulated(World::new(self.settings.seed));
            return Kernel { files: Arc::new(tree), owner: None, device };
        }
        let deadline = self.settings.bus(family).deadline;
        let make = || Arc::new(Owner::new(deadline, threads(format!("weir-{line}"), || ())));
        let owner = self.open().threads.entry(line.to_owned()).or_insert_with(make).clone();
        Kernel { files: Arc::new(Root(self.settings.kernel_root.clone())), owner: Some(owner), device }
    }
}

/// A number for each name (FNV-1a).
fn number(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
