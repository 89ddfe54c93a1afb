//! SIGHUP and `weir user`: users, rules and limits change under the clients that are connected.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use crate::process::Weir;

const PATIENCE: Duration = Duration::from_secs(20);

fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// Connects with MQTT 3.1.1; gives the return code and the connection.
fn login(address: SocketAddr, user: &str, password: &str) -> (u8, TcpStream) {
    let mut body = b"\0\x04MQTT\x04\xc2\0\0".to_vec();
    [user, user, password].iter().for_each(|part| body.extend(text(part)));
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&[&[0x10, body.len() as u8], &body[..]].concat()).unwrap();
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).unwrap();
    (connack[3], stream)
}

fn is_alive(stream: &mut TcpStream) -> bool {
    let mut pingresp = [0; 2];
    stream.write_all(&[0xc0, 0]).is_ok() && stream.read_exact(&mut pingresp).is_ok()
}

/// `weir user ...` with one line of standard input.
fn weir_user(arguments: &[&str], file: &Path, line: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.arg("user").args(arguments).arg("--file").arg(file);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that reads nothing may be gone already.
    drop(child.stdin.take().unwrap().write_all(line.as_bytes()));
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn users_come_and_go_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let users = dir.path().join("users");
    assert_eq!(weir_user(&["add", "ann"], &users, "secret\n").0, Some(0));
    let address: SocketAddr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = dir.path().join("weir.toml");
    let write = |rest: &str| {
        let (state, users) = (dir.path().join("state"), users.display());
        let text = format!(
            "[gateway]\nname = \"shed\"\nstate_dir = {state:?}\n[hub]\nlisten = [\"{address}\"]\n\
             users_file = \"{users}\"\nallow_anonymous = \"never\"\n{rest}"
        );
        std::fs::write(&config, text).unwrap();
    };
    write("");
    let weir = Weir::start(&config, address).await;
    let log = || std::fs::read_to_string(config.with_extension("log")).unwrap();
    let (code, mut ann) = login(address, "ann", "secret");
    assert_eq!(code, 0);
    assert_eq!((login(address, "ann", "Secret").0, login(address, "bob", "x").0), (4, 4));

    assert_eq!(weir_user(&["add", "bob"], &users, "x\r\n").0, Some(0));
    weir.hang_up();
    until("bob can log in", || login(address, "bob", "x").0 == 0).await;
    assert!(is_alive(&mut ann), "a client that may stay stays");

    write("nam = 1\n");
    weir.hang_up();
    until("the mistake is told", || log().contains("unknown key `nam`")).await;
    assert!(is_alive(&mut ann) && login(address, "bob", "x").0 == 0, "a bad file changes nothing");

    write("[store]\nmax_commits = 10\n");
    assert_eq!(weir_user(&["remove", "ann"], &users, "").0, Some(0));
    weir.hang_up();
    until("ann cannot log in", || login(address, "ann", "secret").0 == 4).await;
    assert!(!is_alive(&mut ann), "whose user is gone goes");
    until("what needs a restart is told", || log().contains("only after a restart: store")).await;
    assert_eq!(weir.terminate(), Some(0));
}

#[test]
fn weir_user_refuses_what_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let users = dir.path().join("users");
    let (code, said) = weir_user(&["add", "a:b"], &users, "x\n");
    assert!(code == Some(1) && said.contains("a name has no `:`"), "{said}");
    let (code, said) = weir_user(&["add", "ann"], &users, "\n");
    assert!(code == Some(1) && said.contains("at least one character"), "{said}");
    let (code, said) = weir_user(&["remove", "ann"], &users, "");
    assert!(code == Some(1) && said.contains("No such file"), "{said}");
    assert_eq!(weir_user(&["add", "ann", "password"], &users, "").0, Some(2), "never on the command line");
    assert!(!users.exists());
    weir_user(&["add", "ann"], &users, "x");
    let (code, said) = weir_user(&["add", "ann"], &users, "y\n");
    assert!(code == Some(0) && said.starts_with("changed ann in "), "{said}");
    assert_eq!(weir_user(&["list"], &users, ""), (Some(0), "ann\n".into()));
    let (code, said) = weir_user(&["remove", "eve"], &users, "");
    assert!(code == Some(1) && said.contains("there is no user \"eve\""), "{said}");
}
