//! Units as SenML writes them.

/// Units that SenML writes in another way: ours, its symbol. The symbols are those of the IANA registry "SenML
/// Units" (RFC 8428 section 12.1, RFC 8798 sections 2 and 3). What is not listed here is the same in both, or has no
/// symbol there and is passed on as it is.
const SYMBOLS: [(&str, &str); 18] = [
    ("°C", "Cel"),
    ("Ω", "Ohm"),
    ("°", "deg"),
    ("m²", "m2"),
    ("m³", "m3"),
    ("m/s²", "m/s2"),
    ("m³/s", "m3/s"),
    ("W/m²", "W/m2"),
    ("cd/m²", "cd/m2"),
    ("kg/m³", "kg/m3"),
    ("µg/m³", "ug/m3"),
    // The second sign is the Greek letter.
    ("μg/m³", "ug/m3"),
    ("ohm", "Ohm"),
    ("C°", "Cel"),
    ("%RH", "%RH"),
    ("%", "/100"),
    ("‰", "/1000"),
    ("lux", "lx"),
];

/// The symbol for a unit. A percentage is relative humidity if the measure says so, else a ratio by hundreds.
pub(super) fn symbol<'u>(unit: &'u str, topic: &str) -> &'u str {
    let measure = topic.rsplit('/').next().unwrap_or_default();
    if unit == "%" && measure.starts_with("humidity") {
        return "%RH";
    }
    SYMBOLS.iter().find(|(ours, _)| *ours == unit).map_or(unit, |(_, symbol)| symbol)
}

/// Our unit for a symbol.
pub(super) fn unit(symbol: &str) -> &str {
    match symbol {
        "%RH" => "%",
        _ => SYMBOLS.iter().find(|(_, theirs)| *theirs == symbol).map_or(symbol, |(ours, _)| ours),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_units_of_our_drivers_have_symbols() {
        for (ours, topic, theirs) in [
            ("°C", "shed/greenhouse/temperature", "Cel"),
            ("%", "shed/greenhouse/humidity", "%RH"),
            ("%", "shed/pi/disk_used", "/100"),
            ("hPa", "shed/greenhouse/pressure", "hPa"),
            ("V", "a", "V"),
            ("s", "a", "s"),
            ("B", "a", "B"),
            ("Ω", "a", "Ohm"),
            ("furlong", "a", "furlong"),
            ("", "a", ""),
        ] {
            assert_eq!(symbol(ours, topic), theirs);
            assert_eq!(unit(theirs), ours);
        }
    }
}
