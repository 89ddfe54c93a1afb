//! The configuration, and the gateway that runs on it.

use std::path::{Path, PathBuf};

use super::{Finding, Machine};
use crate::config::Severity;
use crate::gateway::report::Report as Running;
use crate::plan::{self, Plan};

/// What the configuration of the machine is.
pub enum Setup {
    /// There is none.
    None(PathBuf),
    /// It is wrong; the first error, the state directory, and the last good one to start on, if there is one.
    Wrong(PathBuf, String, PathBuf, Option<Box<Plan>>),
    /// It is good; how many warnings `weir check` has.
    Good(PathBuf, Box<Plan>, usize),
}

impl Setup {
    /// Reads the configuration in `path`.
    pub fn read(path: &Path) -> Self {
        let path = path.to_owned();
        if !path.exists() {
            return Self::None(path);
        }
        match plan::load(&path) {
            Ok((plan, report)) => {
                let warnings = report.problems.count(Severity::Warning);
                Self::Good(path, Box::new(plan), warnings)
            }
            Err(report) => {
                let why = report.first_error().unwrap_or_else(|| "it cannot be read".into());
                let state_dir = plan::state_dir_of(&report.sources);
                let older = plan::load_last_good(&state_dir).ok().map(|(plan, _)| Box::new(plan));
                Self::Wrong(path, why, state_dir, older)
            }
        }
    }

    /// The plan that a gateway would start on, if there is one.
    pub fn plan(&self) -> Option<&Plan> {
        match self {
            Self::Good(_, plan, _) => Some(plan),
            Self::Wrong(.., older) => older.as_deref(),
            Self::None(_) => None,
        }
    }

    /// Where the gateway keeps its state, as far as that is known.
    pub fn state_dir(&self) -> Option<&Path> {
        match self {
            Self::Wrong(_, _, state_dir, _) => Some(state_dir),
            _ => self.plan().map(|plan| plan.gateway.state_dir.as_path()),
        }
    }
}

pub(super) fn findings(machine: &Machine) -> Vec<Finding> {
    let mut findings = vec![configuration(&machine.setup)];
    findings.extend(machine.running.iter().flat_map(running));
    findings
}

fn configuration(setup: &Setup) -> Finding {
    const SUBJECT: &str = "configuration";
    match setup {
        Setup::None(path) => Finding::ok(SUBJECT, format!("there is no {}", path.display()))
            .advise("`weir init` writes a first one; until then what it would need is not looked at"),
        Setup::Wrong(path, why, _, older) => {
            let start = if older.is_some() { "a start would take the last good one" } else { "weir cannot start" };
            Finding::problem(SUBJECT, format!("{why}; {start}"))
                .advise(format!("`weir check {}` shows every mistake", path.display()))
        }
        Setup::Good(path, _, 0) => Finding::ok(SUBJECT, format!("{} is good", path.display())),
        Setup::Good(path, _, warnings) => {
            let what = format!("{} is good, with {}", path.display(), count(*warnings, "warning"));
            Finding::warning(SUBJECT, what).advise(format!("`weir check {}` shows them", path.display()))
        }
    }
}

fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// What the running gateway says about itself.
fn running(report: &Running) -> Vec<Finding> {
    const SUBJECT: &str = "gateway";
    let mut findings = Vec::new();
    if let Some(trouble) = &report.trouble {
        findings.push(Finding::problem(SUBJECT, trouble.clone()).advise("mend the configuration and restart weir"));
    }
    let sick: Vec<_> = report.parts.iter().filter(|part| !matches!(part.state.as_str(), "ok" | "starting")).collect();
    for part in &sick {
        let why = part.reason.as_deref().unwrap_or("no reason is known");
        let what = format!("{} {} is {} since {}: {why}", part.kind, part.name, part.state, part.since);
        findings.push(match part.state.as_str() {
            "dead" => Finding::problem(SUBJECT, what),
            _ => Finding::warning(SUBJECT, what),
        });
    }
    if report.store.failing {
        let what = "the disk refused the last write: nothing is acknowledged";
        findings.push(Finding::problem(SUBJECT, what).advise("look at the disk, and at `journalctl -u weir`"));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(SUBJECT, format!("weir {} runs, and all is well", report.version)));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::Grade;
    use super::*;

    #[test]
    fn a_wrong_configuration_and_none_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("weir.toml");
        assert_eq!(configuration(&Setup::read(&path)).grade, Grade::Ok);
        std::fs::write(&path, format!("[gateway]\nname = \"x\"\nstate_dir = {:?}\nnam = 1\n", dir.path())).unwrap();
        let told = configuration(&Setup::read(&path));
        assert_eq!(told.grade, Grade::Problem);
        assert!(told.what.contains("weir.toml:4:1") && told.what.ends_with("weir cannot start"), "{}", told.what);
        let good = format!("[gateway]\nname = \"x\"\nstate_dir = {:?}\n", dir.path());
        plan::keep_last_good(dir.path(), &crate::config::Sources::from_text(&path, &good)).unwrap();
        assert!(configuration(&Setup::read(&path)).what.ends_with("the last good one"));
        std::fs::write(&path, good).unwrap();
        assert_eq!(configuration(&Setup::read(&path)).grade, Grade::Ok);
    }
}
