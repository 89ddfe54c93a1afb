//! A simulated device that offers what the options ask for.

use super::{Class, Wanted};
use crate::bus::kernel::Tree;
use crate::bus::simulated::World;

/// One device with the wanted channels, or with the first channel of the class.
pub(super) fn tree(class: &'static Class, wanted: &Wanted, world: &World) -> Tree {
    let dir = format!("{}/{}0", class.dir, class.prefix);
    let name = wanted.name.as_deref().unwrap_or("simulated");
    let mut tree = Tree::default().with(&format!("{dir}/{}", class.name_file), name);
    if let Some(device) = &wanted.device {
        tree = tree
            .with_link(&format!("{dir}/device"), &format!("../{device}"))
            .with_link(&dir, &format!("../{device}/{}0", class.prefix));
    }
    let channels = wanted.channels.iter().map(|picked| picked.channel.as_str());
    let channels: Vec<_> = if wanted.channels.is_empty() { vec!["temp1"] } else { channels.collect() };
    for (at, channel) in channels.into_iter().enumerate() {
        let by_label = (class.quantity)(channel).is_none();
        // A label: behind it may be any channel, so let it be a temperature.
        let id = if by_label { format!("temp{}", 100 + at) } else { channel.to_owned() };
        if by_label {
            tree = tree.with(&format!("{dir}/{}_label", stem(&(class.simulated_file)(&id))), channel);
        }
        tree = with_channel(tree, class, &dir, &id, world.clone());
    }
    tree
}

/// A file's name without what follows the channel's id.
fn stem(file: &str) -> &str {
    file.rsplit_once('_').map_or(file, |(stem, _)| stem)
}

fn with_channel(tree: Tree, class: &'static Class, dir: &str, id: &str, world: World) -> Tree {
    let Some(quantity) = (class.quantity)(id) else { return tree };
    let (id, (low, high), factor) = (id.to_owned(), quantity.usual, quantity.factor);
    tree.with_live(&format!("{dir}/{}", (class.simulated_file)(&id)), move || {
        Ok(format!("{:.0}", world.value(&id, low, high) / factor))
    })
}
