//! `weir doctor`: what keeps a gateway from working here, and what to do.

use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Exit;
use super::control::Target;
use crate::gateway::control::{Answer, Request};
use crate::gateway::report::Report;
use crate::inspect::doctor::{Finding, Grade, Machine, Patience, Setup, examine};
use crate::plan;

/// Arguments of `weir doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration file; there need not be one
    #[arg(long, value_name = "FILE", default_value = plan::DEFAULT_PATH)]
    config: PathBuf,
    /// As one JSON document
    #[arg(long)]
    json: bool,
    /// How many seconds each cloud is waited for
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = clap::value_parser!(u16).range(1..=300))]
    patience: u16,
    /// Look at the files of a machine below this directory
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
}

/// Looks, and prints. Fails when there is a problem.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let setup = Setup::read(&args.config);
    let running = running(&setup, args);
    let patience = Patience(Duration::from_secs(args.patience.into()));
    let machine = Machine { root: args.root.clone(), setup, running, patience };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let findings = runtime.block_on(examine(&machine));
    // A resolver that hangs must not hold us up.
    runtime.shutdown_background();
    let mut out = io::stdout().lock();
    if args.json {
        json(&findings, &mut out)?;
    } else {
        print(&findings, io::stdout().is_terminal(), &mut out)?;
    }
    Ok(if count(&findings, Grade::Problem) == 0 { Exit::Good } else { Exit::Failed })
}

/// What the gateway says that runs on this configuration, if one does and lets us ask.
fn running(setup: &Setup, args: &Args) -> Option<Report> {
    if args.root != Path::new("/") {
        return None;
    }
    let state_dir = setup.state_dir()?;
    // The service's own socket counts for its own configuration only.
    let many = if args.config == Path::new(plan::DEFAULT_PATH) { 2 } else { 1 };
    let mut targets = Target::candidates(None, state_dir).into_iter().take(many);
    targets.find_map(|target| match target.ask_once(&Request::Status) {
        Ok(Answer::Status(report)) => Some(*report),
        _ => None,
    })
}

fn count(findings: &[Finding], grade: Grade) -> usize {
    findings.iter().filter(|finding| finding.grade == grade).count()
}

fn json(findings: &[Finding], out: &mut impl Write) -> io::Result<()> {
    let document = serde_json::json!({
        "problems": count(findings, Grade::Problem),
        "warnings": count(findings, Grade::Warning),
        "unknown": count(findings, Grade::Unknown),
        "findings": findings,
    });
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

/// A line for each finding, what to do below it, and a line that sums up.
fn print(findings: &[Finding], colour: bool, out: &mut impl Write) -> io::Result<()> {
    let width = findings.iter().map(|finding| finding.subject.len()).max().unwrap_or(0);
    for finding in findings {
        let (word, paint) = word(finding.grade);
        let (on, off) = if colour { (paint, "\x1b[0m") } else { ("", "") };
        writeln!(out, "{on}{word:<7}{off}  {:<width$}  {}", finding.subject, plain(&finding.what))?;
        if let Some(advice) = &finding.advice {
            writeln!(out, "{:<1$}-> {2}", "", 9 + width + 2, plain(advice))?;
        }
    }
    let of = |grade, one: &str| match count(findings, grade) {
        1 => format!("1 {one}"),
        number => format!("{number} {one}s"),
    };
    let (problems, warnings) = (of(Grade::Problem, "problem"), of(Grade::Warning, "warning"));
    writeln!(
        out,
        "\n{problems}, {warnings}, {} unknown, {} ok",
        count(findings, Grade::Unknown),
        count(findings, Grade::Ok)
    )
}

fn word(grade: Grade) -> (&'static str, &'static str) {
    match grade {
        Grade::Ok => ("ok", "\x1b[32m"),
        Grade::Unknown => ("unknown", "\x1b[36m"),
        Grade::Warning => ("warning", "\x1b[33m"),
        Grade::Problem => ("problem", "\x1b[31m"),
    }
}

/// What others have written must not move the terminal's cursor.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_lines_with_what_to_do_below() {
        let finding = |grade, advice: Option<&str>| Finding {
            subject: "disk",
            grade,
            what: "it is\u{1b}[2J full".into(),
            advice: advice.map(str::to_owned),
        };
        let mut out = Vec::new();
        print(&[finding(Grade::Problem, Some("make room")), finding(Grade::Ok, None)], false, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let expected = "problem  disk  it is [2J full\n               -> make room\nok       disk  it is [2J full\n\n1 problem, 0 warnings, 0 unknown, 1 ok\n";
        assert_eq!(text, expected);
    }
}
