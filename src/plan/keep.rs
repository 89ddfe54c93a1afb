//! The last good configuration, kept in the state directory so that a bad one at boot does not silence the LAN.
//!
//! Invariant: the copy is written whole or not at all, is readable by its owner only,
//! and is left alone while it says the same.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Plan, check_with};
use crate::config::{Problems, Report, Sources, Table};

const FILE: &str = "last-good.json";
/// The version of the copy's format.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize, PartialEq)]
struct Copy {
    version: u32,
    files: Vec<CopiedFile>,
}

#[derive(Serialize, Deserialize, PartialEq)]
struct CopiedFile {
    path: PathBuf,
    text: String,
}

/// Keeps `sources`, which were just found good, as the last good configuration.
///
/// # Errors
/// When the state directory cannot be made or written.
pub fn keep_last_good(state_dir: &Path, sources: &Sources) -> io::Result<()> {
    let files = sources.iter().map(|source| CopiedFile { path: source.path.clone(), text: source.text.clone() });
    let copy = Copy { version: VERSION, files: files.collect() };
    if read_copy(state_dir).is_ok_and(|present| present == copy) {
        return Ok(());
    }
    std::fs::create_dir_all(state_dir)?;
    write_whole(state_dir, &serde_json::to_vec_pretty(&copy)?)
}

/// Writes beside, syncs, and renames over.
fn write_whole(dir: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = dir.join(format!("{FILE}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, dir.join(FILE))?;
    File::open(dir)?.sync_all()
}

fn read_copy(state_dir: &Path) -> io::Result<Copy> {
    Ok(serde_json::from_slice(&std::fs::read(state_dir.join(FILE))?)?)
}

/// Loads what [`keep_last_good`] kept. A secret or certificate that has gone since does not stop it:
/// the bridge that needs it is left out, with a warning.
///
/// # Errors
/// The report, when there is no copy or it is not good any more.
pub fn load_last_good(state_dir: &Path) -> Result<(Plan, Report), Report> {
    let copy = read_copy(state_dir).map_err(|error| {
        let mut report = Report::default();
        let path = state_dir.join(FILE);
        report.problems.error(None, format!("cannot read {}: {error}", path.display()), None);
        report
    })?;
    let mut sources = Sources::default();
    copy.files.into_iter().for_each(|file| sources.add(file.path, file.text.as_bytes()));
    check_with(sources, Problems::lenient())
}

/// What a gateway starts on.
pub struct Boot {
    /// The plan.
    pub plan: Plan,
    /// The files of the plan, and its warnings.
    pub report: Report,
    /// What is wrong with the configuration, when the plan is the last good one and not the one in the file.
    pub refused: Option<Report>,
}

/// Loads the configuration in `path`; when it is wrong, the last good one of that same file.
/// The caller keeps a good one with [`keep_last_good`] once it runs, and says loudly when it runs on an old one.
///
/// # Errors
/// What is wrong with the configuration, when there is no last good one either.
pub fn boot(path: &Path) -> Result<Boot, Report> {
    let refused = match super::load(path) {
        Ok((plan, report)) => return Ok(Boot { plan, report, refused: None }),
        Err(refused) => refused,
    };
    let same_file = |report: &Report| report.sources.iter().next().is_some_and(|source| source.path == path);
    match load_last_good(&state_dir_of(&refused.sources)) {
        Ok((plan, report)) if same_file(&report) => Ok(Boot { plan, report, refused: Some(refused) }),
        _ => Err(refused),
    }
}

/// The state directory that a configuration names, however wrong the rest of it is; the default when it names none.
pub fn state_dir_of(sources: &Sources) -> PathBuf {
    let document = crate::config::parse(sources, &mut Problems::default());
    let gateway = Table::new(&document).get("gateway").and_then(|value| value.table());
    let named = gateway.and_then(|table| table.get("state_dir")?.text().map(PathBuf::from));
    named.filter(|path| !path.as_os_str().is_empty()).unwrap_or_else(|| super::gateway::STATE_DIR.into())
}

/// The users file that a configuration names, however wrong the rest of it is.
pub fn users_file_of(sources: &Sources) -> Option<PathBuf> {
    let document = crate::config::parse(sources, &mut Problems::default());
    let hub = Table::new(&document).get("hub").and_then(|value| value.table());
    let named = hub.and_then(|table| table.get("users_file")?.text().map(PathBuf::from));
    named.filter(|path| !path.as_os_str().is_empty())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::plan::check;

    fn sources(text: &str) -> Sources {
        Sources::from_text("weir.toml", text)
    }

    #[test]
    fn what_was_kept_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let mut kept = sources("[gateway]\nname = \"shed\"\n");
        kept.add("conf.d/1.toml".into(), b"[hub]\nlisten = []\n");
        let (_, report) = check(kept).map_err(|report| report.to_string()).unwrap();
        keep_last_good(&state, &report.sources).unwrap();
        let (plan, again) = load_last_good(&state).map_err(|report| report.to_string()).unwrap();
        assert_eq!(again.sources, report.sources);
        assert_eq!((plan.gateway.name.as_str(), plan.hub.listen.len()), ("shed", 0));
        let mode = std::fs::metadata(state.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_same_configuration_is_not_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let good = sources("[gateway]\nname = \"shed\"\n");
        keep_last_good(dir.path(), &good).unwrap();
        let written = || std::fs::metadata(dir.path().join(FILE)).unwrap().modified().unwrap();
        let path = dir.path().join(FILE);
        let old = std::time::SystemTime::UNIX_EPOCH;
        File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        keep_last_good(dir.path(), &good).unwrap();
        assert_eq!(written(), old);
        keep_last_good(dir.path(), &sources("[gateway]\nname = \"barn\"\n")).unwrap();
        assert_ne!(written(), old);
    }

    #[test]
    fn without_a_copy_or_with_a_torn_one_it_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let said = || load_last_good(dir.path()).err().unwrap().to_string();
        assert!(said().contains("cannot read"), "{}", said());
        std::fs::write(dir.path().join(FILE), b"{\"version\":1,\"fi").unwrap();
        assert!(said().contains("cannot read"), "{}", said());
    }

    #[test]
    fn a_secret_that_has_gone_leaves_its_bridge_out_and_the_rest_running() {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("secret");
        std::fs::write(&secret, "geheim\n").unwrap();
        std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
        let text = format!(
            "[gateway]\nname = \"shed\"\n[[bridge]]\nname = \"cloud\"\nurl = \"mqtts://x\"\nusername = \"u\"\npassword = {{ file = {secret:?} }}\n"
        );
        let (plan, report) = check(sources(&text)).map_err(|report| report.to_string()).unwrap();
        assert_eq!(plan.bridges[0].password.as_ref().unwrap().reveal(), "geheim");
        keep_last_good(dir.path(), &report.sources).unwrap();
        std::fs::remove_file(&secret).unwrap();
        assert!(check(sources(&text)).is_err());
        let (plan, report) = load_last_good(dir.path()).map_err(|report| report.to_string()).unwrap();
        assert_eq!(plan.bridges.len(), 0);
        assert!(report.to_string().contains("warning"), "{report}");
    }

    #[test]
    fn a_wrong_file_starts_on_its_last_good_version_and_another_file_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, rest: &str| {
            let path = dir.path().join(name);
            let text = format!("[gateway]\nname = \"shed\"\nstate_dir = {:?}\n{rest}", dir.path());
            std::fs::write(&path, text).unwrap();
            path
        };
        let path = write("weir.toml", "");
        let good = boot(&path).map_err(|report| report.to_string()).unwrap();
        assert!(good.refused.is_none());
        keep_last_good(dir.path(), &good.report.sources).unwrap();
        let path = write("weir.toml", "nam = 1\n[hub\n");
        let old = boot(&path).map_err(|report| report.to_string()).unwrap();
        assert_eq!(old.plan.gateway, good.plan.gateway);
        assert!(old.refused.unwrap().first_error().unwrap().contains("weir.toml:5"));
        assert!(boot(&write("other.toml", "nam = 1\n")).is_err());
    }

    #[test]
    fn the_state_directory_is_found_in_a_wrong_file() {
        let of = |text| state_dir_of(&sources(text));
        assert_eq!(of("[gateway]\nstate_dir = \"/x\"\nnam = 1\n[hub\nlisten = 5"), PathBuf::from("/x"));
        assert_eq!(of("nonsense"), PathBuf::from("/var/lib/weir"));
    }
}
