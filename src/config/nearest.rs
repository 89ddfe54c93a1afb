//! "Did you mean": the nearest right spelling.

/// What people write from habit, and what it is called here.
const HABITS: [(&str, &str); 14] = [
    ("interval", "every"),
    ("period", "every"),
    ("frequency", "every"),
    ("type", "driver"),
    ("chip", "driver"),
    ("timeout", "deadline"),
    ("pin", "line"),
    ("gpio", "line"),
    ("baudrate", "baud"),
    ("host", "url"),
    ("server", "url"),
    ("user", "username"),
    ("topic", "topics"),
    ("size", "max_size"),
];

/// The candidate nearest to `typed`, if one is near enough to be meant, by its letters or by habit.
pub fn nearest<'c>(typed: &str, candidates: &[&'c str]) -> Option<&'c str> {
    let habit = || {
        let (words, _): (Vec<_>, Vec<_>) = HABITS.into_iter().unzip();
        let word = by_letters(typed, &words)?;
        let meant = HABITS.iter().filter(|(habit, _)| *habit == word).map(|(_, meant)| *meant);
        meant.filter_map(|meant| candidates.iter().find(|candidate| **candidate == meant)).copied().next()
    };
    by_letters(typed, candidates).or_else(habit)
}

/// The candidate that takes the fewest edits: at most one for every three characters.
fn by_letters<'c>(typed: &str, candidates: &[&'c str]) -> Option<&'c str> {
    let (distance, best) = candidates.iter().map(|&c| (edits(typed, c), c)).min_by_key(|&(distance, _)| distance)?;
    (distance <= (typed.chars().count() / 3).max(1)).then_some(best)
}

/// How many characters must be inserted, removed or replaced to turn `a` into `b` (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_spelling_or_none() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(nearest("intervall", &["every", "interval"]), Some("interval"));
        assert_eq!(nearest("adress", &["address", "bus"]), Some("address"));
        assert_eq!(nearest("intervall", &["every", "driver"]), Some("every"));
        assert_eq!(nearest("chip", &["every", "driver"]), Some("driver"));
        assert_eq!(nearest("interval", &["address", "bus"]), None);
        assert_eq!(nearest("xyzzy", &["address", "bus"]), None);
    }
}
