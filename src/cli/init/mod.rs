//! `weir init [FILE]`: a first configuration for what this machine offers.

mod machine;
mod text;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::Exit;
use crate::plan;

/// Arguments of `weir init`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to write it; a file that exists is never overwritten
    #[arg(default_value = plan::DEFAULT_PATH)]
    file: PathBuf,
    /// Print it instead
    #[arg(long)]
    print: bool,
}

/// Looks at the machine and writes or prints a configuration for it.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let text = text::configuration(&machine::look(Path::new("/")));
    let mut out = io::stdout().lock();
    if args.print {
        out.write_all(text.as_bytes())?;
        return Ok(Exit::Good);
    }
    write_new(&args.file, &text)?;
    let file = args.file.display();
    writeln!(out, "wrote {file}; look at it, then try: weir check {file} && weir run --config {file}")?;
    Ok(Exit::Good)
}

/// Writes a file that must not exist yet. Everybody may read it, because the service does not run as its owner;
/// secrets stand elsewhere.
fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o644).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{} exists and is not touched; `weir init --print` shows what it would be", path.display())
        }
        file => file.with_context(|| format!("cannot write {}", path.display()))?,
    };
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_exists_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("etc/weir.toml");
        write_new(&path, "first").unwrap();
        let error = write_new(&path, "second").unwrap_err().to_string();
        assert!(error.contains("exists and is not touched"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first");
    }
}
