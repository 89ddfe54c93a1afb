//! The only unsafe calls: what no safe call offers.
#![allow(unsafe_code, reason = "see each function")]

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Lets the runtime watch `fd` for something to read.
///
/// # Errors
/// The operating system's, when it cannot be watched.
///
/// # Panics
/// Outside the runtime.
pub(super) fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open until it is dropped, always has the same number, and nobody else can close it.
    let watched = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    watched.map_err(|error| error.into_parts().1)
}
