//! What a reading costs on the way to the cloud.
//!
//! `scripts/bench/wire` runs it. `cargo bench --bench wire -- samples DIR` writes batches as files, of which
//! scripts/train-dictionary makes dictionaries.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on should panic, else it tells"
)]

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/bridge/harness.rs"]
#[allow(dead_code, reason = "the bridge's tests use the rest")]
mod harness;
mod samples;
mod socket;
mod world;

use socket::{Cloud, Way, measure};
use weir::format::batch::{Compress, Encoding};
use weir::model::Format;

const SIZES: [usize; 3] = [10, 50, 200];

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["samples", dir] => samples::write(dir.as_ref()),
        ["short"] => run(1),
        [] => run(10),
        _ => println!("usage: [short | samples DIR]"),
    }
}

fn run(scale: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(table(scale));
}

/// Bytes per reading, up and down, with TLS, TCP and IP.
async fn table(scale: usize) {
    let cloud = Cloud::start().await;
    println!("| bytes per reading, QoS 1, TLS, up and down | 1 per message | batches of 10 | of 50 | of 200 |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    for (name, format) in Format::ALL {
        let bytes = measure(&cloud, Way::Single(format), 20 * scale).await;
        println!("| {name} | {bytes:.1} | - | - | - |");
    }
    for (name, encoding) in Encoding::ALL {
        for (packed, compress) in Compress::ALL {
            let mut cells = String::new();
            for count in SIZES {
                let rounds = (400 / count).max(2) * scale / 2;
                let bytes = measure(&cloud, Way::Batch(encoding, compress, count), rounds.max(2)).await;
                cells += &format!(" {bytes:.1} |");
            }
            let packed = if packed == "none" { String::new() } else { format!(" + {packed} with dictionary") };
            println!("| {name}{packed} | - |{cells}");
        }
    }
}
