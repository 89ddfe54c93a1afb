//! Machines that are trees of files, and the program that looks at them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A machine on disk.
pub(crate) struct Machine {
    root: TempDir,
    file: PathBuf,
}

impl Machine {
    /// All machines, by name.
    pub(crate) fn all() -> Vec<Self> {
        let entries = fs::read_dir("tests/inspect/machines").expect("tests run in the crate's root");
        let paths = entries.map(|entry| entry.expect("a readable directory").path());
        let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|ending| ending == "tree")).collect();
        files.sort();
        assert!(files.len() >= 3, "{files:?}");
        files.into_iter().map(Self::new).collect()
    }

    fn new(file: PathBuf) -> Self {
        let root = tempfile::tempdir().expect("a scratch directory");
        let text = fs::read_to_string(&file).expect("it is there");
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let link = line.split_once(" -> ");
            let (path, content) = link.or(line.split_once(": ")).unwrap_or((line.trim_end_matches(':'), ""));
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("below the root")).expect("writable");
            match link {
                Some(_) => symlink(content, path).expect("writable"),
                None => {
                    let text = content.replace("\\n", "\n").replace("\\t", "\t") + "\n";
                    fs::write(&path, text).expect("writable");
                    // Whoever runs the tests owns it; what others may do is the same everywhere.
                    fs::set_permissions(path, Permissions::from_mode(0o606)).expect("it is ours");
                }
            }
        }
        Self { root, file }
    }

    /// Where its files are.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// Runs `weir` with these arguments on it.
    pub(crate) fn weir(&self, args: &[&str]) -> Output {
        weir(&[args, &["--root", self.root().to_str().expect("UTF-8")]].concat())
    }

    /// Compares with what is expected of `command`; says what differs.
    pub(crate) fn compare(&self, command: &str, found: &str) -> Option<String> {
        let expected = self.file.with_extension(format!("{command}.expected"));
        let found = found.replace(self.root().to_str().expect("UTF-8"), "ROOT");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&expected, &found).expect("writable");
        }
        let wanted = fs::read_to_string(&expected).unwrap_or_default();
        (wanted != found).then(|| format!("{}:\n{found}", expected.display()))
    }
}

/// Runs the program.
pub(crate) fn weir(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir")).args(args).output().expect("it was built")
}

/// What it said on standard output.
pub(crate) fn said(output: &Output) -> String {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}
