//! What keeps a gateway from working here, and what to do about it.
//!
//! One file per subject. Each gathers its facts below the root of [`Machine`] and judges them with pure functions.
//! Subjects that mean nothing on a machine, such as the supply of a laptop, say nothing.

mod access;
mod board;
mod chips;
mod clock;
mod cloud;
mod disk;
mod hub;
mod interfaces;
mod pins;
mod power;
mod rate;
mod setup;
mod store;
mod uses;

use std::path::PathBuf;

use serde::Serialize;

pub use cloud::Patience;
pub use setup::Setup;

use crate::bus::kernel::{Files as _, Root};
use crate::bus::{Buses, Settings};
use crate::gateway::report::Report;

/// How a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// As it should be.
    Ok,
    /// It could not be found out.
    Unknown,
    /// It works, and may fail later or could be better.
    Warning,
    /// Something does not work.
    Problem,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about, in a word.
    pub subject: &'static str,
    /// How it is.
    pub grade: Grade,
    /// What was found.
    pub what: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Finding {
    fn new(subject: &'static str, grade: Grade, what: impl Into<String>) -> Self {
        Self { subject, grade, what: what.into(), advice: None }
    }

    fn ok(subject: &'static str, what: impl Into<String>) -> Self {
        Self::new(subject, Grade::Ok, what)
    }

    fn unknown(subject: &'static str, what: impl Into<String>) -> Self {
        Self::new(subject, Grade::Unknown, what)
    }

    fn warning(subject: &'static str, what: impl Into<String>) -> Self {
        Self::new(subject, Grade::Warning, what)
    }

    fn problem(subject: &'static str, what: impl Into<String>) -> Self {
        Self::new(subject, Grade::Problem, what)
    }

    fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }
}

/// What is looked at.
pub struct Machine {
    /// Where its files are: `/` but in tests.
    pub root: PathBuf,
    /// Its configuration.
    pub setup: Setup,
    /// What the gateway that runs here says about itself, if one runs.
    pub running: Option<Report>,
    /// How long the network is waited for.
    pub patience: Patience,
}

impl Machine {
    fn files(&self) -> Root {
        Root(self.root.clone())
    }

    /// Whether this is the machine that we run on, so that there is a network to try.
    fn is_here(&self) -> bool {
        self.root.as_os_str() == "/"
    }

    fn is_raspberry_pi(&self) -> bool {
        board::model(&self.files()).is_some_and(|model| model.starts_with("Raspberry Pi"))
    }

    fn buses(&self) -> Buses {
        let buses = self.setup.plan().map(|plan| plan.buses.buses.clone()).unwrap_or_default();
        Buses::new(Settings { buses, kernel_root: self.root.clone(), ..Settings::default() })
    }

    /// The text of a file, if there is one.
    fn read(&self, path: &str) -> Option<String> {
        self.files().read(path).ok()
    }
}

/// Looks at everything.
pub async fn examine(machine: &Machine) -> Vec<Finding> {
    let uses = uses::Uses::of(machine.setup.plan());
    let mut findings = setup::findings(machine);
    findings.extend(board::findings(machine));
    findings.extend(interfaces::findings(machine, &uses));
    findings.extend(access::findings(machine, &uses));
    findings.extend(pins::findings(machine, &uses));
    findings.extend(chips::findings(machine, &uses));
    findings.extend(power::findings(machine));
    findings.extend(clock::findings(machine));
    findings.extend(disk::findings(machine));
    findings.extend(store::findings(machine));
    findings.extend(hub::findings(machine).await);
    findings.extend(cloud::findings(machine).await);
    findings.extend(rate::findings(machine));
    findings
}
