//! Columns of plain text, as wide as they have to be.

use std::io::{self, Write};

/// Rows of equally many cells, flush left.
pub(super) fn table(rows: impl IntoIterator<Item = Vec<String>>, out: &mut impl Write) -> io::Result<()> {
    aligned(rows, |cell, width| format!("{cell:<width$}"), out)
}

/// The same with all columns but the first flush right, for numbers.
pub(super) fn numbers(rows: impl IntoIterator<Item = Vec<String>>, out: &mut impl Write) -> io::Result<()> {
    aligned(rows, |cell, width| format!("{cell:>width$}"), out)
}

fn aligned(
    rows: impl IntoIterator<Item = Vec<String>>,
    pad: impl Fn(&str, usize) -> String,
    out: &mut impl Write,
) -> io::Result<()> {
    let rows: Vec<_> = rows.into_iter().collect();
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in &rows {
        let mut line = format!("{:<1$}", row[0], widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            line = line + "  " + &pad(cell, *width);
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
