//! What `[[sensor]]` and `[[output]]` have in common: a name, a driver and its options.

use super::gateway;
use crate::config::{Fields, Problems, Severity, Table, nearest};
use crate::drivers::{Configured, DRIVERS, Kind, Spec, find};
use crate::model::Name;

/// Second topic levels that the gateway uses itself.
const RESERVED: [&str; 3] = ["cmd", "bridge", "gateway"];

/// The name of a sensor or an output.
pub(super) fn name(fields: &mut Fields<'_, '_>) -> Option<Name> {
    let name = gateway::name(fields)?;
    if RESERVED.contains(&name.as_str()) {
        let message = format!("`{name}` is a name that the gateway uses itself");
        fields.wrong("name", message, Some("cmd, bridge and gateway are taken".into()));
        return None;
    }
    Some(name)
}

/// The driver, which must be fit for the table it stands in.
pub(super) fn driver(fields: &mut Fields<'_, '_>, output: bool) -> Option<&'static Spec> {
    let name: String = fields.need("driver")?;
    let fit = |spec: &&Spec| (spec.kind == Kind::Output) == output;
    let Some(spec) = find(&name) else {
        let names: Vec<_> = DRIVERS.iter().filter(|spec| fit(spec)).map(|spec| spec.name).collect();
        let help = match nearest(&name, &names) {
            Some(near) => format!("did you mean {near:?}?"),
            None => "`weir drivers` lists them".into(),
        };
        fields.wrong("driver", format!("there is no driver `{name}`"), Some(help));
        return None;
    };
    if !fit(&spec) {
        let (is, table) = if output { ("reads a device", "[[sensor]]") } else { ("drives an output", "[[output]]") };
        fields.wrong("driver", format!("the driver `{name}` {is}"), Some(format!("it belongs under {table}")));
        return None;
    }
    Some(spec)
}

/// Says where the driver's options go when they stand beside the table `options` and not in it.
pub(super) fn options_belong(fields: &mut Fields<'_, '_>, driver: Option<&'static Spec>) {
    let keys: Vec<_> = driver.iter().flat_map(|spec| spec.options).map(|(key, _, _)| *key).collect();
    fields.belong(&keys, "options");
}

/// The checked options of `spec`.
pub(super) fn configure(
    spec: &'static Spec,
    options: Option<&Table<'_>>,
    owner: &Table<'_>,
    problems: &mut Problems,
) -> Option<Configured> {
    let before = problems.count(Severity::Error);
    // Without options the driver's complaints are about the table that lacks them.
    let options = options.cloned().unwrap_or_else(|| Table::missing("options", owner.place()));
    let mut fields = options.fields(problems);
    let configured = (spec.configure)(&mut fields);
    fields.finish();
    let fine = problems.count(Severity::Error) == before;
    if fine && configured.is_none() {
        problems.error(options.place(), format!("the driver `{}` cannot work with these options", spec.name), None);
    }
    configured.filter(|_| fine)
}
