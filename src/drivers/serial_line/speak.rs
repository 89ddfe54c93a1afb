//! A simulated device: lines that the driver would read, with values that wander.

use std::sync::Arc;

use super::options::Options;
use super::shape::Shape;
use crate::bus::serial::Speak;
use crate::bus::simulated::World;
use crate::model::Fault;

/// The device that `options` describe.
pub(super) fn speaker(options: Arc<Options>, world: World) -> Result<Speak, Fault> {
    if matches!(options.shape, Shape::Pattern(_)) && options.sample.is_none() {
        let why = "a pattern alone cannot be simulated: give a line that matches it as `sample`";
        return Err(Fault::NotPresent(why.into()));
    }
    Ok(Box::new(move || line(&options, &world)))
}

fn line(options: &Options, world: &World) -> String {
    let number = |name: &str| {
        let text = format!("{:.1}", world.value(name, 10.0, 30.0));
        text.replace('.', &options.decimal.to_string())
    };
    match (&options.shape, &options.sample) {
        (Shape::Columns { names, separator }, _) => {
            let columns: Vec<_> = names.iter().map(|name| name.as_deref().map_or("0".into(), number)).collect();
            columns.join(&separator.to_string())
        }
        (Shape::Json(fields), _) => {
            let mut object = serde_json::json!({});
            for (name, path) in fields {
                let value = world.value(name, 10.0, 30.0);
                insert(&mut object, path, ((value * 10.0).round() / 10.0).into());
            }
            object.to_string()
        }
        (Shape::Pattern(pattern), sample) => {
            let mut line = sample.clone().unwrap_or_default();
            let spans = pattern.captures(&line).map(|captures| {
                let named = pattern.capture_names().flatten();
                let mut spans: Vec<_> =
                    named.filter_map(|name| captures.name(name).map(|group| (group.range(), number(name)))).collect();
                spans.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
                spans
            });
            // From the end, so that the earlier spans stay where they are.
            for (span, number) in spans.unwrap_or_default() {
                line.replace_range(span, &number);
            }
            line
        }
    }
}

/// Puts `value` at a key or JSON pointer.
fn insert(object: &mut serde_json::Value, path: &str, value: serde_json::Value) {
    let keys: Vec<_> = match path.strip_prefix('/') {
        Some(pointer) => pointer.split('/').map(|key| key.replace("~1", "/").replace("~0", "~")).collect(),
        None => vec![path.to_owned()],
    };
    let mut at = object;
    for key in keys {
        if !at.is_object() {
            *at = serde_json::json!({});
        }
        at = at.as_object_mut().expect("made above").entry(key).or_insert(serde_json::Value::Null);
    }
    *at = value;
}
