//! Three network namespaces: gateway, router, cloud.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The gateway's address, and the one it moves to.
pub(crate) const HOME: &str = "10.77.0.2";
pub(crate) const AWAY: &str = "10.77.0.3";
/// The cloud's address.
pub(crate) const CLOUD: &str = "10.78.0.2";
/// The router's, on either side.
const ROUTER: [&str; 2] = ["10.77.0.1", "10.78.0.1"];

/// Names are unique on the machine, and gone when it is dropped.
pub(crate) struct World {
    gateway: String,
    router: String,
    cloud: String,
}

impl World {
    /// Makes one, with everything connected.
    ///
    /// # Errors
    /// Why that cannot be done here.
    pub(crate) fn new() -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = |what: &str| format!("weir-{}-{number}-{what}", std::process::id());
        let world = Self { gateway: name("gateway"), router: name("router"), cloud: name("cloud") };
        for name in world.names() {
            ip(&["netns", "add", name])?;
            ip(&["-n", name, "link", "set", "lo", "up"])?;
        }
        world.cable(&world.gateway, "down0", HOME, ROUTER[0])?;
        world.cable(&world.cloud, "up0", CLOUD, ROUTER[1])?;
        world.forward(true)?;
        Ok(world)
    }

    fn names(&self) -> [&str; 3] {
        [&self.gateway, &self.router, &self.cloud]
    }

    /// A cable from `port` of the router to `eth0` of `host`.
    fn cable(&self, host: &str, port: &str, address: &str, router: &str) -> Result<(), String> {
        ip(&["link", "add", port, "netns", &self.router, "type", "veth", "peer", "name", "eth0", "netns", host])?;
        ip(&["-n", &self.router, "addr", "add", &format!("{router}/24"), "dev", port])?;
        ip(&["-n", &self.router, "link", "set", port, "up"])?;
        ip(&["-n", host, "addr", "add", &format!("{address}/24"), "dev", "eth0"])?;
        ip(&["-n", host, "link", "set", "eth0", "up"])?;
        ip(&["-n", host, "route", "add", "default", "via", router])
    }

    /// Whether the router passes packets on. If not, it swallows them without a word.
    pub(crate) fn forward(&self, passes: bool) -> Result<(), String> {
        let script = format!("echo {} > /proc/sys/net/ipv4/ip_forward", u8::from(passes));
        ip(&["netns", "exec", &self.router, "sh", "-c", &script])
    }

    /// The cable between gateway and router is in, or pulled: the gateway sees its carrier go.
    pub(crate) fn plug(&self, is_in: bool) {
        ip(&["-n", &self.router, "link", "set", "down0", if is_in { "up" } else { "down" }]).unwrap();
    }

    /// The gateway gets another address, as from a router that forgot its leases.
    pub(crate) fn move_gateway(&self) {
        let on = ["dev", "eth0"];
        ip(&[&["-n", &self.gateway, "addr", "del", &format!("{HOME}/24")], &on[..]].concat()).unwrap();
        ip(&[&["-n", &self.gateway, "addr", "add", &format!("{AWAY}/24")], &on[..]].concat()).unwrap();
        ip(&["-n", &self.gateway, "route", "replace", "default", "via", ROUTER[0]]).unwrap();
    }

    /// Delay and loss both ways.
    ///
    /// # Errors
    /// Why the kernel does not offer that.
    pub(crate) fn trouble(&self, delay: &str, loss: &str) -> Result<(), String> {
        for port in ["down0", "up0"] {
            let on = ["-n", &self.router, "qdisc", "add", "dev", port, "root"];
            run(Command::new("tc").args(on).args(["netem", "delay", delay, "loss", loss]))?;
        }
        Ok(())
    }

    /// A program beside the gateway, or in the cloud.
    pub(crate) fn at_gateway(&self, program: &str) -> Command {
        inside(&self.gateway, program)
    }

    pub(crate) fn at_cloud(&self, program: &str) -> Command {
        inside(&self.cloud, program)
    }

    /// Moves the calling thread beside the gateway: sockets that it opens from now on are there.
    pub(crate) fn entrance(&self) -> impl FnOnce() + Send + 'static {
        let file = File::open(format!("/run/netns/{}", self.gateway)).unwrap();
        move || move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for name in self.names() {
            // One that was never made cannot be deleted, and need not be.
            drop(ip(&["netns", "del", name]));
        }
    }
}

fn inside(namespace: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, program]);
    command
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    run(Command::new("ip").args(arguments))
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
