//! `weir user`: who may log in at the hub. Passwords come from the terminal, unseen, or as one line of standard
//! input; never from the command line, which everybody on the machine can read.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::Exit;
use crate::config::Sources;
use crate::hub::users::{self, Outcome};
use crate::plan;

/// Where users are when neither the command line nor the configuration says.
const USERS: &str = "/etc/weir/users";
/// What Ctrl-C and Ctrl-\ leave in a line while they make no signals.
const ABORT: [u8; 2] = [0x03, 0x1c];

/// Arguments of `weir user`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
    /// The users file, instead of the one in the configuration
    #[arg(long, value_name = "FILE", global = true)]
    file: Option<PathBuf>,
    /// Configuration file of the gateway, to find its users file
    #[arg(long, value_name = "FILE", default_value = plan::DEFAULT_PATH, global = true)]
    config: PathBuf,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Add a user, or give one a new password: asked for on a terminal, else one line of standard input
    Add {
        /// The user's name
        name: String,
    },
    /// Remove a user
    Remove {
        /// The user's name
        name: String,
    },
    /// List the users
    List,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let sources = Sources::read(&args.config).unwrap_or_default();
    let configured = || plan::users_file_of(&sources).unwrap_or_else(|| USERS.into());
    let file = args.file.clone().unwrap_or_else(configured);
    let cannot = || format!("cannot change {}", file.display());
    match &args.what {
        What::Add { name } => {
            users::check_name(name).map_err(|why| anyhow::anyhow!("{name:?}: {why}"))?;
            let password = password().context("no password")?;
            // A new file belongs to whom the state directory belongs: the gateway, which has to read it.
            let like = plan::state_dir_of(&sources);
            let outcome = users::add(&file, name, &password, &like).with_context(cannot)?;
            tell(if outcome == Outcome::Added { "added" } else { "changed" }, name, &file)?;
        }
        What::Remove { name } => {
            if users::remove(&file, name).with_context(cannot)? == Outcome::Unknown {
                bail!("there is no user {name:?} in {}", file.display());
            }
            tell("removed", name, &file)?;
        }
        What::List => {
            let names = users::list(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let mut out = io::stdout().lock();
            names.iter().try_for_each(|name| writeln!(out, "{name}"))?;
        }
    }
    Ok(Exit::Good)
}

fn tell(what: &str, name: &str, file: &Path) -> io::Result<()> {
    let file = file.display();
    writeln!(io::stdout().lock(), "{what} {name} in {file}; a running gateway knows it after `systemctl reload weir`")
}

/// The new password: twice from a terminal, or one line.
fn password() -> io::Result<Vec<u8>> {
    if !io::stdin().is_terminal() {
        return line();
    }
    let hidden = Hidden::new()?;
    let first = hidden.ask("Password: ")?;
    let second = hidden.ask("Once more: ")?;
    if first == second { Ok(first) } else { Err(io::Error::other("these two were not the same")) }
}

/// One line of standard input without its end.
fn line() -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    io::stdin().lock().read_until(b'\n', &mut line)?;
    let end = line.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    line.truncate(end);
    Ok(line)
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn new() -> io::Result<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin)?;
        let mut quiet = before.clone();
        // Without signals, so that Ctrl-C does not leave the terminal as it is now.
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        tcsetattr(&stdin, OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }

    fn ask(&self, question: &str) -> io::Result<Vec<u8>> {
        let mut err = io::stderr().lock();
        write!(err, "{question}")?;
        err.flush()?;
        let answer = line()?;
        writeln!(err)?;
        if answer.iter().any(|byte| ABORT.contains(byte)) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(answer)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // The terminal may be gone.
        tcsetattr(io::stdin(), OptionalActions::Flush, &self.0).ok();
    }
}
