//! The addresses on which the hub listens, or would.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::{Finding, Machine};
use crate::bus::kernel::Files;

const SUBJECT: &str = "hub";

pub(super) async fn findings(machine: &Machine) -> Vec<Finding> {
    let Some(plan) = machine.setup.plan().filter(|_| machine.is_here()) else { return Vec::new() };
    let hub = &plan.hub;
    let addresses = [&hub.listen[..], &hub.listen_tls, &hub.listen_ws, &hub.listen_wss].concat();
    let mut findings = Vec::new();
    for address in addresses {
        let bound = TcpListener::bind(address).await.map(drop);
        let user = if bound.is_err() { user(&machine.files(), address.port()) } else { None };
        findings.push(judge(address, bound.map_err(|error| error.kind()), user, machine.running.is_some()));
    }
    findings
}

fn judge(address: SocketAddr, bound: Result<(), io::ErrorKind>, user: Option<String>, running: bool) -> Finding {
    match bound {
        Ok(()) if running => Finding::problem(SUBJECT, format!("weir runs, but does not listen on {address}"))
            .advise("restart it: addresses are not changed by a reload"),
        Ok(()) => Finding::ok(SUBJECT, format!("{address} is free to listen on")),
        Err(io::ErrorKind::AddrInUse)
            if user.as_deref().is_some_and(|user| user.starts_with("weir ")) || (running && user.is_none()) =>
        {
            Finding::ok(SUBJECT, format!("weir listens on {address}"))
        }
        Err(io::ErrorKind::AddrInUse) => {
            let who = user.unwrap_or_else(|| "another program".into());
            Finding::problem(SUBJECT, format!("{address} is taken by {who}"))
                .advise("end that program (for mosquitto: `sudo systemctl disable --now mosquitto`), or let the hub listen on another port")
        }
        Err(io::ErrorKind::AddrNotAvailable) => {
            Finding::problem(SUBJECT, format!("no interface of this machine has the address {}", address.ip()))
                .advise("write an address that it has, or 0.0.0.0 for all of them")
        }
        Err(io::ErrorKind::PermissionDenied) => {
            Finding::warning(SUBJECT, format!("we may not try to listen on {address}"))
                .advise("ports below 1024 need CAP_NET_BIND_SERVICE in the unit; usual ports are 1883 and 8883")
        }
        Err(other) => Finding::problem(SUBJECT, format!("cannot listen on {address}: {other}")),
    }
}

/// The program that listens on `port`, as far as we may see it: the kernel names the socket, the program holds it.
fn user(files: &dyn Files, port: u16) -> Option<String> {
    let tables = ["proc/net/tcp", "proc/net/tcp6"].iter().filter_map(|table| files.read(table).ok());
    let inodes: Vec<_> = tables.flat_map(|table| listening(&table, port)).collect();
    let sockets: Vec<_> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let processes = files.list("proc").ok()?.into_iter().filter(|name| name.parse::<u32>().is_ok());
    processes.into_iter().find_map(|process| {
        let dir = format!("proc/{process}/fd");
        let open = files.list(&dir).ok()?;
        let has =
            open.iter().filter_map(|fd| files.link(&format!("{dir}/{fd}"))).any(|target| sockets.contains(&target));
        let name = files.read(&format!("proc/{process}/comm")).ok()?;
        has.then(|| format!("{name} (process {process})"))
    })
}

/// Inodes of sockets that listen on `port` (kernel `Documentation/networking/proc_net_tcp.rst`).
fn listening(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let inode = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (_, local) = fields.get(1)?.rsplit_once(':')?;
        let is_it = u16::from_str_radix(local, 16).ok()? == port && *fields.get(3)? == LISTEN;
        is_it.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
    };
    table.lines().filter_map(inode).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Grade;
    use super::*;
    use crate::bus::kernel::Root;

    #[test]
    fn verdicts() {
        let address: SocketAddr = "127.0.0.1:1883".parse().unwrap();
        let in_use = Err(io::ErrorKind::AddrInUse);
        for (bound, user, running, grade) in [
            (Ok(()), None, false, Grade::Ok),
            (Ok(()), None, true, Grade::Problem),
            (in_use, Some("mosquitto (process 812)"), false, Grade::Problem),
            (in_use, Some("mosquitto (process 812)"), true, Grade::Problem),
            (in_use, Some("weir (process 812)"), true, Grade::Ok),
            (in_use, None, true, Grade::Ok),
            (in_use, None, false, Grade::Problem),
            (Err(io::ErrorKind::AddrNotAvailable), None, false, Grade::Problem),
            (Err(io::ErrorKind::PermissionDenied), None, false, Grade::Warning),
        ] {
            assert_eq!(judge(address, bound, user.map(str::to_owned), running).grade, grade, "{bound:?} {user:?}");
        }
    }

    /// Ours, found by the same way as anybody else's.
    #[tokio::test]
    async fn whoever_listens_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = user(&Root("/".into()), port).unwrap();
        assert!(found.ends_with(&format!("(process {})", std::process::id())), "{found}");
        drop(listener);
        assert_eq!(user(&Root("/".into()), port), None);
    }
}
