//! Topics as SenML names.

use std::borrow::Cow;

/// The topic as a name: letters, digits and `-`, `:`, `.`, `/`, `_`, of which the first is a letter or a digit
/// (RFC 8428 section 4.5.1). What is not allowed becomes `_`, a first character that may not be first gets `x` in
/// front.
pub(super) fn name(topic: &str) -> Cow<'_, str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.' | '/' | '_');
    let first = topic.starts_with(|c: char| c.is_ascii_alphanumeric());
    if first && topic.chars().all(allowed) {
        return Cow::Borrowed(topic);
    }
    let safe: String = topic.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    Cow::Owned(if first { safe } else { format!("x{safe}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_to_the_alphabet_of_the_rfc() {
        for (topic, wanted) in [
            ("shed/greenhouse/temperature", "shed/greenhouse/temperature"),
            ("a:b.c-d_e", "a:b.c-d_e"),
            ("küche/t 1", "k_che/t_1"),
            ("/a", "x/a"),
            ("$SYS/x", "x_SYS/x"),
        ] {
            assert_eq!(name(topic), wanted);
        }
    }
}
