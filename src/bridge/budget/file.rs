//! What is spent, on the disk: one small file, replaced as a whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Spent {
    /// When the month began, in milliseconds since 1970; `None` before the clock was first set.
    pub(super) from_ms: Option<i64>,
    /// Bytes on the wire since then.
    pub(super) used: u64,
    /// The part of the month that had passed.
    pub(super) passed: f64,
}

/// What the file says; nothing when there is none, or it is not whole, which is logged.
pub(super) fn read(path: &Path) -> Spent {
    let read = fs::read(path).and_then(|bytes| Ok(serde_json::from_slice::<Spent>(&bytes)?));
    let spent = read.unwrap_or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            tracing::warn!(file = %path.display(), "what was spent of the budget is not known any more: {error}");
        }
        Spent::default()
    });
    Spent { passed: spent.passed.clamp(0.0, 1.0), ..spent }
}

/// Replaces the file: after a power cut it is the old one or the new one.
///
/// # Errors
/// When the disk does not take it.
pub(super) fn write(path: &Path, spent: Spent) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(&serde_json::to_vec(&spent)?)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_rubbish_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("budget-cloud.json");
        assert_eq!(read(&path), Spent::default());
        let spent = Spent { from_ms: Some(1_790_812_800_000), used: 12_345_678, passed: 0.25 };
        write(&path, spent).unwrap();
        assert_eq!(read(&path), spent);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        fs::write(&path, "{\"used\":1").unwrap();
        assert_eq!(read(&path), Spent::default());
    }
}
