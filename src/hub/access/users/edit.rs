//! Changing a users file: whole or not at all, other lines as they were.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::{check_name, hash, read_text, split};

/// The longest password: MQTT has two bytes for its length (MQTT 5.0 section 3.1.3.6).
const LONGEST_PASSWORD: usize = 65_535;

/// What has become of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A new user.
    Added,
    /// The user was there and has another password now.
    Changed,
    /// The user is gone.
    Removed,
    /// There was no such user, so nothing has changed.
    Unknown,
}

/// Adds a user, or gives one a new password. A file that is not there is made, owned like `like` when root makes it.
///
/// # Errors
/// The name or the password cannot be one, or the file cannot be written.
pub fn add(path: &Path, name: &str, password: &[u8], like: &Path) -> io::Result<Outcome> {
    let wrong = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, why.to_owned()));
    match (check_name(name), password.len()) {
        (Err(why), _) => return wrong(why),
        (_, 0) => return wrong("a password has at least one character"),
        (_, LONGEST_PASSWORD..) if password.len() > LONGEST_PASSWORD => {
            return wrong("a password has at most 65535 bytes");
        }
        _ => {}
    }
    let line = format!("{name}:{}\n", hash::make(password).map_err(io::Error::other)?);
    change(path, like, |text| {
        let (mut new, mut found) = (String::with_capacity(text.len() + line.len()), false);
        for old in text.split_inclusive('\n') {
            let is_it = split(old).is_some_and(|(user, _)| user == name);
            match (is_it, found) {
                (true, false) => new.push_str(&line),
                (true, true) => {}
                (false, _) => new.push_str(old),
            }
            found |= is_it;
        }
        if !found {
            if !new.is_empty() && !new.ends_with('\n') {
                new.push('\n');
            }
            new.push_str(&line);
        }
        (if found { Outcome::Changed } else { Outcome::Added }, new)
    })
}

/// Removes a user.
///
/// # Errors
/// The file is not there or cannot be written.
pub fn remove(path: &Path, name: &str) -> io::Result<Outcome> {
    fs::metadata(path)?;
    change(path, path, |text| {
        let is_it = |line: &&str| split(line).is_some_and(|(user, _)| user == name);
        let new: String = text.split_inclusive('\n').filter(|line| !is_it(line)).collect();
        (if new == text { Outcome::Unknown } else { Outcome::Removed }, new)
    })
}

/// The names in a users file, in its order.
///
/// # Errors
/// The file cannot be read.
pub fn list(path: &Path) -> io::Result<Vec<String>> {
    Ok(read_text(path)?.lines().filter_map(split).map(|(name, _)| name.to_owned()).collect())
}

/// Writes what `act` makes of the file beside it, syncs, and renames it over. One change at a time.
fn change(path: &Path, like: &Path, act: impl FnOnce(&str) -> (Outcome, String)) -> io::Result<Outcome> {
    // A link stays a link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let dir =
        path.parent().filter(|dir| !dir.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_owned);
    let lock = File::open(&dir)?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
    let (old, owner) = match read_text(&path) {
        Ok(text) => (text, fs::metadata(&path)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            (String::new(), fs::metadata(like).or_else(|_| fs::metadata(&dir))?)
        }
        Err(error) => return Err(error),
    };
    let (outcome, new) = act(&old);
    if outcome != Outcome::Unknown {
        let mut beside = path.clone().into_os_string();
        beside.push(".new");
        write(Path::new(&beside), &new, (owner.uid(), owner.gid()))?;
        fs::rename(&beside, &path)?;
        lock.sync_all()?;
    }
    Ok(outcome)
}

/// For its owner alone, from the first byte on.
fn write(path: &Path, text: &str, (user, group): (u32, u32)) -> io::Result<()> {
    // What a change that was cut short left behind is nobody's.
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mine = file.metadata()?;
    if (mine.uid(), mine.gid()) != (user, group) {
        let given = fchown(&file, Some(user), Some(group));
        // Somebody other than root can only write for themselves.
        if let Err(error) = given
            && rustix::process::geteuid().is_root()
        {
            return Err(error);
        }
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::Users;
    use super::*;

    fn users(path: &Path) -> Users {
        let (users, bad) = Users::read(path).unwrap();
        assert_eq!(bad, []);
        users
    }

    #[test]
    fn users_come_change_and_go_and_comments_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users");
        assert_eq!(add(&path, "ann", b"1", dir.path()).unwrap(), Outcome::Added);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let commented = format!("# sheds\n{}\n# end", fs::read_to_string(&path).unwrap());
        fs::write(&path, &commented).unwrap();
        assert_eq!(add(&path, "bob", b"2", dir.path()).unwrap(), Outcome::Added);
        assert_eq!(add(&path, "ann", b"3", dir.path()).unwrap(), Outcome::Changed);
        let now = users(&path);
        assert!(now.verify("ann", b"3") && !now.verify("ann", b"1") && now.verify("bob", b"2"));
        assert_eq!(list(&path).unwrap(), ["ann", "bob"]);
        assert_eq!(remove(&path, "eve").unwrap(), Outcome::Unknown);
        assert_eq!(remove(&path, "bob").unwrap(), Outcome::Removed);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# sheds\nann:$argon2id$") && text.ends_with("\n# end\n"), "{text}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn bad_names_and_passwords_change_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users");
        for (name, password) in
            [("a:b", &b"x"[..]), ("a\nroot", b"x"), ("*", b"x"), ("ann", b""), ("ann", &[b'x'; 65_536])]
        {
            assert_eq!(add(&path, name, password, dir.path()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
        assert!(!path.exists());
        assert_eq!(remove(&path, "ann").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_link_stays_a_link_and_an_open_file_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        add(&link, "ann", b"1", dir.path()).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(users(&path).contains("ann"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn changes_at_once_are_all_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users");
        std::thread::scope(|scope| {
            for n in 0..4 {
                let (path, dir) = (&path, dir.path());
                scope.spawn(move || add(path, &format!("u{n}"), b"x", dir).unwrap());
            }
        });
        assert_eq!(users(&path).len(), 4);
    }
}
