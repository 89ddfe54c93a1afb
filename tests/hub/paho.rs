//! Eclipse Paho's Python client at every QoS and version.

use crate::bench;
use crate::program::Program;

#[tokio::test]
async fn every_qos_in_every_version() {
    let python = std::env::var("WEIR_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let bench = bench::hub().await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hub/python_client.py");
    let hint = "scripts/test makes a Python with paho-mqtt and names it in WEIR_TEST_PYTHON";
    let check =
        Program::start(&python, &["-c", "import paho.mqtt.client as it; it.CallbackAPIVersion; print('OK')"], hint);
    assert_eq!(check.try_output().await, "OK\n", "{python} has no paho-mqtt 2; {hint}");
    let port = bench.address.port().to_string();
    assert_eq!(Program::start(&python, &[script, &port], hint).output().await, "OK\n");
}
