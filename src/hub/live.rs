//! Settings, and the users they name, that can change while the hub runs.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::access::users::Users;
use super::settings::Settings;

/// What is in force now. A connection takes it once and asks for the generation, which costs no lock,
/// to learn that there is something new.
#[derive(Debug)]
pub(crate) struct Live {
    now: RwLock<Now>,
    generation: AtomicU64,
}

#[derive(Debug, Clone)]
struct Now {
    settings: Arc<Settings>,
    /// With a users file only.
    users: Option<Arc<Users>>,
}

impl Live {
    /// Reads the users file, if one is named. Of a bad one the good lines count; without it nobody has a name.
    pub(crate) fn new(settings: Settings) -> Self {
        let users = settings.users_file.as_deref().map(|path| Arc::new(read_what_is_good(path)));
        Self { now: RwLock::new(Now { settings: Arc::new(settings), users }), generation: AtomicU64::new(0) }
    }

    fn now(&self) -> Now {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The settings.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.now().settings
    }

    /// Settings and users.
    pub(crate) fn settings_and_users(&self) -> (Arc<Settings>, Option<Arc<Users>>) {
        let now = self.now();
        (now.settings, now.users)
    }

    /// Rises with every [`replace`](Self::replace). Read it before the settings: they may be newer, never older.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// New settings for everybody, and the users file read again. Where the hub listens stays as it was; says
    /// whether that was to change. Blocks while it reads.
    ///
    /// # Errors
    /// The users file cannot be read or has bad lines: then nothing changes.
    pub(crate) fn replace(&self, new: Settings) -> io::Result<bool> {
        let users = new.users_file.as_deref().map(read_all).transpose()?.map(Arc::new);
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let kept = new.listening_as(&now.settings);
        let moved = kept != new;
        *now = Now { settings: Arc::new(kept), users };
        self.generation.fetch_add(1, Ordering::Release);
        Ok(moved)
    }
}

fn read_what_is_good(path: &Path) -> Users {
    let (users, bad) = Users::read(path).unwrap_or_else(|error| {
        tracing::error!(file = %path.display(), %error, "the users file cannot be read: nobody has a name");
        (Users::nobody().expect("the kernel has random numbers"), Vec::new())
    });
    for line in bad {
        tracing::error!(file = %path.display(), "line {} of the users file: {}", line.number, line.why);
    }
    users
}

fn read_all(path: &Path) -> io::Result<Users> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let (users, bad) = Users::read(path).map_err(named)?;
    let told: Vec<_> = bad.iter().map(|line| format!("line {}: {}", line.number, line.why)).collect();
    let bad = || named(io::Error::new(io::ErrorKind::InvalidData, told.join("; ")));
    if told.is_empty() { Ok(users) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;

    #[test]
    fn everything_changes_but_where_the_hub_listens() {
        let old = Settings { listen: vec!["127.0.0.1:1".parse().unwrap()], ..Settings::new(Name::new("a").unwrap()) };
        let live = Live::new(old.clone());
        let new = Settings { own: vec![Name::new("b").unwrap()], ..old.clone() };
        assert!(!live.replace(new.clone()).unwrap());
        assert_eq!((*live.settings() == new, live.generation()), (true, 1));
        assert!(live.replace(Settings { listen_ws: vec!["127.0.0.1:2".parse().unwrap()], ..new.clone() }).unwrap());
        assert_eq!((*live.settings() == new, live.generation()), (true, 2));
    }

    #[test]
    fn a_bad_users_file_counts_in_part_at_start_and_not_at_all_later() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users");
        crate::hub::users::add(&path, "ann", b"x", dir.path()).unwrap();
        let good = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{good}bob:secret\n")).unwrap();
        let settings = Settings { users_file: Some(path.clone()), ..Settings::new(Name::new("a").unwrap()) };
        let live = Live::new(settings.clone());
        let knows = |name: &str| live.settings_and_users().1.unwrap().contains(name);
        assert!(knows("ann") && !knows("bob"));
        let changed = Settings { own: vec![Name::new("b").unwrap()], ..settings.clone() };
        let error = live.replace(changed.clone()).unwrap_err().to_string();
        assert!(error.contains("line 2: not an argon2id hash"), "{error}");
        std::fs::remove_file(&path).unwrap();
        assert!(live.replace(changed).is_err());
        assert!(knows("ann") && *live.settings() == settings && live.generation() == 0);
        assert!(Live::new(settings).settings_and_users().1.unwrap().is_empty());
    }
}
