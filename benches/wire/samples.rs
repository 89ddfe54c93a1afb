//! Batches as files: what dictionaries are made of, and what they are tried on.

use std::path::Path;

use weir::format::batch::{self, Compress, Encoding};

use crate::world::World;

/// Gateways that dictionaries are trained on.
const TRAINED: u64 = 500;

/// Writes `DIR/ENCODING/train-N` and `DIR/ENCODING/measure-N`, uncompressed.
pub(crate) fn write(dir: &Path) {
    for (name, encoding) in Encoding::ALL {
        let dir = dir.join(name);
        std::fs::create_dir_all(&dir).unwrap();
        for seed in 0..TRAINED {
            let mut world = World::any(seed);
            // Most batches are of 50; small ones profit most.
            for (number, count) in [50, 20, 50, 10, 100].into_iter().enumerate() {
                std::fs::write(dir.join(format!("train-{seed}-{number}")), plain(&mut world, encoding, count)).unwrap();
            }
        }
        for (count, batches) in [(10, 40), (50, 20), (200, 5)] {
            let mut world = World::measured(count as u64);
            for number in 0..batches {
                std::fs::write(dir.join(format!("measure-{count}-{number}")), plain(&mut world, encoding, count))
                    .unwrap();
            }
        }
    }
}

fn plain(world: &mut World, encoding: Encoding, count: usize) -> Vec<u8> {
    let readings = world.readings(count);
    batch::encode(encoding, Compress::None, &world.header(), &world.items(&readings))
}
