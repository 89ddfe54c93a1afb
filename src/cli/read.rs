//! `weir read`: one round of one sensor, without a running gateway.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{anyhow, bail};
use tokio::time::timeout;

use super::Exit;
use crate::bus::Buses;
use crate::config::nearest;
use crate::format::number;
use crate::plan::{self, SensorPlan};

/// `weir read`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the sensor
    sensor: String,
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = plan::DEFAULT_PATH)]
    config: PathBuf,
    /// Read a simulated device
    #[arg(long)]
    simulate: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let (mut plan, _) = match plan::load(&args.config) {
        Ok(loaded) => loaded,
        Err(report) => return super::check::refuse(&report),
    };
    plan.buses.simulate |= args.simulate;
    let names: Vec<_> = plan.sensors.iter().map(|sensor| sensor.name.to_string()).collect();
    let Some(at) = names.iter().position(|name| *name == args.sensor) else {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let hint = nearest(&args.sensor, &names).map(|near| format!(": did you mean {near}?"));
        bail!("there is no sensor {}{}", args.sensor, hint.unwrap_or_default());
    };
    let sensor = plan.sensors.swap_remove(at);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(read(&sensor, &Buses::new(plan.buses)))
}

async fn read(sensor: &SensorPlan, buses: &Buses) -> anyhow::Result<Exit> {
    let mut driver = (sensor.configured.open)(buses).map_err(|fault| anyhow!("{}: {fault}", sensor.name))?;
    let readings = match sensor.every {
        Some(_) => timeout(sensor.deadline, driver.sample()).await?,
        // It speaks when it likes; Ctrl-C ends the waiting.
        None => driver.sample().await,
    };
    let readings = readings.map_err(|fault| anyhow!("{}: {fault}", sensor.name))?;
    let mut out = std::io::stdout().lock();
    for reading in readings {
        let measure = &reading.measure;
        writeln!(out, "{} {} {}", measure.name, number(reading.value, measure.decimals), measure.unit)?;
    }
    Ok(Exit::Good)
}
