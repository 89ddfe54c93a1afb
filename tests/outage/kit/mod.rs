//! What the fault tests and the benchmark share: devices, the cloud, the gateway as a machine, the judge.
#![allow(dead_code, reason = "the tests and the benchmark use a part each")]

pub(crate) mod cloud;
pub(crate) mod device;
pub(crate) mod fleet;
pub(crate) mod judge;
pub(crate) mod machine;
pub(crate) mod note;

use std::sync::OnceLock;

use tokio::time::Instant;

/// Microseconds since the first call in this process.
pub(crate) fn now_us() -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    u64::try_from(BEGAN.get_or_init(Instant::now).elapsed().as_micros()).expect("a run is not that long")
}
