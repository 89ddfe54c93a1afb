//! `weir init`: at a real terminal, and without one.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions, read_to_string};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::machine::{Machine, said, weir};

/// How long the program may take to say something.
const PATIENCE: Duration = Duration::from_secs(20);

/// `weir` with a terminal, and the hands and eyes of its user.
struct Session {
    program: Child,
    hands: File,
    eyes: Receiver<Vec<u8>>,
    seen: String,
}

impl Session {
    fn start(args: &[&str]) -> Self {
        let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&user).expect("it is ours");
        unlockpt(&user).expect("it is ours");
        let name = ptsname(&user, Vec::new()).expect("it has a name");
        let node = Path::new(OsStr::from_bytes(name.as_bytes()));
        let mut open = OpenOptions::new();
        let terminal = open.read(true).write(true).custom_flags(OFlags::NOCTTY.bits() as i32).open(node);
        let terminal = terminal.expect("the node is there");
        let end = || Stdio::from(terminal.try_clone().expect("a descriptor"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        let program = command.args(args).stdin(end()).stdout(end()).stderr(end()).spawn().expect("it was built");
        let hands = File::from(user);
        let mut screen = hands.try_clone().expect("a descriptor");
        let (show, eyes) = sync_channel(64);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // It ends with an error when the program is gone and nobody holds the terminal any more.
            while let Ok(count) = screen.read(&mut buffer) {
                if count == 0 || show.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { program, hands, eyes, seen: String::new() }
    }

    /// Waits until the program asks `question`, and answers.
    fn answer(&mut self, question: &str, answer: &str) {
        while !self.seen.contains(question) {
            let more = self.eyes.recv_timeout(PATIENCE);
            let more = more.unwrap_or_else(|_| panic!("it never asks {question:?}, but: {}", self.seen));
            self.seen += &String::from_utf8_lossy(&more);
        }
        let end = self.seen.find(question).expect("it was asked") + question.len();
        self.seen.drain(..end);
        self.hands.write_all(format!("{answer}\n").as_bytes()).expect("the terminal takes it");
    }

    fn ends_with(mut self) -> Option<i32> {
        while let Ok(more) = self.eyes.recv_timeout(PATIENCE) {
            self.seen += &String::from_utf8_lossy(&more);
            if self.program.try_wait().expect("it is ours").is_some() {
                break;
            }
        }
        self.program.wait().expect("it is ours").code()
    }
}

#[test]
fn an_owner_at_a_terminal_chooses_names_and_a_cloud() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let file = dir.path().join("weir.toml");
    let path = file.to_str().expect("UTF-8");
    let mut session = Session::start(&["init", "--simulate", path]);
    session.answer("every topic [simulated]: ", "shed");
    // The simulated chips, in the order of their addresses: only the BME280 is wanted, under another name.
    let simulated = said(&weir(&["scan", "--simulate"]));
    let found: Vec<_> = simulated.lines().filter_map(|line| line.strip_prefix("driver  = ")).collect();
    for driver in found.iter().filter(|driver| **driver != "\"thermal\"") {
        let wanted = *driver == "\"bme280\"";
        session.answer("Read it? [Y/n]: ", if wanted { "" } else { "n" });
        if wanted {
            session.answer("[bme280-76]: ", "no good name");
            session.answer("[bme280-76]: ", "greenhouse");
        }
    }
    session.answer("[none]: ", "mqtts://broker.example.net");
    assert_eq!(session.ends_with(), Some(0));
    assert_eq!(weir(&["check", path]).status.code(), Some(0));
    let text = read_to_string(&file).expect("it was written");
    assert!(text.contains("name = \"shed\"") && text.contains("\nurl = \"mqtts://broker.example.net\""), "{text}");
    assert!(text.contains("name    = \"greenhouse\"\ndriver  = \"bme280\""), "{text}");
    assert!(!text.contains("\ndriver  = \"sht4x\""), "{text}");
}

#[test]
fn without_a_terminal_everything_is_taken_and_nothing_is_overwritten() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let file = dir.path().join("etc/weir.toml");
    let path = file.to_str().expect("UTF-8");
    for machine in Machine::all() {
        let output = machine.weir(&["init", path, "--force"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let checked = weir(&["check", path]);
        assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stdout));
        assert_eq!(said(&checked).lines().count(), 1, "no warnings");
        assert_eq!(read_to_string(&file).expect("written"), said(&machine.weir(&["init", "--print"])));
    }
    let before = read_to_string(&file).expect("written");
    let refused = weir(&["init", "--yes", path]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--force"));
    assert_eq!(read_to_string(&file).expect("written"), before);
}
