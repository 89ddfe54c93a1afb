//! The project's own Rust files, as the rules look at them.

use std::path::Path;

/// One file of the project.
pub(crate) struct File {
    /// Path below the project's root.
    pub(crate) path: String,
    /// The whole text.
    pub(crate) text: String,
}

impl File {
    /// The text without the test module at its end and without comments and string contents that could
    /// look like code.
    pub(crate) fn code(&self) -> String {
        let end = self.text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        let lines = self.text[..end].lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The path below its room's parent without the ending: `src/drivers/host/mod.rs` is `drivers/host`.
    pub(crate) fn unit(&self) -> String {
        let unit = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        unit.trim_end_matches("/mod").to_owned()
    }

    /// The room in `src/` that the file belongs to.
    pub(crate) fn room(&self) -> String {
        let unit = self.unit();
        unit.split('/').next().expect("split gives at least one part").to_owned()
    }

    /// Whether the file holds nothing but tests.
    pub(crate) fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        matches!(name, "tests.rs" | "testing.rs" | "contract.rs")
            || self.path.contains("/tests/")
            || self.path.starts_with("tests/")
    }
}

/// All `.rs` files below `folder`, in order.
pub(crate) fn rust_files(folder: &str) -> Vec<File> {
    let mut files = Vec::new();
    collect(&super::root().join(folder), &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn collect(folder: &Path, files: &mut Vec<File>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source file is text");
            let path = path.strip_prefix(super::root()).expect("below the root");
            files.push(File { path: path.to_string_lossy().into_owned(), text });
        }
    }
}
