//! The plan: everything the gateway was told, resolved and checked against drivers, filters and itself.
//!
//! Nothing here touches a device. What parsed is right everywhere after: a [`Plan`] exists only when there is no error.

mod batch;
mod bridge;
mod bus;
mod claims;
mod device;
mod endpoint;
mod forward;
mod gateway;
mod hub;
mod keep;
pub mod outlook;
mod output;
mod proxy;
mod sensor;
mod store;
mod thrift;
mod tls;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{Problems, Report, Sources, Table};
use crate::drivers::{Configured, Spec};
use crate::filters::Recipe;
use crate::model::{Format, Name, Qos};

pub use keep::{Boot, boot, keep_last_good, load_last_good, state_dir_of, users_file_of};

/// The configuration file when none is named.
pub const DEFAULT_PATH: &str = "/etc/weir/weir.toml";

/// Everything the gateway does.
pub struct Plan {
    /// The gateway itself.
    pub gateway: Gateway,
    /// The embedded broker.
    pub hub: crate::hub::Settings,
    /// The buses that are not as they come.
    pub buses: crate::bus::Settings,
    /// What is read.
    pub sensors: Vec<SensorPlan>,
    /// What is driven.
    pub outputs: Vec<OutputPlan>,
    /// The durable store.
    pub store: crate::store::Settings,
    /// The ways to the cloud.
    pub bridges: Vec<crate::bridge::Settings>,
}

/// The gateway itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// First topic level of everything it publishes.
    pub name: Name,
    /// Everything durable lives under it.
    pub state_dir: PathBuf,
    /// Samples taken before the clock is set wait so long for it before they leave.
    pub clock_wait: Duration,
}

/// One sensor.
pub struct SensorPlan {
    /// Second topic level.
    pub name: Name,
    /// Its driver.
    pub driver: &'static Spec,
    /// How to open it, and what it will give.
    pub configured: Configured,
    /// The interval of a polled sensor; nothing for one that speaks by itself.
    pub every: Option<Duration>,
    /// How long one round of a polled sensor may take.
    pub deadline: Duration,
    /// How many failed rounds in a row make the device be opened anew.
    pub strikes: u32,
    /// Filters by measure; each recipe makes any number of fresh chains.
    pub recipes: HashMap<String, Recipe>,
    /// How readings are published.
    pub publish: Publish,
}

/// How readings are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish {
    /// QoS inside the hub.
    pub qos: Qos,
    /// Whether the hub keeps the last reading.
    pub retain: bool,
    /// The payload.
    pub format: Format,
}

/// One output.
pub struct OutputPlan {
    /// Second topic level.
    pub name: Name,
    /// Its driver.
    pub driver: &'static Spec,
    /// How to open it.
    pub configured: Configured,
    /// The state at start and at stop.
    pub boot: bool,
    /// After how long without a link which state is set; nothing = it stays as it is.
    pub on_link_lost: Option<(Duration, bool)>,
    /// The longest it may be on.
    pub max_on: Option<Duration>,
    /// The oldest command that is still obeyed.
    pub command_ttl: Option<Duration>,
}

/// Reads and checks the configuration in `path` and in `conf.d/*.toml` beside it.
///
/// # Errors
/// The report, when it has at least one error. The report of a good plan may still hold warnings.
pub fn load(path: &Path) -> Result<(Plan, Report), Report> {
    match Sources::read(path) {
        Ok(sources) => check(sources),
        Err(error) => {
            let mut report = Report::default();
            let help = Some("`weir init` writes a first configuration for this machine".to_owned());
            report.problems.error(None, error.to_string(), help.filter(|_| error.path == path));
            Err(report)
        }
    }
}

/// Checks a configuration that has been read.
///
/// # Errors
/// As [`load`].
pub fn check(sources: Sources) -> Result<(Plan, Report), Report> {
    check_with(sources, Problems::default())
}

fn check_with(sources: Sources, mut problems: Problems) -> Result<(Plan, Report), Report> {
    let plan = {
        let document = crate::config::parse(&sources, &mut problems);
        // A file that is no TOML would only bring errors that are not the owner's.
        if problems.fatal() { None } else { read(&Table::new(&document), &mut problems) }
    };
    let report = Report { sources, problems };
    match plan {
        Some(plan) if !report.problems.fatal() => Ok((plan, report)),
        _ => Err(report),
    }
}

/// Reads every table, whatever is wrong with the ones before.
fn read(top: &Table<'_>, problems: &mut Problems) -> Option<Plan> {
    let mut fields = top.fields(problems);
    let tables = Tables {
        gateway: fields.table("gateway"),
        hub: fields.table("hub"),
        bus: fields.table("bus"),
        sensors: fields.tables("sensor", "sensor"),
        outputs: fields.tables("output", "output"),
        store: fields.table("store"),
        bridges: fields.tables("bridge", "bridge"),
        web: fields.table("web"),
    };
    fields.finish();
    tables.resolve(problems)
}

/// The top tables as they stand in the file.
struct Tables<'t> {
    gateway: Option<Table<'t>>,
    hub: Option<Table<'t>>,
    bus: Option<Table<'t>>,
    sensors: Vec<Table<'t>>,
    outputs: Vec<Table<'t>>,
    store: Option<Table<'t>>,
    bridges: Vec<Table<'t>>,
    web: Option<Table<'t>>,
}

impl Tables<'_> {
    fn resolve(&self, problems: &mut Problems) -> Option<Plan> {
        let gateway = gateway::read(self.gateway.as_ref(), problems);
        gateway::read_web(self.web.as_ref(), problems);
        let buses = bus::read(self.bus.as_ref(), problems);
        let sensors: Vec<_> = self.sensors.iter().map(|table| sensor::read(table, problems)).collect();
        let outputs: Vec<_> = self.outputs.iter().map(|table| output::read(table, problems)).collect();
        claims::unique_names(self.sensors.iter().chain(&self.outputs), "two devices", problems);
        let mut devices = claims::sensors(&self.sensors, &sensors);
        devices.extend(claims::outputs(&self.outputs, &outputs));
        claims::check(&devices, &buses, problems);
        // A device with wrong options may be the one that uses the bus.
        if !problems.fatal() {
            claims::idle_buses(self.bus.as_ref(), &devices, problems);
        }
        let bridges: Vec<_> =
            self.bridges.iter().map(|table| bridge::read(table, gateway.as_ref(), problems)).collect();
        bridge::names(&self.bridges, problems);
        let hub = hub::read(self.hub.as_ref(), gateway.as_ref(), problems);
        let store = store::read(self.store.as_ref(), gateway.as_ref(), &bridges, problems);
        store::fits(self.store.as_ref(), store.as_ref(), hub.as_ref(), &bridges, problems);
        // What is missing from here on was told as an error, or left out with a warning.
        let sensors: Vec<_> = sensors.into_iter().flatten().collect();
        let outputs: Vec<_> = outputs.into_iter().flatten().collect();
        let bridges = bridges.into_iter().flatten().collect();
        let hub = crate::hub::Settings { own: own(&sensors, &outputs), ..hub? };
        Some(Plan { gateway: gateway?, hub, buses, sensors, outputs, store: store?, bridges })
    }
}

/// The second topic levels that only the gateway publishes to.
fn own(sensors: &[SensorPlan], outputs: &[OutputPlan]) -> Vec<Name> {
    let fixed = ["bridge", "gateway"].map(|name| Name::new(name).expect("a good name"));
    let sensors = sensors.iter().map(|sensor| sensor.name.clone());
    let outputs = outputs.iter().map(|output| output.name.clone());
    sensors.chain(outputs).chain(fixed).collect()
}
