//! `weir init [FILE]`: a first configuration for what this machine offers.

mod ask;
mod text;

use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::{Exit, scan};
use crate::drivers::{Recognise, find};
use crate::inspect::scan::{Proposal, Scan, proposals};
use crate::model::Name;
use crate::plan;

/// Arguments of `weir init`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where to write it; a file that exists is not overwritten
    #[arg(default_value = plan::DEFAULT_PATH)]
    file: PathBuf,
    /// Print it instead
    #[arg(long)]
    print: bool,
    /// Ask nothing, take everything that was found; as without a terminal
    #[arg(long, short)]
    yes: bool,
    /// Overwrite the file
    #[arg(long, conflicts_with = "print")]
    force: bool,
    /// Look at a simulated machine
    #[arg(long, hide = true)]
    simulate: bool,
    /// Look at the files of a machine below this directory
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
}

/// What goes into the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Choices {
    /// The gateway's name.
    name: String,
    /// The chips and thermometers that are read.
    sensors: Vec<Proposal>,
    /// The address of a broker.
    cloud: Option<String>,
}

impl Choices {
    /// Everything that was found on I2C and 1-Wire; what the kernel reads is read as a whole.
    fn all(scan: &Scan) -> Self {
        let name = scan.host.as_deref().filter(|name| Name::new(name).is_ok()).unwrap_or("weir");
        let mut sensors = proposals(scan);
        sensors.retain(|found| {
            let recognise = find(found.driver).map(|spec| &spec.recognise);
            matches!(recognise, Some(Recognise::I2c(_) | Recognise::OneWire(_)))
        });
        Self { name: name.to_owned(), sensors, cloud: None }
    }
}

/// Looks at the machine, asks if there is somebody to ask, and writes or prints a configuration.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    if !args.print && !args.force && args.file.exists() {
        bail!("{}", exists(&args.file));
    }
    let scan = scan::look(&args.root, args.simulate, &[])?;
    let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    let choices = match is_terminal && !args.yes {
        true => ask::ask(&scan, io::stdin().lock(), io::stderr().lock())?,
        false => Choices::all(&scan),
    };
    let text = text::configuration(&scan, &choices);
    if let Some(why) = text::problem(&text) {
        bail!("what was found makes no good configuration: {why}");
    }
    let mut out = io::stdout().lock();
    if args.print {
        out.write_all(text.as_bytes())?;
        return Ok(Exit::Good);
    }
    write(&args.file, &text, args.force)?;
    let file = args.file.display();
    writeln!(out, "wrote {file}; look at it, then try: weir check {file} && weir run --config {file}")?;
    Ok(Exit::Good)
}

fn exists(path: &Path) -> String {
    format!("{} exists and is not touched; --force overwrites it, --print shows what it would be", path.display())
}

/// Writes the file, whole or not at all. Everybody may read it, because the service does not run as its owner;
/// secrets stand elsewhere.
fn write(path: &Path, text: &str, force: bool) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let target = if force { Path::new(&beside) } else { path };
    let mut options = OpenOptions::new();
    options.write(true).mode(0o644);
    let options = if force { options.create(true).truncate(true) } else { options.create_new(true) };
    let mut file = match options.open(target) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => bail!("{}", exists(path)),
        file => file.with_context(cannot)?,
    };
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(cannot)?;
    if force { std::fs::rename(target, path).with_context(cannot) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_exists_is_not_touched_unless_it_is_forced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("etc/weir.toml");
        write(&path, "first", false).unwrap();
        let error = write(&path, "second", false).unwrap_err().to_string();
        assert!(error.contains("exists and is not touched"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first");
        write(&path, "third", true).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "third");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    }
}
