//! `weir user add` on a real terminal: what is typed there is not shown, and the terminal is left as it was.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

/// Both ends of a pseudo-terminal.
struct Keyboard {
    keys: File,
    terminal: File,
}

impl Keyboard {
    fn new() -> Self {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
        let name = ptsname(&keys, Vec::new()).unwrap();
        let node = Path::new(OsStr::from_bytes(name.as_bytes()));
        let flags = OFlags::NOCTTY.bits() as i32;
        let terminal = OpenOptions::new().read(true).write(true).custom_flags(flags).open(node).unwrap();
        Self { keys: File::from(keys), terminal }
    }

    /// Starts `weir user add anna` here.
    fn add(&self, users: &Path) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(["user", "add", "anna", "--file"]).arg(users);
        command.stdin(self.terminal.try_clone().unwrap()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    fn shows_what_is_typed(&self) -> bool {
        tcgetattr(&self.terminal).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// Waits for the question, and answers.
    fn answer(&self, questions: &mut ChildStderr, question: &str, typed: &str) {
        let mut asked = vec![0; question.len()];
        questions.read_exact(&mut asked).unwrap();
        assert_eq!(String::from_utf8_lossy(&asked), question);
        assert!(!self.shows_what_is_typed(), "before anything is typed");
        (&self.keys).write_all(typed.as_bytes()).unwrap();
    }

    /// Everything the terminal has shown.
    fn shown(&self) -> String {
        fcntl_setfl(&self.keys, OFlags::NONBLOCK).unwrap();
        let mut shown = Vec::new();
        // It ends with "would block", which is no end of file.
        (&self.keys).read_to_end(&mut shown).ok();
        String::from_utf8(shown).unwrap()
    }
}

#[test]
fn a_typed_password_is_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let users = dir.path().join("users");
    let keyboard = Keyboard::new();
    assert!(keyboard.shows_what_is_typed());
    let mut child = keyboard.add(&users);
    let mut questions = child.stderr.take().unwrap();
    keyboard.answer(&mut questions, "Password: ", "green door\n");
    keyboard.answer(&mut questions, "\nOnce more: ", "green door\n");
    assert!(child.wait().unwrap().success());
    assert!(std::fs::read_to_string(&users).unwrap().starts_with("anna:$argon2id$"));
    assert!(keyboard.shows_what_is_typed(), "as it was before");
    assert!(!keyboard.shown().contains("green"));
}

#[test]
fn two_different_answers_and_ctrl_c_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let users = dir.path().join("users");
    for second in ["green floor\n", "\u{3}\n"] {
        let keyboard = Keyboard::new();
        let mut child = keyboard.add(&users);
        let mut questions = child.stderr.take().unwrap();
        keyboard.answer(&mut questions, "Password: ", "green door\n");
        keyboard.answer(&mut questions, "\nOnce more: ", second);
        assert_eq!(child.wait().unwrap().code(), Some(1), "{second:?}");
        assert!(keyboard.shows_what_is_typed());
        assert!(!users.exists());
    }
}
