//! What the linker is told beside Cargo's own: run by Cargo before it builds weir.
#![allow(clippy::print_stdout, reason = "Cargo reads what a build script prints")]

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=cross/link.rs");
    let target = |key: &str| var(key).unwrap_or_default();
    // Half a megabyte less to load at every start, and a tenth less on disk: the addresses that the loader adjusts are
    // kept as a bitmap (DT_RELR). Debian 12 is the first that can load it; its linkers make it for this processor only,
    // and `scripts/build-arm` brings its own for the others.
    if target("CARGO_CFG_TARGET_ARCH") == "x86_64" && target("CARGO_CFG_TARGET_ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
