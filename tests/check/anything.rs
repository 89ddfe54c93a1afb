//! Whatever stands in the file: `check` answers, points into the file, and never panics.

use proptest::prelude::*;
use weir::config::Sources;
use weir::plan;

use crate::shipped::uncommented;

/// Pieces that mean something somewhere.
const PIECES: [&str; 16] =
    ["[", "]", "{", "}", "\"", "=", "\n", "[[sensor]]\n", "\t", "ü", "\u{0}", "'''", "-1", "1e400", "nan", "\"#\""];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_edit_of_the_sample_makes_check_panic(
        edits in prop::collection::vec((0.0..1.0_f64, 0_usize..12, 0..PIECES.len()), 1..6),
    ) {
        let mut bytes = uncommented().into_bytes();
        for (at, cut, piece) in edits {
            let start = (bytes.len() as f64 * at) as usize;
            let end = (start + cut).min(bytes.len());
            bytes.splice(start..end, PIECES[piece].bytes());
        }
        let mut sources = Sources::default();
        sources.add("edited.toml".into(), &bytes);
        let report = match plan::check(sources) {
            Ok((_, report)) | Err(report) => report,
        };
        for problem in report.problems.iter() {
            if let Some(place) = &problem.place {
                prop_assert!(report.sources.locate(place.start).is_some());
                prop_assert!(place.start <= place.end && place.end <= report.sources.iter().map(|s| s.text.len()).sum::<usize>() + 1);
            }
        }
        prop_assert!(report.problems.iter().count() == 0 || report.render(true).contains("edited.toml"));
    }

    #[test]
    fn no_text_at_all_makes_check_panic(text in "[\\[\\]{}a-c.=\"'#\n\t 0-9ü]{0,60}") {
        let report = plan::check(Sources::from_text("x.toml", &text)).err();
        prop_assert!(report.is_some_and(|report| !report.render(false).is_empty()));
    }
}
