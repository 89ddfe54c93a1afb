//! The command line against a running gateway, as its owner uses it.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::common::mosquitto::free_address;
use crate::process::Weir;

/// A gateway with a simulated sensor and a simulated relay.
async fn gateway() -> (TempDir, std::path::PathBuf, Weir) {
    let (dir, address) = (tempfile::tempdir().expect("a scratch directory"), free_address());
    let text = format!(
        "[gateway]\nname = \"shed\"\nstate_dir = \"{}\"\n[hub]\nlisten = [\"{address}\"]\n\
         [bus.i2c-1]\nbackend = \"simulated\"\n[bus.gpio]\nbackend = \"simulated\"\n\
         [[sensor]]\nname = \"air\"\ndriver = \"sht4x\"\nevery = \"200ms\"\noptions = {{ bus = \"i2c-1\" }}\n\
         [[output]]\nname = \"pump\"\ndriver = \"gpio-out\"\nboot = \"off\"\nmax_on = \"1s\"\ncommand_ttl = \"20s\"\n\
         options = {{ line = \"GPIO17\" }}\n",
        dir.path().join("state").display()
    );
    let config = dir.path().join("weir.toml");
    std::fs::write(&config, text).expect("the scratch directory is writable");
    let weir = Weir::start(&config, address).await;
    (dir, config, weir)
}

/// A sensor for each payload format.
#[tokio::test(flavor = "multi_thread")]
async fn sensors_publish_in_their_formats() {
    let (dir, address) = (tempfile::tempdir().expect("a scratch directory"), free_address());
    let state = dir.path().join("state");
    let mut text = format!(
        "[gateway]\nname = \"shed\"\nstate_dir = \"{}\"\n[hub]\nlisten = [\"{address}\"]\n\
         [bus.i2c-1]\nbackend = \"simulated\"\n",
        state.display()
    );
    for (number, format) in ["value", "senml", "cbor", "influx"].iter().enumerate() {
        text += &format!(
            "[[sensor]]\nname = \"{format}\"\ndriver = \"lm75\"\nevery = \"200ms\"\n\
             options = {{ bus = \"i2c-1\", address = {} }}\npublish = {{ format = \"{format}\" }}\n",
            0x48 + number
        );
    }
    let config = dir.path().join("weir.toml");
    std::fs::write(&config, text).expect("the scratch directory is writable");
    let _weir = Weir::start(&config, address).await;
    until(&config, "shed/senml/temperature", r#"[{"n":"shed/senml/temperature","u":"Cel","t":1"#).await;
    until(&config, "shed/influx/temperature", "temperature,gateway=shed,sensor=influx,unit=°C value=").await;
    until(&config, "shed/cbor/temperature", "quality").await;
    let value = until(&config, "shed/value/temperature", "temperature ").await;
    assert!(value.trim().rsplit(' ').next().expect("a payload").parse::<f64>().is_ok(), "{value}");
}

/// Runs `weir COMMAND --config CONFIG ARGS...` to its end, without holding up the test's runtime.
async fn weir(command: &str, config: &Path, args: &[&str]) -> Output {
    let mut process = Command::new(env!("CARGO_BIN_EXE_weir"));
    process.arg(command).arg("--config").arg(config).args(args).stdin(Stdio::null());
    let end = tokio::task::spawn_blocking(move || process.output().expect("weir starts"));
    timeout(Duration::from_secs(30), end).await.expect("it ends within 30 s").expect("no panic")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until `weir sub -n 1 TOPIC` shows something that contains `wanted`.
async fn until(config: &Path, topic: &str, wanted: &str) -> String {
    let seen = async {
        loop {
            let said = text(&weir("sub", config, &["-n", "1", topic]).await);
            if said.contains(wanted) {
                return said;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), seen).await.unwrap_or_else(|_| panic!("{topic} never says {wanted}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn status_sub_and_pub_talk_to_the_gateway() {
    let (_dir, config, running) = gateway().await;
    let reading = until(&config, "shed/air/temperature", "°C").await;
    assert!(reading.contains("\"quality\":\"simulated\""), "{reading}");
    until(&config, "shed/air/status", "\"ok\"").await;
    until(&config, "shed/gateway/status", "\"up\"").await;

    let status = weir("status", &config, &[]).await;
    assert!(text(&status).contains("sensor   air"), "{}", text(&status));
    let status = weir("status", &config, &["--json"]).await;
    let report: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert_eq!(report["gateway"], "shed");

    assert!(weir("pub", &config, &["-r", "lan/x", "hello"]).await.status.success());
    assert_eq!(text(&weir("sub", &config, &["-n", "1", "lan/#"]).await), "lan/x hello\n");
    let own = weir("pub", &config, &["shed/air/temperature", "99"]).await;
    assert_eq!(own.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&own.stderr).contains("only the gateway itself"));
    let socket = config.with_file_name("state").join("control");
    assert!(socket.exists());
    assert_eq!(running.terminate(), Some(0));
    assert!(!socket.exists(), "the control socket stays behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_obeys_fresh_commands_and_its_safety_keys() {
    let (_dir, config, running) = gateway().await;
    until(&config, "shed/pump/state", "\"boot\"").await;
    assert!(weir("pub", &config, &["shed/cmd/pump/set", "on"]).await.status.success());
    until(&config, "shed/pump/state", "\"on\"").await;
    until(&config, "shed/pump/state", "\"max_on\"").await;

    let old = r#"{"set":"on","time":"2020-01-01T00:00:00Z"}"#;
    for (payload, retain, why) in
        [(old, false, "too old"), ("perhaps", false, "not understood"), ("on", true, "retained")]
    {
        let (target, config) = (config.clone(), config.clone());
        let outcome = tokio::spawn(async move { weir("sub", &target, &["-n", "1", "shed/pump/outcome"]).await });
        let outcome = poke(outcome, &config, payload, retain).await;
        assert!(outcome.contains("refused") && outcome.contains(why), "{payload}: {outcome}");
    }
    assert_eq!(running.terminate(), Some(0));
}

/// Gives the command again and again until its outcome was heard: the listener may not listen yet.
async fn poke(outcome: tokio::task::JoinHandle<Output>, config: &Path, payload: &str, retain: bool) -> String {
    let args: &[&str] = if retain { &["-r"] } else { &[] };
    while !outcome.is_finished() {
        let args = [args, &["shed/cmd/pump/set", payload]].concat();
        assert!(weir("pub", config, &args).await.status.success());
    }
    text(&outcome.await.expect("no panic"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_on_the_same_state_is_refused() {
    let (_dir, config, running) = gateway().await;
    let second = weir("run", &config, &[]).await;
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("in use by another weir"), "{said}");
    assert_eq!(running.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_went_bad_does_not_silence_the_lan() {
    let (_dir, config, running) = gateway().await;
    let address = running.address();
    until(&config, "shed/gateway/status", "\"up\"").await;
    assert_eq!(running.terminate(), Some(0));
    let good = std::fs::read_to_string(&config).expect("it is there");
    std::fs::write(&config, good + "[[sensor]]\nname = \"x\"\ndriver = \"bme820\"\n").expect("it is writable");
    assert_eq!(weir_check(&config).status.code(), Some(78));

    let running = Weir::start(&config, address).await;
    until(&config, "shed/gateway/status", "last good").await;
    let status = weir("status", &config, &[]).await;
    assert!(text(&status).contains("ATTENTION") && status.status.code() == Some(1), "{}", text(&status));
    assert_eq!(running.terminate(), Some(0));
}

fn weir_check(config: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir")).arg("check").arg(config).output().expect("weir starts")
}
