//! The configurations we ship.

use std::fs;
use std::path::Path;

use weir::plan;

#[test]
fn every_shipped_configuration_is_good() {
    let mut seen = 0;
    for entry in fs::read_dir("config").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let checked = plan::load(Path::new(&path));
            assert!(checked.is_ok(), "{}", checked.err().unwrap());
            seen += 1;
        }
    }
    assert!(seen >= 1);
}
