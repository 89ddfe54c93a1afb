//! The supply and the temperature of a Raspberry Pi, as its firmware tells them.

use super::{Finding, Machine};
use crate::bus::kernel::Files;

const SUBJECT: &str = "power";

/// What the firmware's word means: bit, whether it is a problem now, and what it says
/// (Raspberry Pi documentation, `vcgencmd get_throttled`). The same 16 bits higher: it has happened since the start.
const BITS: [(u32, &str); 4] = [
    (0, "the supply voltage is too low"),
    (1, "the clock of the processor is held down"),
    (2, "the processor is throttled"),
    (3, "the processor is too warm"),
];

pub(super) fn findings(machine: &Machine) -> Vec<Finding> {
    let files = machine.files();
    match throttled(&files) {
        Some(word) => vec![judge(word)],
        None => alarm(&files).into_iter().collect(),
    }
}

/// The word that the firmware's driver shows, on all models.
fn throttled(files: &dyn Files) -> Option<u32> {
    let platform = "sys/devices/platform";
    let below = |dir: &str, fits: fn(&str) -> bool| -> Vec<String> {
        let names = files.list(dir).unwrap_or_default();
        names.into_iter().filter(|name| fits(name)).map(|name| format!("{dir}/{name}")).collect()
    };
    let of_soc = below(platform, |name| name.starts_with("soc"));
    let firmware = of_soc.iter().flat_map(|soc| below(soc, |name| name.ends_with("firmware")));
    let text = firmware.filter_map(|dir| files.read(&format!("{dir}/get_throttled")).ok()).next()?;
    u32::from_str_radix(text.trim_start_matches("0x"), 16).ok()
}

/// What the hardware monitor of older kernels shows: nothing but the supply.
fn alarm(files: &dyn Files) -> Option<Finding> {
    let dirs = files.list("sys/class/hwmon").ok()?.into_iter().map(|name| format!("sys/class/hwmon/{name}"));
    let volts = dirs.into_iter().find(|dir| files.read(&format!("{dir}/name")).is_ok_and(|name| name == "rpi_volt"))?;
    let alarm = files.read(&format!("{volts}/in0_lcrit_alarm")).ok()?;
    Some(judge(u32::from(alarm != "0")))
}

fn judge(word: u32) -> Finding {
    let said = |shift: u32| -> Vec<&str> {
        BITS.iter().filter(|(bit, _)| word >> (bit + shift) & 1 == 1).map(|(_, what)| *what).collect()
    };
    let (now, before) = (said(0), said(16));
    let cold = "cool it: a heat sink, a fan, or a better place";
    let supply = "use the supply that belongs to the board and a short, thick cable; unplug what draws much from USB";
    let advice = if word & 0x0001_0001 != 0 { supply } else { cold };
    if !now.is_empty() {
        return Finding::problem(SUBJECT, now.join(", ")).advise(advice);
    }
    if !before.is_empty() {
        return Finding::warning(SUBJECT, format!("since the start it has happened: {}", before.join(", ")))
            .advise(advice);
    }
    Finding::ok(SUBJECT, "the supply is good, and nothing is throttled")
}

#[cfg(test)]
mod tests {
    use super::super::Grade;
    use super::*;
    use crate::bus::kernel::Tree;

    #[test]
    fn bits_now_and_bits_before() {
        for (word, grade, words) in [
            (0, Grade::Ok, "the supply is good"),
            (
                0x5_0000,
                Grade::Warning,
                "since the start it has happened: the supply voltage is too low, the processor is throttled",
            ),
            (0x5_0005, Grade::Problem, "the supply voltage is too low, the processor is throttled"),
            (0x8_0008, Grade::Problem, "the processor is too warm"),
        ] {
            let told = judge(word);
            assert!(told.grade == grade && told.what.starts_with(words), "{word:x}: {told:?}");
        }
        assert!(judge(0x8_0000).advice.unwrap().contains("cool"));
        assert!(judge(0x1_0000).advice.unwrap().contains("supply"));
    }

    #[test]
    fn the_word_is_found_on_all_models_and_the_alarm_where_there_is_no_word() {
        for dir in ["soc/soc:firmware", "soc@107c000000/soc@107c000000:firmware"] {
            let tree = Tree::default().with(&format!("sys/devices/platform/{dir}/get_throttled"), "50005\n");
            assert_eq!(throttled(&tree), Some(0x5_0005), "{dir}");
        }
        let tree = Tree::default()
            .with("sys/class/hwmon/hwmon3/name", "rpi_volt")
            .with("sys/class/hwmon/hwmon3/in0_lcrit_alarm", "1");
        assert_eq!(alarm(&tree).unwrap().grade, Grade::Problem);
        assert_eq!((throttled(&tree), alarm(&Tree::default())), (None, None));
    }
}
