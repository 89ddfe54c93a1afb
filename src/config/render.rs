//! Problems as text that points at the place.

use std::fmt::Write;

use super::problems::{Place, Problem, Problems, Severity};
use super::sources::{Sources, Spot};

/// How many columns a tab is shown as.
const TAB: &str = "    ";
/// How many characters of a line are shown at most, around the place.
const WIDEST: usize = 120;

/// How many problems are shown at most; a file with more of them is something else than a configuration.
const MOST: usize = 100;

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const BLUE: &str = "\x1b[1;34m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// Everything that rendering needs besides the problem.
struct Page<'p> {
    sources: &'p Sources,
    secrets: &'p [Place],
    colour: bool,
    out: String,
}

/// Every problem with its place, its line, carets and what would be right, in the order of the files;
/// then one line that sums up. Nothing when there are no problems.
pub fn render(problems: &Problems, sources: &Sources, colour: bool) -> String {
    let mut page = Page { sources, secrets: problems.secrets(), colour, out: String::new() };
    let sorted = problems.sorted();
    for problem in sorted.iter().take(MOST) {
        page.problem(problem);
        page.out.push('\n');
    }
    if sorted.len() > MOST {
        page.line(&[("", &format!("... and {} more", sorted.len() - MOST))]);
    }
    if let Some(summary) = summary(problems) {
        page.line(&[(BOLD, &summary)]);
    }
    page.out
}

/// How many errors and warnings there are, in words.
pub(crate) fn summary(problems: &Problems) -> Option<String> {
    let count = |severity, one: &str| match problems.count(severity) {
        0 => None,
        1 => Some(format!("1 {one}")),
        many => Some(format!("{many} {one}s")),
    };
    let both = [count(Severity::Error, "error"), count(Severity::Warning, "warning")];
    let told: Vec<_> = both.into_iter().flatten().collect();
    (!told.is_empty()).then(|| told.join(", "))
}

impl Page<'_> {
    fn problem(&mut self, problem: &Problem) {
        let (colour, word) = match problem.severity {
            Severity::Error => (RED, "error"),
            Severity::Warning => (YELLOW, "warning"),
        };
        self.line(&[(colour, word), (BOLD, ": "), (BOLD, &problem.message)]);
        if let Some(place) = &problem.place {
            self.excerpt(place, colour);
        }
        if let Some((place, what)) = &problem.also {
            self.line(&[(BOLD, "note"), ("", ": "), ("", what)]);
            self.excerpt(place, BLUE);
        }
        let mut lines = problem.help.iter().flat_map(|help| help.lines());
        if let Some(first) = lines.next() {
            self.line(&[(BOLD, "help"), ("", ": "), ("", first)]);
        }
        lines.for_each(|line| self.line(&[("", "      "), ("", line)]));
    }

    /// The file, the line and the carets.
    fn excerpt(&mut self, place: &Place, colour: &str) {
        let sources = self.sources;
        let Some(spot) = sources.locate(place.start) else { return };
        let Marked { text, before, width } = self.marked(&spot, place);
        let number = spot.line.to_string();
        let margin = " ".repeat(number.len());
        let at = format!("{}:{}:{}", spot.source.path.display(), spot.line, spot.column);
        self.line(&[("", &margin), (BLUE, "--> "), ("", &at)]);
        self.line(&[("", &margin), (BLUE, " |")]);
        self.line(&[(BLUE, &number), (BLUE, " | "), ("", &text)]);
        let carets = format!("{}{}", " ".repeat(before), "^".repeat(width));
        self.line(&[("", &margin), (BLUE, " | "), (colour, &carets)]);
    }

    /// The line of `spot` as it is shown, and where the carets go.
    fn marked(&self, spot: &Spot<'_>, place: &Place) -> Marked {
        let (mut cells, mut first, mut last) = (Vec::new(), 0, 0);
        let line = spot.source.text[spot.line_start..].lines().next().unwrap_or_default();
        for (at, c) in line.char_indices() {
            let offset = spot.source.base + spot.line_start + at;
            let secret = self.secrets.iter().any(|place| (place.start..place.end).contains(&offset));
            match c {
                _ if secret => cells.push('*'),
                '\t' => cells.extend(TAB.chars()),
                c => cells.push(visible(c)),
            }
            if offset < place.start {
                first = cells.len();
            }
            if offset < place.end {
                last = cells.len();
            }
        }
        window(cells, first, last.max(first + 1))
    }

    /// One line of styled pieces, without blanks at its end.
    fn line(&mut self, pieces: &[(&str, &str)]) {
        for (style, text) in pieces {
            let text: String = text.chars().map(visible).collect();
            let written = match *style {
                style if self.colour && !style.is_empty() => write!(self.out, "{style}{text}{PLAIN}"),
                _ => write!(self.out, "{text}"),
            };
            written.expect("a String takes everything");
        }
        self.out.truncate(self.out.trim_end_matches(' ').len());
        self.out.push('\n');
    }
}

struct Marked {
    text: String,
    before: usize,
    width: usize,
}

/// Cuts a very long line down to the part around the carets at `first..last`.
fn window(cells: Vec<char>, first: usize, last: usize) -> Marked {
    let from = if cells.len() <= WIDEST { 0 } else { first.saturating_sub(WIDEST / 2) };
    let text: String = cells.iter().skip(from).take(WIDEST).collect();
    Marked { text, before: first - from, width: (last - first).min(WIDEST.saturating_sub(first - from)).max(1) }
}

/// Characters that would steer a terminal are shown as a replacement.
fn visible(c: char) -> char {
    if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str, place: std::ops::Range<usize>) -> String {
        let sources = Sources::from_text("x.toml", text);
        let mut problems = Problems::default();
        problems.error(Place::from(place), "wrong", Some("right".into()));
        render(&problems, &sources, false)
    }

    #[test]
    fn carets_stand_under_the_place_in_characters() {
        let expected = "error: wrong\n --> x.toml:2:5\n  |\n2 | ü = 30\n  |     ^^\nhelp: right\n\n1 error\n";
        assert_eq!(rendered("a = 1\nü = 30\r\n", 11..13), expected);
    }

    #[test]
    fn tabs_are_shown_as_four_blanks_and_counted_as_one() {
        let expected = "error: wrong\n --> x.toml:1:2\n  |\n1 |     a = 1\n  |     ^\nhelp: right\n\n1 error\n";
        assert_eq!(rendered("\ta = 1\n", 1..2), expected);
    }

    #[test]
    fn a_place_over_several_lines_ends_with_its_first() {
        assert!(rendered("a = [1,\n2]\n", 4..10).contains("1 | a = [1,\n  |     ^^^\n"));
        assert!(rendered("a = 1", 5..5).contains("1 | a = 1\n  |      ^\n"));
    }

    #[test]
    fn a_terminal_is_not_steered_and_a_secret_not_shown() {
        let sources = Sources::from_text("x.toml", "p = \"geheim\" # \x1b[2J\n");
        let mut problems = Problems::default();
        problems.warn(Place::from(0..1), "clear\x07", None);
        problems.conceal(Place::from(4..12));
        let text = render(&problems, &sources, false);
        assert!(text.contains("1 | p = ******** # \u{fffd}[2J") && !text.contains(['\x1b', '\x07']), "{text}");
    }

    #[test]
    fn more_than_a_hundred_problems_are_counted_and_not_shown() {
        let sources = Sources::from_text("x.toml", "a\n");
        let mut problems = Problems::default();
        (0..103).for_each(|_| problems.error(Place::from(0..1), "wrong", None));
        let text = render(&problems, &sources, false);
        assert_eq!(text.matches("error: wrong").count(), MOST);
        assert!(text.ends_with("\n... and 3 more\n103 errors\n"), "{text}");
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let text = format!("a = \"{}\" # b", "x".repeat(5000));
        let shown = rendered(&text, 5009..5010);
        assert!(shown.lines().all(|line| line.chars().count() < 140) && shown.contains('^'), "{shown}");
    }
}
