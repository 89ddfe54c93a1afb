//! `weir completions SHELL`: what the shell needs to complete our command line.

use std::io::{self, Write};

use super::Exit;

/// Arguments of `weir completions`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which shell
    shell: clap_complete::Shell,
}

/// Prints the completions to standard output.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "weir", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(Exit::Good)
}
