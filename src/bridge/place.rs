//! A place in a common period for each client, so that a fleet that waits for one broker is spread
//! evenly. Pure.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Multiples of it, modulo 1, are as far from each other as they can be, however many there are.
const GOLDEN: f64 = 0.618_033_988_749_895;

/// Where in a period the client stands, in 0..1. Clients whose ids differ in their number only, as those of
/// most fleets do, are at even distances; others at random ones.
pub(super) fn place(client_id: &str) -> f64 {
    let (before, number, behind) = parts(client_id);
    let mut hasher = DefaultHasher::new();
    (before, behind).hash(&mut hasher);
    // 32 bits are places enough, and exact.
    let base = f64::from((hasher.finish() >> 32) as u32) / f64::from(u32::MAX);
    (base + f64::from(number) * GOLDEN).fract()
}

/// What stands before the last number, the number, and what stands behind it.
fn parts(id: &str) -> (&str, u32, &str) {
    let digits_end = id.rfind(|c: char| c.is_ascii_digit()).map_or(0, |at| at + 1);
    let (front, behind) = id.split_at(digits_end);
    let before = front.trim_end_matches(|c: char| c.is_ascii_digit());
    match front[before.len()..].parse() {
        Ok(number) => (before, number, behind),
        Err(_) => (id, 0, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_client_is_found() {
        assert_eq!(parts("gw-017-cloud"), ("gw-", 17, "-cloud"));
        assert_eq!(parts("site3-gw4"), ("site3-gw", 4, ""));
        assert_eq!(parts("shed"), ("shed", 0, ""));
        assert_eq!(parts("x99999999999999"), ("x99999999999999", 0, ""), "a serial number is a name");
        assert_eq!(parts(""), ("", 0, ""));
    }

    #[test]
    fn numbered_clients_stand_at_even_distances() {
        for count in [7, 50, 200, 1000] {
            let mut places: Vec<_> = (1..=count).map(|number| place(&format!("gw-{number}-cloud"))).collect();
            places.sort_by(f64::total_cmp);
            let widest = places.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
            assert!(widest < 2.7 / f64::from(count), "{count}: {widest}");
        }
    }
}
