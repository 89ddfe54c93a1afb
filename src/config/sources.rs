//! The files of one configuration, and where in them a place is.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes; a larger one is not a configuration.
const LARGEST: u64 = 4 << 20;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As it was named.
    pub path: PathBuf,
    /// What stands in it. Bytes that are no UTF-8 are replaced, and `broken` says where the first one is.
    pub text: String,
    /// Where the first byte is that is no UTF-8.
    pub broken: Option<usize>,
    /// Where the file begins when all files are counted through.
    pub base: usize,
}

/// The files of one configuration, in the order they are merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources(Vec<Source>);

/// Where something is, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot<'s> {
    /// The file.
    pub source: &'s Source,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// Where that line begins in the file's text.
    pub line_start: usize,
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {error}", path.display())]
pub struct ReadError {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub error: io::Error,
}

impl Sources {
    /// Reads the file and the `conf.d/*.toml` beside it, those in the order of their names.
    ///
    /// # Errors
    /// When a file cannot be read, or is larger than 4 MiB.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let mut sources = Self::default();
        for path in std::iter::once(path.to_owned()).chain(beside(path)?) {
            let bytes = read_bounded(&path).map_err(|error| ReadError { path: path.clone(), error })?;
            sources.add(path, &bytes);
        }
        Ok(sources)
    }

    /// One file that is in memory already.
    pub fn from_text(path: impl Into<PathBuf>, text: &str) -> Self {
        let mut sources = Self::default();
        sources.add(path.into(), text.as_bytes());
        sources
    }

    /// Appends a file.
    pub fn add(&mut self, path: PathBuf, bytes: &[u8]) {
        let broken = std::str::from_utf8(bytes).err().map(|error| error.valid_up_to());
        let text = String::from_utf8_lossy(bytes).into_owned();
        // One byte between the files: the end of one is not the start of the next.
        let base = self.0.last().map_or(0, |last| last.base + last.text.len() + 1);
        self.0.push(Source { path, text, broken, base });
    }

    /// All files.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.iter()
    }

    /// Where the byte is that is number `offset` of all files; nothing when there are no files.
    pub fn locate(&self, offset: usize) -> Option<Spot<'_>> {
        let source = self.0.iter().rev().find(|source| source.base <= offset)?;
        let mut at = (offset - source.base).min(source.text.len());
        while !source.text.is_char_boundary(at) {
            at -= 1;
        }
        let before = &source.text[..at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        Some(Spot { source, line, column: before[line_start..].chars().count() + 1, line_start })
    }
}

/// The files in `conf.d` beside `path`.
fn beside(path: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let dir = path.with_file_name("conf.d");
    let failed = |error| ReadError { path: dir.clone(), error };
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(failed(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|extension| extension == "toml") && !hidden {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Reads at most [`LARGEST`] bytes.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 4 MiB, so not a configuration"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters() {
        let sources = Sources::from_text("a.toml", "é = 1\nname = \"ü\"\n");
        let spot = |offset| sources.locate(offset).map(|spot| (spot.line, spot.column)).unwrap();
        assert_eq!(spot(0), (1, 1));
        assert_eq!(spot(2), (1, 2));
        assert_eq!(spot(7), (2, 1));
        assert_eq!(spot(15), (2, 9));
        assert_eq!(spot(17), (2, 10));
        assert_eq!(spot(999), (3, 1));
    }

    #[test]
    fn files_beside_come_in_the_order_of_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let main = dir.path().join("weir.toml");
        std::fs::create_dir(dir.path().join("conf.d")).unwrap();
        for name in ["20.toml", "10.toml", "README", ".hidden.toml"] {
            std::fs::write(dir.path().join("conf.d").join(name), name).unwrap();
        }
        std::fs::write(&main, "x = 1\n").unwrap();
        let sources = Sources::read(&main).unwrap();
        let texts: Vec<_> = sources.iter().map(|source| source.text.as_str()).collect();
        assert_eq!(texts, ["x = 1\n", "10.toml", "20.toml"]);
        let second = sources.locate(sources.iter().nth(1).unwrap().base).unwrap();
        assert_eq!((second.source.text.as_str(), second.line, second.column), ("10.toml", 1, 1));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let error = Sources::read(Path::new("/nowhere/weir.toml")).unwrap_err();
        assert!(error.to_string().starts_with("cannot read /nowhere/weir.toml: No such file"), "{error}");
        let mut sources = Sources::default();
        sources.add("x".into(), b"ok\xff");
        assert_eq!(sources.iter().next().unwrap().broken, Some(2));
    }
}
