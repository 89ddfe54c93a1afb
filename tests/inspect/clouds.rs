//! The way to real brokers and to what pretends to be one.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::common::authority::{Authority, Files};
use super::common::mosquitto::{Mosquitto, free_address, free_address_on};
use super::doctor::{examine, findings, the_one};
use super::machine::weir;

/// Bridges to these addresses, called `b0`, `b1` and so on.
fn bridges(urls: &[String], tls: &str) -> String {
    let listen = free_address();
    let mut text = format!("[hub]\nlisten = [\"{listen}\"]\n");
    for (number, url) in urls.iter().enumerate() {
        writeln!(text, "[[bridge]]\nname = \"b{number}\"\nurl = {url:?}\n{tls}").expect("a string");
    }
    text
}

/// Lines of mosquitto.conf for a listener with this certificate.
fn listener(address: SocketAddr, (certificate, key): &Files) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!("listener {port} {ip}\ncertfile {}\nkeyfile {}\n", certificate.display(), key.display())
}

#[tokio::test]
async fn certificates_are_judged_by_dates_names_and_authorities() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let here = |last| free_address_on(Ipv4Addr::new(127, 0, 0, last));
    // Certificates are for 127.0.0.1; who is called 127.0.0.2 has another name.
    let brokers = [
        (here(1), authority.server("good")),
        (here(1), authority.server_between("late", (2001, 2002))),
        (here(1), authority.server_between("early", (2090, 2091))),
        (here(2), authority.server("other")),
        (here(1), stranger.server("stranger")),
    ];
    let lines: String = brokers.iter().map(|(address, files)| listener(*address, files)).collect();
    let broker = Mosquitto::start_with(&lines).await;
    let mut urls: Vec<_> = brokers.iter().map(|(address, _)| format!("mqtts://{address}")).collect();
    // TLS to a port that speaks none.
    urls.push(format!("mqtts://{}", broker.address()));
    let tls = format!("tls = {{ ca = {:?} }}\n", authority.pem());
    let (found, code) = tokio::task::spawn_blocking(move || findings(&bridges(&urls, &tls))).await.expect("no panic");
    assert_eq!(code, Some(1));
    let problem = ("problem".to_owned(), true);
    assert_eq!(the_one(&found, "bridge b0: ").0, "ok");
    assert_eq!(the_one(&found, "more days").0, "ok");
    assert_eq!(the_one(&found, "has expired at 2002-01-01T00:00:00.000Z"), problem);
    assert_eq!(the_one(&found, "is not valid before 2090-01-01T00:00:00.000Z"), problem);
    assert_eq!(the_one(&found, "the certificate is not for 127.0.0.2"), problem);
    assert_eq!(the_one(&found, "is from an authority we do not trust"), problem);
    assert_eq!(the_one(&found, "bridge b5: "), problem);
}

/// A port whose queue of connections is full: the kernel answers nobody any more.
fn black_hole() -> (TcpListener, Vec<TcpStream>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    rustix::net::listen(&listener, 0).expect("it may be changed");
    let address = listener.local_addr().expect("bound");
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
    }
    (listener, waiting, address)
}

#[test]
fn who_does_not_answer_is_given_up_in_time_and_all_at_once() {
    let (_full, _waiting, hole) = black_hole();
    let mute = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mute_at = mute.local_addr().expect("bound");
    let refused = free_address();
    let urls = [
        format!("mqtt://{hole}"),
        format!("mqtts://{mute_at}"),
        format!("ws://{mute_at}"),
        format!("mqtt://{refused}"),
        "mqtt://nobody.invalid".to_owned(),
        format!("mqtts://{hole}"),
    ];
    let began = Instant::now();
    let (found, _) = findings(&bridges(&urls, ""));
    // Five that hang, 2 s each: one after the other it would be 10 s.
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let problem = ("problem".to_owned(), true);
    assert_eq!(the_one(&found, &format!("mqtt://{hole}: no connection to {hole} within 2 s")), problem);
    assert_eq!(
        the_one(&found, &format!("mqtts://{mute_at}: TCP is open, and TLS is not answered within 2 s")),
        problem
    );
    assert_eq!(the_one(&found, "TCP is open, and the WebSocket is not answered within 2 s"), problem);
    assert_eq!(the_one(&found, &format!("mqtt://{refused}: cannot connect")), problem);
    assert_eq!(the_one(&found, "nobody.invalid"), problem);
}

#[tokio::test]
async fn a_fail_over_that_answers_makes_the_other_a_warning() {
    let broker = Mosquitto::start().await;
    let (up, down) = (broker.address(), free_address());
    let text = format!(
        "[hub]\nlisten = [\"{}\"]\n[[bridge]]\nname = \"cloud\"\nurl = [\"mqtt://{down}\", \"mqtt://{up}\"]\n",
        free_address()
    );
    let (found, _) = tokio::task::spawn_blocking(move || findings(&text)).await.expect("no panic");
    assert_eq!(the_one(&found, &format!("mqtt://{down}: cannot connect")).0, "warning");
    assert_eq!(the_one(&found, &format!("mqtt://{up}: answers in ")).0, "ok");
}

/// A gateway of its own process; killed when dropped.
struct Gateway(Child);

impl Gateway {
    fn start(config: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(["run", "--config"]).arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("weir starts"))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Already gone is as good as killed.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The running gateway tells what the cloud takes at once; nobody logs in beside it, so that it stays connected.
#[tokio::test]
async fn a_running_gateway_is_asked_and_left_alone() {
    let broker = Mosquitto::start_with("max_inflight_messages 20\n").await;
    let dir = tempfile::tempdir().expect("a scratch directory");
    let (file, listen) = (dir.path().join("weir.toml"), free_address());
    let text = format!(
        "[gateway]\nname = \"shed\"\nstate_dir = {:?}\n[hub]\nlisten = [\"{listen}\"]\n[[bridge]]\nname = \"cloud\"\n\
         url = \"mqtt://{}\"\n[[bridge.forward]]\ntopics = [\"shed/#\"]\n",
        dir.path(),
        broker.address()
    );
    fs::write(&file, &text).expect("writable");
    let gateway = Gateway::start(&file);
    let path = file.to_str().expect("UTF-8").to_owned();
    let status = |path: &str| {
        let output = weir(&["status", "--json", "--config", path]);
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap_or_default()
    };
    let until = async |connected: &dyn Fn(&serde_json::Value) -> bool| {
        let wait = async {
            while !connected(&status(&path)) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(20), wait).await.expect("the gateway gets there");
    };
    until(&|status| status["costs"][0]["takes"] == 20).await;
    let (found, code) = examine(&path);
    assert_eq!(code, Some(0), "{found:#?}");
    assert_eq!(the_one(&found, "the cloud takes 20 messages at once").0, "warning");
    assert_eq!(the_one(&found, &format!("weir listens on {listen}")).0, "ok");
    assert_eq!(the_one(&found, "runs, and all is well").0, "ok");
    let log = fs::read_to_string(broker.dir().join("log")).expect("mosquitto writes one");
    assert_eq!(log.matches(" as shed-cloud ").count(), 1, "it was thrown out: {log}");
    // On the last good configuration, while the one in the file is wrong.
    drop(gateway);
    fs::write(&file, text + "nam = 1\n").expect("writable");
    let _again = Gateway::start(&file);
    until(&|status| status["trouble"].is_string()).await;
    let (found, code) = examine(&path);
    assert_eq!(code, Some(1));
    assert_eq!(the_one(&found, "a start would take the last good one"), ("problem".into(), true));
    let trouble = status(&path)["trouble"].as_str().expect("told").to_owned();
    assert_eq!(the_one(&found, &trouble), ("problem".into(), true));
    assert_eq!(the_one(&found, &format!("weir listens on {listen}")).0, "ok");
}
