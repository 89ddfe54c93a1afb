//! Who may import whom.

use super::source::{File, rust_files};

/// Room by room: what it may name of the others. `room::part` allows that part alone.
const LAYERS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("cli", &["*"]),
    (
        "gateway",
        &[
            "bridge", "bus", "config", "drivers", "filters", "format", "hub", "model", "output", "plan", "runtime",
            "sampler", "store", "web",
        ],
    ),
    (
        "inspect",
        &["bridge", "bus", "config", "drivers", "format", "gateway::report", "model", "plan", "runtime", "store"],
    ),
    ("plan", &["config", "drivers", "filters", "format", "model", "bridge", "bus", "hub", "store"]),
    ("sampler", &["drivers", "filters", "format", "hub", "bus", "runtime", "model", "config::units"]),
    ("output", &["drivers", "format", "hub", "bus", "runtime", "model", "config::units"]),
    ("drivers", &["bus", "config", "model"]),
    ("filters", &["config", "model"]),
    ("format", &["model"]),
    ("hub", &["store", "runtime", "config::units", "model"]),
    ("bridge", &["hub", "store", "format", "runtime", "config::units", "model"]),
    ("web", &["hub", "runtime", "drivers", "config::units", "model"]),
    ("bus", &["model"]),
    ("store", &["model"]),
    ("config", &["model"]),
    ("runtime", &["model"]),
    ("model", &[]),
];

/// The parts of `bridge`, `bus`, `hub`, `store` and `runtime` that `plan` may name: what they are told
/// at start, and their pure rules. It opens nothing.
const PLAN: &[(&str, &[&str])] = &[
    (
        "bridge",
        &[
            "Settings",
            "Batch",
            "Endpoint",
            "Forward",
            "Proxy",
            "ProxyKind",
            "Receive",
            "Replay",
            "Tls",
            "Transport",
            "Version",
            "Class",
            "Batch",
            "Budget",
            "Connect",
            "record",
            "rules",
            "thin",
        ],
    ),
    ("bus", &["Settings", "BusSettings", "Backend", "Family"]),
    ("hub", &["MAX_LEVELS", "Settings", "Limits", "Anonymous", "Tls", "Rule", "users"]),
    ("store", &["Settings", "WhenFull"]),
];

#[test]
fn rooms_import_only_what_their_layer_allows() {
    let mut wrong = Vec::new();
    for file in rust_files("src").iter().filter(|file| !file.is_test() && file.path != "src/lib.rs") {
        let room = file.room();
        let (_, allowed) = LAYERS.iter().find(|(name, _)| *name == room).unwrap_or_else(|| panic!("{room}: no layer"));
        for path in imports(file) {
            let mut parts = path.split("::");
            let (first, second) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let part = format!("{first}::{second}");
            let fine = first == room || allowed.iter().any(|entry| *entry == "*" || *entry == first || *entry == part);
            if !fine || (room == "plan" && !plan_may_name(first, second)) {
                wrong.push(format!("{}: crate::{path}", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "not allowed by the layers:\n{}", wrong.join("\n"));
}

fn plan_may_name(room: &str, part: &str) -> bool {
    PLAN.iter().find(|(name, _)| *name == room).is_none_or(|(_, parts)| part.is_empty() || parts.contains(&part))
}

/// Every path that starts with `crate::`, groups taken apart.
fn imports(file: &File) -> Vec<String> {
    let code = file.code();
    let start = if file.path == "src/main.rs" { "weir::" } else { "crate::" };
    let mut paths = Vec::new();
    for (at, _) in code.match_indices(start) {
        let rest = &code[at + start.len()..];
        match rest.strip_prefix('{') {
            Some(group) => group_paths("", group, &mut paths),
            None => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
                let path = rest[..end].trim_end_matches(':');
                match rest[end..].strip_prefix('{') {
                    Some(group) if rest[..end].ends_with("::") => group_paths(&format!("{path}::"), group, &mut paths),
                    _ => paths.push(path.to_owned()),
                }
            }
        }
    }
    paths
}

/// The first names inside `{...}`, each with `prefix` in front; nested groups count by their first name.
fn group_paths(prefix: &str, group: &str, paths: &mut Vec<String>) {
    let (mut depth, mut word) = (0, String::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                let path = word.trim().trim_end_matches(':');
                if !path.is_empty() {
                    paths.push(format!("{prefix}{path}"));
                }
                word.clear();
                if c == '}' {
                    return;
                }
            }
            '}' => depth -= 1,
            c if depth == 0 => word.push(c),
            _ => {}
        }
    }
}

#[test]
fn imports_are_found_in_every_form() {
    let text = "use crate::a::B;\nuse crate::{c, d::{e, f}, g::H};\nlet x = crate::i::j();\nuse crate::k::{L, m};\n// crate::no";
    let file = File { path: "src/x.rs".into(), text: text.into() };
    assert_eq!(imports(&file), ["a::B", "c", "d", "g::H", "i::j", "k::L", "k::m"]);
}
