//! The users file: who has a name here, and the hash of whose password.
//!
//! One user a line, `name:$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`; blank lines and lines that begin with `#` say
//! nothing. A name has 1 to 255 bytes, no `:`, `+`, `#` or `/`, no control characters, no blank at either end, does
//! not begin with `$`, and is neither `anonymous` nor `*`.

mod edit;
mod hash;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use blake2::Blake2bMac512;
use blake2::digest::{KeyInit, Mac};

use hash::Hash;

pub use edit::{Outcome, add, list, remove};

/// Users at most, and bytes of the whole file.
const MOST: usize = 10_000;
const MOST_BYTES: u64 = 4 << 20;
/// Bytes of a name.
const LONGEST_NAME: usize = 255;

/// The users of a file, and who of them has logged in since it was read.
pub struct Users {
    by_name: HashMap<Arc<str>, Hash>,
    /// Verified in place of a user who does not exist, so that both take the same time.
    decoy: Hash,
    /// Hashes, under a key of this process, of the passwords that were right. A user has one password, so this
    /// never has more entries than `by_name`; a reload makes new `Users` and so forgets them.
    passed: Mutex<HashMap<Arc<str>, [u8; 64]>>,
    key: [u8; 32],
}

/// A line of a users file that says nothing useful.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Counted from 1.
    pub number: usize,
    /// What is wrong with it.
    pub why: String,
}

/// Why a name cannot be a user's.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("a name has at least one character"),
        "anonymous" | "*" => Err("this name has a meaning in the rules"),
        _ if name.len() > LONGEST_NAME => Err("a name has at most 255 bytes"),
        _ if name.contains([':', '+', '#', '/']) => Err("a name has no `:`, `+`, `#` or `/`"),
        _ if name.contains(char::is_control) => Err("a name has no control characters"),
        _ if name.starts_with('$') => Err("a name does not begin with `$`"),
        _ if name.trim() != name => Err("a name does not begin or end with a blank"),
        _ => Ok(()),
    }
}

/// The name and the rest of a line; nothing for one that says nothing.
fn split(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    (!line.is_empty() && !line.starts_with('#')).then(|| line.split_once(':').unwrap_or((line, "")))
}

/// The text of a users file.
fn read_text(path: &Path) -> io::Result<String> {
    if std::fs::metadata(path)?.len() > MOST_BYTES {
        return Err(io::Error::other(format!("more than {MOST_BYTES} bytes are not a users file")));
    }
    std::fs::read_to_string(path)
}

impl Users {
    /// Reads a users file: the users of its good lines, and its bad ones.
    ///
    /// # Errors
    /// The file cannot be read, or the system has no random numbers.
    pub fn read(path: &Path) -> io::Result<(Self, Vec<BadLine>)> {
        Self::parse(&read_text(path)?)
    }

    /// As [`read`](Self::read), of a text.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn parse(text: &str) -> io::Result<(Self, Vec<BadLine>)> {
        let (mut by_name, mut bad) = (HashMap::new(), Vec::new());
        for (at, line) in text.lines().enumerate() {
            let Some((name, hash)) = split(line) else { continue };
            let why = match (check_name(name), Hash::parse(hash)) {
                (Err(why), _) => why.to_owned(),
                (_, Err(why)) => why,
                _ if by_name.contains_key(name) => format!("a second `{name}`"),
                _ if by_name.len() == MOST => format!("more than {MOST} users"),
                (Ok(()), Ok(hash)) => {
                    by_name.insert(Arc::from(name), hash);
                    continue;
                }
            };
            bad.push(BadLine { number: at + 1, why });
        }
        Ok((Self::of(by_name)?, bad))
    }

    /// Nobody has a name.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn nobody() -> io::Result<Self> {
        Self::of(HashMap::new())
    }

    fn of(by_name: HashMap<Arc<str>, Hash>) -> io::Result<Self> {
        let decoy = Hash::decoy(by_name.values().max_by_key(|hash| hash.cost())).map_err(io::Error::other)?;
        let key = hash::random().map_err(io::Error::other)?;
        Ok(Self { by_name, decoy, passed: Mutex::default(), key })
    }

    /// Whether there is a user of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// How many users there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The hash of this user's password: as long as it is the same, so is the password.
    pub(crate) fn proof(&self, name: &str) -> Option<Arc<str>> {
        self.by_name.get(name).map(|hash| Arc::clone(&hash.text))
    }

    /// Whether this user has given this password before. Quick; saying no means nothing.
    pub(crate) fn has_passed(&self, name: &str, password: &[u8]) -> bool {
        let tag = self.passed.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        // Compares in constant time.
        tag.is_some_and(|tag| self.mac(password).verify_slice(&tag).is_ok())
    }

    /// Verifies the password of a user. Takes as long for a name that does not exist; blocks meanwhile.
    pub(crate) fn verify(&self, name: &str, password: &[u8]) -> bool {
        let found = self.by_name.get_key_value(name);
        let matches = found.map_or(&self.decoy, |(_, hash)| hash).verify(password);
        let Some((name, _)) = found.filter(|_| matches) else { return false };
        let tag = self.mac(password).finalize().into_bytes().into();
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(name), tag);
        true
    }

    fn mac(&self, password: &[u8]) -> Blake2bMac512 {
        let mut mac = <Blake2bMac512 as KeyInit>::new_from_slice(&self.key).expect("a key of 32 bytes fits");
        mac.update(password);
        mac
    }
}

/// Shows no hashes.
impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} users", self.by_name.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_lines_are_users_and_bad_ones_are_told_with_their_number() {
        let hash = hash::make(b"x").unwrap();
        let text =
            format!("# sheds\n\nann:{hash}\r\n  bob:{hash}  \nann:{hash}\n#eve:{hash}\nno one\na/b:{hash}\nx:secret\n");
        let (users, bad) = Users::parse(&text).unwrap();
        assert!(users.contains("ann") && users.contains("bob") && !users.contains("eve"));
        assert_eq!(users.len(), 2);
        let told: Vec<_> = bad.iter().map(|line| (line.number, line.why.as_str())).collect();
        assert_eq!(
            told,
            [
                (5, "a second `ann`"),
                (7, "not an argon2id hash"),
                (8, "a name has no `:`, `+`, `#` or `/`"),
                (9, "not an argon2id hash")
            ]
        );
        assert!(!format!("{users:?}").contains("argon2id"));
    }

    #[test]
    fn names_that_mean_something_else_are_refused() {
        for bad in ["", "*", "anonymous", "a:b", "+", "a#", "a/b", "a\tb", "$SYS", " a", "a ", &"x".repeat(256)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        for good in ["ann", "é", "a b", "dev-1", "100%", &"x".repeat(255)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_passed_is_remembered_and_nothing_else() {
        let text = format!("ann:{}\nbob:{}\n", hash::make(b"x").unwrap(), hash::make(b"y").unwrap());
        let (users, _) = Users::parse(&text).unwrap();
        assert!(!users.has_passed("ann", b"x"));
        assert!(users.verify("ann", b"x") && !users.verify("ann", b"y") && !users.verify("eve", b"x"));
        assert!(users.has_passed("ann", b"x") && !users.has_passed("ann", b"y"));
        assert!(!users.has_passed("bob", b"y") && !users.has_passed("eve", b"x"));
        assert_eq!(users.passed.lock().unwrap().len(), 1);
        let (again, _) = Users::parse(&text).unwrap();
        assert!(!again.has_passed("ann", b"x"), "a new file starts anew");
    }
}
