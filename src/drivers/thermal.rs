//! Thermal zones of the kernel, found by their `type`.
//!
//! `temp` is in millidegrees Celsius (kernel `Documentation/driver-api/thermal/sysfs-api.rst`).

use super::kernel_input::{Channel, Class, Quantity, configure, found};
use super::{Kind, Recognise, Simulate, Spec};

pub(super) static SPEC: Spec = Spec {
    name: "thermal",
    summary: "Thermal zones of the kernel: processor, board, battery",
    measures: &[],
    kind: Kind::Polled,
    options: &[
        ("name", "\"\"", "the zone, as in /sys/class/thermal/thermal_zone*/type; without it everything is read"),
        ("device", "\"\"", "the hardware, when several zones have that type and the kernel tells it"),
        ("channels", "[]", "a zone has only \"temp\"; { cpu = \"temp\" } gives the measure another name"),
    ],
    example: "name = \"cpu-thermal\"\nchannels = [\"temp\"]",
    configure: |fields| configure(&CLASS, fields),
    simulate: Simulate::Kernel,
    recognise: Recognise::Kernel(|files| found(&CLASS, files)),
    captures: &[],
};

static CLASS: Class = Class {
    family: "thermal",
    dir: "sys/class/thermal",
    prefix: "thermal_zone",
    name_file: "type",
    hardware: |files, dir| Some(files.link(&format!("{dir}/device"))?.rsplit('/').next()?.to_owned()),
    channels: |dir, names| names.iter().filter(|name| *name == "temp").map(|_| zone(dir)).collect(),
    quantity: |id| id.starts_with("temp").then(celsius),
    simulated_file: |_| "temp".into(),
};

fn celsius() -> Quantity {
    Quantity { word: "temperature".into(), unit: "°C", factor: 1e-3, decimals: 3, usual: (35.0, 65.0) }
}

fn zone(dir: &str) -> Channel {
    Channel {
        id: "temp".into(),
        quantity: celsius(),
        file: format!("{dir}/temp"),
        offset: None,
        scale: None,
        label: None,
        broken: None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernel_input::Wanted;
    use super::super::kernel_input::testing::{check, readings};
    use super::CLASS;
    use crate::bus::kernel::Tree;
    use crate::model::Fault;

    fn zones() -> Tree {
        Tree::default()
            .with("sys/class/thermal/thermal_zone0/type", "acpitz")
            .with("sys/class/thermal/thermal_zone0/temp", "27800")
            .with("sys/class/thermal/thermal_zone1/type", "x86_pkg_temp")
            .with("sys/class/thermal/thermal_zone1/temp", "-5000")
            .with("sys/class/thermal/thermal_zone2/type", "acpitz")
            .with_live("sys/class/thermal/thermal_zone2/temp", || Err(Fault::Bus("EINVAL".into())))
            .with("sys/class/thermal/cooling_device0/type", "Processor")
    }

    fn wanted(name: &str) -> Wanted {
        Wanted { name: Some(name.into()), ..Wanted::default() }
    }

    #[test]
    fn a_zone_is_found_by_its_type() {
        check(&CLASS, &wanted("x86_pkg_temp"), &zones(), &[("temperature", -5.0, "°C")]);
        assert!(readings(&CLASS, &wanted("Processor"), &zones()).is_err());
        let twins = readings(&CLASS, &wanted("acpitz"), &zones()).unwrap_err();
        assert_eq!(twins.word(), "bad_data");
    }

    #[test]
    fn all_zones_that_answer() {
        let expected = [("acpitz_temperature", 27.8, "°C"), ("x86_pkg_temp_temperature", -5.0, "°C")];
        check(&CLASS, &Wanted::default(), &zones(), &expected);
        check(&CLASS, &Wanted::default(), &Tree::default(), &[]);
    }
}
