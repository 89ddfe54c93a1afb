//! Links cut for real: the gateway and a mosquitto in network namespaces of their own, with a router between them whose
//! cables can be pulled.
//!
//! It needs root, `ip` and a kernel with namespaces and veth pairs; where they are missing the tests say that they
//! are skipped. `WEIR_NETNS_OUTAGE_S` makes the long outages longer, for example longer than the two minutes
//! after which a link without the kernel's help would be tried ever more rarely.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

#[path = "netns/cloud.rs"]
mod cloud;
#[path = "netns/cuts.rs"]
mod cuts;
#[path = "netns/local.rs"]
mod local;
#[path = "netns/world.rs"]
mod world;
