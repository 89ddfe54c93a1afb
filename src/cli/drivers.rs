//! `weir drivers [NAME]`: the catalogue, or all about one driver.

use std::io::{self, Write};

use super::Exit;
use crate::config::nearest;
use crate::drivers::{DRIVERS, Kind, Spec, find};
use crate::model::Measure;

/// Arguments of `weir drivers`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// One driver: its options, measures and a working example
    name: Option<String>,
}

/// Prints the catalogue, or one driver.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let text = match &args.name {
        None => catalogue(),
        Some(name) => detail(find(name).ok_or_else(|| unknown(name))?),
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Exit::Good)
}

fn unknown(name: &str) -> anyhow::Error {
    let names: Vec<_> = DRIVERS.iter().map(|spec| spec.name).collect();
    match nearest(name, &names) {
        Some(near) => anyhow::anyhow!("there is no driver `{name}`; did you mean `{near}`?"),
        None => anyhow::anyhow!("there is no driver `{name}`; `weir drivers` lists them"),
    }
}

/// One line per driver.
fn catalogue() -> String {
    let rows: Vec<_> = DRIVERS.iter().map(|spec| [spec.name, kind(spec.kind), spec.summary]).collect();
    columns(&rows)
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Polled => "polled",
        Kind::Pushed => "pushed",
        Kind::Output => "output",
    }
}

/// What one driver measures, takes, and how it is written.
fn detail(spec: &Spec) -> String {
    let mut text = format!("{}: {}\n", spec.name, spec.summary);
    text += match spec.kind {
        Kind::Polled => "Read every `every`; belongs under [[sensor]].\n",
        Kind::Pushed => "Speaks by itself; belongs under [[sensor]], without `every`.\n",
        Kind::Output => "Driven by commands; belongs under [[output]].\n",
    };
    if spec.kind != Kind::Output {
        section(&mut text, "Measures", &measures(spec.measures));
    }
    let options: Vec<_> = spec.options.iter().map(|(key, default, meaning)| [*key, *default, *meaning]).collect();
    section(&mut text, "Options (name, default, meaning)", &columns(&options));
    section(&mut text, "Example", &example(spec));
    text
}

fn section(text: &mut String, title: &str, body: &str) {
    if !body.is_empty() {
        *text += &format!("\n{title}:\n");
        body.lines().for_each(|line| *text += &format!("  {line}\n"));
    }
}

fn measures(measures: &[Measure]) -> String {
    if measures.is_empty() {
        return "as the configuration or the kernel says\n".to_owned();
    }
    let range = |measure: &Measure| format!("{} to {}", measure.min, measure.max);
    let rows: Vec<_> = measures.iter().map(|m| [m.name.to_string(), range(m), m.unit.to_string()]).collect();
    columns(&rows)
}

/// The table that configures `spec`, ready to be pasted.
pub(super) fn example(spec: &Spec) -> String {
    let table = if spec.kind == Kind::Output { "output" } else { "sensor" };
    let mut text = format!("[[{table}]]\nname = \"my-{}\"\ndriver = {:?}\n", spec.name, spec.name);
    if spec.kind == Kind::Polled {
        text += "every = \"10s\"\n";
    }
    match spec.example.trim() {
        "" => {}
        one_line if !one_line.contains('\n') => text += &format!("options = {{ {one_line} }}\n"),
        lines => text += &format!("[{table}.options]\n{lines}\n"),
    }
    text
}

/// Rows with all columns but the last padded to one width; `-` where a cell is empty.
fn columns<T: AsRef<str>, const N: usize>(rows: &[[T; N]]) -> String {
    let shown = |cell: &T| if cell.as_ref().is_empty() { "-".to_owned() } else { cell.as_ref().to_owned() };
    let width = |column: usize| rows.iter().map(|row| shown(&row[column]).chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..N - 1).map(width).collect();
    let line = |row: &[T; N]| {
        let padded = widths.iter().zip(row).map(|(width, cell)| format!("{:width$}  ", shown(cell)));
        padded.collect::<String>() + row[N - 1].as_ref() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn every_example_is_a_good_configuration() {
        for spec in DRIVERS {
            let text = format!("[gateway]\nname = \"x\"\n{}", example(spec));
            let checked = crate::plan::check(Sources::from_text(spec.name, &text));
            assert!(checked.is_ok(), "{}", checked.err().unwrap());
            assert!(detail(spec).contains(spec.summary), "{}", spec.name);
        }
    }

    #[test]
    fn columns_line_up() {
        assert_eq!(columns(&[["a", "", "x"], ["bcd", "°C", "y"]]), "a    -   x\nbcd  °C  y\n");
    }

    #[test]
    fn an_unknown_driver_is_an_error() {
        assert!(unknown("zzzzzz").to_string().contains("`weir drivers` lists them"));
    }
}
