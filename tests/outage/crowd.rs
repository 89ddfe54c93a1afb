//! A small fleet loses its broker and gets it back. `scripts/bench/fleet` does so with 200 gateways.

use std::time::Duration;

use crate::kit::fleet::{Plan, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_comes_back_spread_out_and_loses_nothing() {
    let plan = Plan { gateways: 30, outage: Duration::from_secs(8), every: Duration::from_millis(250) };
    let outcome = run(&plan).await;
    println!("{outcome:?}");
    assert_eq!((outcome.verdict.lost, outcome.verdict.reordered, outcome.verdict.rekeyed), (0, 0, 0), "{outcome:?}");
    assert_eq!(outcome.connected, plan.gateways, "{outcome:?}");
    // All at once would be 30 of 30.
    assert!(outcome.peak_per_100_ms <= plan.gateways / 2, "they come in one instant: {outcome:?}");
    assert!(outcome.drained < Duration::from_secs(30), "{outcome:?}");
}
