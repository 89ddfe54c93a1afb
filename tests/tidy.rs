//! The rules of the house, held by tests instead of memory: who may import whom, which crate is
//! named where, how long files and functions are, and that generated text is up to date.

#[path = "tidy/crates.rs"]
mod crates;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/lengths.rs"]
mod lengths;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every driver file in `src/drivers/` is registered, under the name of its file.
#[test]
fn every_driver_file_is_registered() {
    let registered: Vec<&str> = weir::drivers::DRIVERS.iter().map(|spec| spec.name).collect();
    let mut sorted = registered.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), registered.len(), "two drivers with one name: {registered:?}");
    for file in source::rust_files("src/drivers") {
        if file.text.contains("pub static SPEC: Spec") || file.text.contains("pub(super) static SPEC: Spec") {
            let stem = file.unit().rsplit('/').next().expect("a unit has a name").replace('_', "-");
            assert!(registered.contains(&&*stem), "{} is not in DRIVERS under the name {stem}", file.path);
        }
    }
}

/// The README shows the catalogue that the code makes.
#[test]
fn the_readme_shows_the_driver_catalogue() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md is there");
    let (_, rest) = readme.split_once("<!-- drivers:begin -->\n").expect("the catalogue has a begin mark");
    let (shown, _) = rest.split_once("<!-- drivers:end -->").expect("the catalogue has an end mark");
    let made = weir::drivers::catalogue();
    assert_eq!(shown.trim(), made.trim(), "put this between the marks of README.md:\n{made}");
}
