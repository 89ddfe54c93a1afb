//! Which device and which channels the owner wants.

use std::fmt;

use super::{Class, Quantity};
use crate::config::{Fields, Place, Value};
use crate::model::{Measure, Name};

/// The options that `hwmon`, `iio` and `thermal` share.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::drivers) struct Wanted {
    /// The device's name; all devices without one.
    pub(in crate::drivers) name: Option<String>,
    /// The hardware behind it, when several devices have the name.
    pub(in crate::drivers) device: Option<String>,
    /// The channels by id or label; all without any.
    pub(in crate::drivers) channels: Vec<Picked>,
}

/// One channel that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::drivers) struct Picked {
    /// The measure's name, when it is not to follow from the channel.
    pub(in crate::drivers) measure: Option<Name>,
    /// The channel's id or label.
    pub(in crate::drivers) channel: String,
}

/// Tells two sensors on one device apart: they may share it, but not the same channels.
impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channels: Vec<_> = self.channels.iter().map(|picked| picked.channel.as_str()).collect();
        let (name, device) = (self.name.as_deref().unwrap_or("all"), self.device.as_deref().unwrap_or_default());
        write!(f, "{name}{device} {}", channels.join(","))
    }
}

pub(super) fn read_options(fields: &mut Fields<'_, '_>) -> Option<Wanted> {
    let mut text = |key| fields.maybe(key).filter(|text: &String| !text.is_empty());
    let (name, device) = (text("name"), text("device"));
    let channels = match fields.value("channels") {
        None => Vec::new(),
        Some(value) => read_channels(&value, fields)?,
    };
    if name.is_none() && (device.is_some() || !channels.is_empty()) {
        let help = "without `name` every channel of every device is read";
        fields.wrong("name", "`device` and `channels` belong to a `name`", Some(help.into()));
        return None;
    }
    Some(Wanted { name, device, channels })
}

/// A list of channels, or a table from measures to channels.
fn read_channels(value: &Value<'_>, fields: &mut Fields<'_, '_>) -> Option<Vec<Picked>> {
    let Some(table) = value.table() else {
        let names: Vec<String> = value.read("channels", fields.problems)?;
        return Some(names.into_iter().map(|channel| Picked { measure: None, channel }).collect());
    };
    let entries: Vec<(&str, Place, Value<'_>)> = table.entries();
    let picked = entries.into_iter().map(|(key, place, value)| {
        let channel: Option<String> = value.read(key, fields.problems);
        let measure = Name::new(key).map_err(|error| fields.problems.error(place, error.to_string(), None)).ok();
        Some(Picked { measure: Some(measure?), channel: channel? })
    });
    picked.collect::<Vec<_>>().into_iter().collect()
}

/// What will be measured, when that follows from the options alone: nothing when it does not.
pub(super) fn known_measures(class: &Class, wanted: &Wanted) -> Vec<Measure> {
    let known = wanted.channels.iter().map(|picked| {
        let quantity = (class.quantity)(&picked.channel)?;
        Some(measure(picked.measure.as_ref().map_or(quantity.word.as_str(), Name::as_str), &quantity))
    });
    known.collect::<Option<_>>().unwrap_or_default()
}

pub(super) fn measure(name: &str, quantity: &Quantity) -> Measure {
    Measure::named(name, quantity.unit, quantity.decimals)
}

/// A label as one topic level: `Package id 0` is `package_id_0`.
pub(super) fn slug(label: &str) -> String {
    let words = label.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut slug = words.collect::<Vec<_>>().join("_").to_ascii_lowercase();
    slug.truncate(48);
    slug
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Problems, Table};
    use toml::de::DeTable;

    fn read(text: &str) -> Result<Wanted, Vec<String>> {
        let document = DeTable::parse(text).unwrap();
        let mut problems = Problems::default();
        let mut fields = Table::new(&document).fields(&mut problems);
        let wanted = read_options(&mut fields);
        fields.finish();
        wanted.ok_or_else(|| problems.iter().map(|problem| problem.message.clone()).collect())
    }

    #[test]
    fn channels_are_a_list_or_a_table() {
        let list = read("name = \"coretemp\"\nchannels = [\"temp1\", \"Core 0\"]").unwrap();
        assert_eq!(list.to_string(), "coretemp temp1,Core 0");
        let table = read("name = \"coretemp\"\nchannels = { cpu = \"Core 0\" }").unwrap();
        assert_eq!(table.channels, [Picked { measure: Name::new("cpu").ok(), channel: "Core 0".into() }]);
        assert_eq!(read("").unwrap(), Wanted::default());
    }

    #[test]
    fn wrong_options_are_told() {
        for (text, message) in [
            ("channels = [\"temp1\"]", "`device` and `channels` belong to a `name`"),
            ("name = \"x\"\nchannels = { \"a/b\" = \"temp1\" }", "'/' is not allowed in a name"),
            ("name = \"x\"\nchannels = { a = 1 }", "`a` must be"),
            ("name = \"x\"\nchannels = 1", "`channels` must be"),
        ] {
            let problems = read(text).unwrap_err();
            assert!(problems[0].starts_with(message), "{problems:?}");
        }
    }

    #[test]
    fn labels_become_topic_levels() {
        for (label, level) in
            [("Package id 0", "package_id_0"), ("+12V / In", "12v_in"), ("Kühler", "k_hler"), ("°", "")]
        {
            assert_eq!(slug(label), level);
        }
        assert!(Name::new(&slug(&"x".repeat(100))).is_ok());
    }
}
