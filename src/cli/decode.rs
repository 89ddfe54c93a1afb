//! `weir decode [FILE]`: what is in a batch, one line of JSON per record. The other way round it writes out the
//! dictionaries, for other programs.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::builder::PossibleValuesParser;

use super::Exit;
use crate::format::batch::{self, DICTIONARIES, Encoding, MOST_UNPACKED};

/// Arguments of `weir decode`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The payload of a batch, as it came over MQTT; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// What is in it, instead of finding that out
    #[arg(long, value_name = "FORMAT", value_parser = PossibleValuesParser::new(Encoding::ALL.map(|(name, _)| name)))]
    format: Option<String>,
    /// Write the Zstandard dictionaries of this weir into a directory, and nothing else
    #[arg(long, value_name = "DIR", conflicts_with_all = ["file", "format"])]
    dictionaries: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    match &args.dictionaries {
        Some(dir) => write_dictionaries(dir)?,
        None => decode(&args.file, args.format.as_deref())?,
    }
    Ok(Exit::Good)
}

fn decode(file: &Path, format: Option<&str>) -> anyhow::Result<()> {
    let known = format.and_then(|format| Encoding::ALL.into_iter().find(|(name, _)| *name == format));
    let payload = read(file)?;
    let entries = batch::decode(&payload, known.map(|(_, encoding)| encoding))
        .with_context(|| format!("cannot decode {}", file.display()))?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    entries.iter().try_for_each(|entry| writeln!(out, "{}", entry.line()))?;
    out.flush()?;
    Ok(())
}

/// The whole file, up to the bound.
fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut payload = Vec::new();
    let most = MOST_UNPACKED as u64;
    let end = if file == Path::new("-") {
        io::stdin().lock().take(most + 1).read_to_end(&mut payload)
    } else {
        File::open(file).and_then(|file| file.take(most + 1).read_to_end(&mut payload))
    };
    end.with_context(|| format!("cannot read {}", file.display()))?;
    if payload.len() > MOST_UNPACKED {
        bail!("{} is too large for a batch", file.display());
    }
    Ok(payload)
}

/// One file each, called by its number.
fn write_dictionaries(dir: &Path) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for dictionary in &DICTIONARIES {
        let path = dir.join(format!("weir-{}.zdict", dictionary.id));
        std::fs::write(&path, dictionary.bytes).with_context(|| format!("cannot write {}", path.display()))?;
        writeln!(out, "{}", path.display())?;
    }
    Ok(())
}
