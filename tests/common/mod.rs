//! What several test programs lean on.
#![allow(dead_code, reason = "each test program uses a part")]

pub(crate) mod authority;
pub(crate) mod collector;
pub(crate) mod image;
pub(crate) mod mosquitto;
pub(crate) mod proxy;
