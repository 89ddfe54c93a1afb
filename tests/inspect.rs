//! What `weir scan` and `weir doctor` say about whole machines, compared byte for byte, and what they find out over
//! real sockets.
//!
//! A machine is a `tests/inspect/machines/NAME.tree`: lines `path: content` and `path -> target of a link`. Beside it
//! lies what is said, `NAME.COMMAND.expected`. `UPDATE_EXPECTED=1 cargo test --test inspect` writes them anew; read
//! the difference before you commit it.

#[path = "inspect/clouds.rs"]
mod clouds;
#[path = "common/mod.rs"]
mod common;
#[path = "inspect/doctor.rs"]
mod doctor;
#[path = "inspect/init.rs"]
mod init;
#[path = "inspect/machine.rs"]
mod machine;
#[path = "inspect/scan.rs"]
mod scan;
