//! Secrets that stand elsewhere: in a file, in the environment, or in systemd's credentials.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::problems::Problems;
use super::table::Value;
use super::units::Secret;

/// Where credentials are when no service manager hands them over.
const CREDENTIALS: &str = "/etc/weir/credentials";
/// The prefix systemd puts before the files of the directory that the unit names `weir`.
const UNIT_PREFIX: &str = "weir_";
/// The longest secret, in bytes: an MQTT password has a two-byte length (MQTT 5.0 section 3.1.3.6).
const LONGEST: usize = 65_535;

/// How a secret is referred to.
enum Reference<'t> {
    File(Value<'t>, PathBuf),
    Env(Value<'t>, String),
}

/// The secret that `key = { file | env | credential = "..." }` refers to, or stands there in clear, which warns.
pub fn secret(key: &str, value: &Value<'_>, problems: &mut Problems) -> Option<Secret> {
    if let Some(text) = value.text() {
        problems.conceal(value.place());
        let help = format!(
            "keep it elsewhere: {key} = {{ file = \"...\" }}, {{ env = \"...\" }} or {{ credential = \"...\" }}"
        );
        problems.warn(value.place(), format!("`{key}` stands here in clear"), Some(help));
        return Some(Secret::new(text));
    }
    let (value, text) = match reference(key, value, problems)? {
        Reference::File(value, path) => (value, read(&path).map_err(|why| (why, mode_help(&path)))),
        Reference::Env(value, name) => {
            (value, std::env::var(&name).map_err(|_| (format!("the environment has no {name}"), None)))
        }
    };
    let checked = text.and_then(|text| match text.len() {
        0 => Err(("it is empty".to_owned(), None)),
        1..=LONGEST => Ok(Secret::new(text)),
        _ => Err((format!("it has more than {LONGEST} bytes"), None)),
    });
    checked.map_err(|(why, help)| problems.outside(value.place(), format!("`{key}`: {why}"), help)).ok()
}

/// The path of the secret file that `key = "PATH"` or `key = { file | credential = "..." }` names, checked to be private.
pub fn secret_path(key: &str, value: &Value<'_>, problems: &mut Problems) -> Option<PathBuf> {
    let (value, path) = match value.text() {
        Some(path) => (*value, PathBuf::from(path)),
        None => match reference(key, value, problems)? {
            Reference::File(value, path) => (value, path),
            Reference::Env(value, _) => {
                problems.error(
                    value.place(),
                    format!("`{key}` must be in a file"),
                    Some("write { file = \"...\" }".into()),
                );
                return None;
            }
        },
    };
    match read(&path) {
        Ok(_) => Some(path),
        Err(why) => {
            problems.outside(value.place(), format!("`{key}`: {why}"), mode_help(&path));
            None
        }
    }
}

fn reference<'t>(key: &str, value: &Value<'t>, problems: &mut Problems) -> Option<Reference<'t>> {
    let Some(table) = value.table() else {
        value.expected(key, "one of { file = \"...\" }, { env = \"...\" }, { credential = \"...\" }", problems);
        return None;
    };
    let mut fields = table.fields(problems);
    let file = fields.maybe::<PathBuf>("file").map(|path| Reference::File(fields.get("file"), path));
    let env = fields.maybe::<String>("env").map(|name| Reference::Env(fields.get("env"), name));
    let credential = fields.maybe::<String>("credential");
    let credential = credential.map(|name| Reference::File(fields.get("credential"), credential_path(&name)));
    fields.finish();
    let mut given = [file, env, credential].into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(one), None) => Some(one),
        (None, _) if !table.entries().is_empty() => None,
        _ => {
            let message = format!("`{key}` needs exactly one of `file`, `env` and `credential`");
            problems.error(table.place(), message, None);
            None
        }
    }
}

/// Where the credential called `name` is.
fn credential_path(name: &str) -> PathBuf {
    match std::env::var_os("CREDENTIALS_DIRECTORY") {
        Some(dir) => {
            let plain = Path::new(&dir).join(name);
            if plain.exists() { plain } else { Path::new(&dir).join(format!("{UNIT_PREFIX}{name}")) }
        }
        None => Path::new(CREDENTIALS).join(name),
    }
}

/// The text of a secret file without its last line end; refused when everybody on this machine can read it.
fn read(path: &Path) -> Result<String, String> {
    let say = |error: io::Error| format!("cannot read {}: {error}", path.display());
    if world_readable(path).map_err(say)? {
        return Err(format!("everybody on this machine can read {}", path.display()));
    }
    let text = std::fs::read_to_string(path).map_err(say)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn world_readable(path: &Path) -> io::Result<bool> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o004 != 0)
}

fn mode_help(path: &Path) -> Option<String> {
    world_readable(path).ok()?.then(|| format!("chmod o= {}", path.display()))
}
