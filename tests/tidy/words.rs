//! What must not stand in the code.

use super::source::rust_files;

/// Words that hide unfinished work or a test that does not test.
const BANNED: &[&str] = &[
    "todo!(",
    "unimplemented!(",
    "#[ignore",
    "should_panic",
    "FIXME",
    "XXX",
    "std::thread::sleep",
    "unbounded_channel",
];

#[test]
fn nothing_is_left_unfinished() {
    for folder in ["src", "tests", "benches", "examples"] {
        for file in rust_files(folder).iter().filter(|file| file.path != "tests/tidy/words.rs") {
            for word in BANNED {
                assert!(!file.text.contains(word), "{} contains {word}", file.path);
            }
        }
    }
}

/// Pure rooms: no async, no input or output, no clock.
#[test]
fn pure_rooms_stay_pure() {
    let pure = ["src/filters", "src/format", "src/model", "src/store/frame", "src/hub/codec", "src/hub/tree"];
    for file in pure.iter().flat_map(|folder| rust_files(folder)).filter(|file| !file.is_test()) {
        let code = file.code();
        for word in ["async fn", ".await", "std::fs", "std::net", "tokio::", "SystemTime", "println!"] {
            assert!(!code.contains(word), "{} is pure, but names {word}", file.path);
        }
    }
}
