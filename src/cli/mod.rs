//! The command line: one file per subcommand, each with its `Args` and a `run` that answers an [`Exit`].
//!
//! Only this room prints, always through a locked stream, so that a closed pipe ends the program quietly.

mod check;
mod completions;
mod control;
mod decode;
mod doctor;
mod drivers;
mod drop;
mod gaps;
mod init;
mod letters;
mod live;
mod man;
mod outlook;
mod publish;
mod read;
mod run;
mod scan;
mod schema;
mod status;
mod store;
mod sub;
mod table;
mod user;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Sensor-to-MQTT gateway: reads sensors, serves an MQTT broker, forwards to a cloud without losing what it acknowledged.
#[derive(Debug, Parser)]
#[command(name = "weir", version, max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Run(run::Args),
    /// Check a configuration: every problem in one run
    Check(check::Args),
    /// Write a first configuration for what this machine offers
    Init(init::Args),
    /// List the drivers, or show all about one
    Drivers(drivers::Args),
    /// List what is connected to this machine, and the tables that read it
    Scan(scan::Args),
    /// Find out what keeps a gateway from working here, and what to do
    Doctor(doctor::Args),
    /// Read one sensor once, without a running gateway
    Read(read::Args),
    /// Show messages as they pass through the hub
    Sub(sub::Args),
    /// Publish one message through the hub
    Pub(publish::Args),
    /// Work out what a configuration amounts to: readings, days offline, card wear, megabytes
    Plan(outlook::Args),
    /// Show how a running gateway is
    Status(status::Args),
    /// List everything that is missing: dropped messages and times without readings
    Gaps(gaps::Args),
    /// Look into the store: list, verify; delete what a removed bridge has left
    Store(store::Args),
    /// Read batches: one line of JSON per record
    Decode(decode::Args),
    /// Say who may log in at the hub: add, remove, list
    User(user::Args),
    /// Print every key of the configuration, as a JSON Schema for editors
    Schema(schema::Args),
    /// Print completions for a shell
    Completions(completions::Args),
    /// Print or write the manual pages
    Man(man::Args),
}

/// How a command ended. Wrong usage of the command line ends with 2, through clap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0
    Good,
    /// 1
    Failed,
    /// 78 (`EX_CONFIG` of sysexits): the service manager does not restart on it.
    WrongConfiguration,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Good => ExitCode::SUCCESS,
            Exit::Failed => ExitCode::from(1),
            Exit::WrongConfiguration => ExitCode::from(78),
        }
    }
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    match Cli::parse().command.run() {
        Ok(exit) => exit.into(),
        Err(error) if pipe_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // With standard error closed there is nobody left to tell.
            drop(writeln!(io::stderr().lock(), "error: {error:#}"));
            Exit::Failed.into()
        }
    }
}

impl Command {
    fn run(self) -> anyhow::Result<Exit> {
        match self {
            Command::Run(args) => run::run(&args),
            Command::Check(args) => check::run(&args),
            Command::Init(args) => init::run(&args),
            Command::Drivers(args) => drivers::run(&args),
            Command::Scan(args) => scan::run(&args),
            Command::Doctor(args) => doctor::run(&args),
            Command::Read(args) => read::run(&args),
            Command::Sub(args) => sub::run(args),
            Command::Pub(args) => publish::run(args),
            Command::Plan(args) => outlook::run(&args),
            Command::Status(args) => status::run(&args),
            Command::Gaps(args) => gaps::run(&args),
            Command::Store(args) => store::run(&args),
            Command::Decode(args) => decode::run(&args),
            Command::User(args) => user::run(&args),
            Command::Schema(args) => schema::run(&args),
            Command::Completions(args) => completions::run(&args),
            Command::Man(args) => man::run(&args),
        }
    }
}

/// The whole command line as clap knows it, for completions and manual pages.
fn command() -> clap::Command {
    Cli::command()
}

/// Whether the reader of our output went away, as `head` does.
fn pipe_closed(error: &anyhow::Error) -> bool {
    let of_io = error.downcast_ref::<io::Error>().map(io::Error::kind);
    let of_json = || error.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
    of_io.or_else(of_json) == Some(io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
