//! `weir man [DIR]`: the manual pages.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap_mangen::Man;

use super::Exit;

/// Arguments of `weir man`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write one page per subcommand into this directory, instead of printing weir.1
    dir: Option<PathBuf>,
}

/// Prints the main page, or writes all pages into a directory.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    match &args.dir {
        None => io::stdout().lock().write_all(&page(super::command())?)?,
        Some(dir) => {
            for (name, page) in pages()? {
                let path = dir.join(name);
                std::fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
    }
    Ok(Exit::Good)
}

/// File name and text of every page: `weir.1` and one per subcommand.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut all = vec![("weir.1".to_owned(), page(super::command())?)];
    let mut root = super::command();
    root.build();
    for sub in root.get_subcommands() {
        all.push((format!("weir-{}.1", sub.get_name()), page(sub.clone())?));
    }
    Ok(all)
}

fn page(command: clap::Command) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    Man::new(command).render(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_subcommand_has_a_page() {
        let pages = super::pages().unwrap();
        let names: Vec<_> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.contains(&"weir.1") && names.contains(&"weir-completions.1"), "{names:?}");
        for (name, text) in &pages {
            assert!(String::from_utf8_lossy(text).contains(".SH SYNOPSIS"), "{name}");
        }
    }
}
