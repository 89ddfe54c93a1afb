//! The board and its kernel.

use super::{Finding, Machine};
use crate::bus::kernel::Files;

/// The first kernel with the GPIO character device that is used here (uAPI version 2).
const OLDEST: (u32, u32) = (5, 10);

/// What the device tree calls the board.
pub(super) fn model(files: &dyn Files) -> Option<String> {
    let model = files.read("proc/device-tree/model").ok()?;
    Some(model.trim_end_matches('\0').to_owned()).filter(|model| !model.is_empty())
}

pub(super) fn findings(machine: &Machine) -> Vec<Finding> {
    let files = machine.files();
    let product = || files.read("sys/class/dmi/id/product_name").ok();
    let board = model(&files).or_else(product).unwrap_or_else(|| "a machine without a name".into());
    let os = machine.read("etc/os-release").and_then(|text| pretty_name(&text));
    let system = os.map(|os| format!("{board}, {os}")).unwrap_or(board);
    vec![Finding::ok("board", system), kernel(machine.read("proc/sys/kernel/osrelease").as_deref())]
}

fn pretty_name(os_release: &str) -> Option<String> {
    let value = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

fn kernel(release: Option<&str>) -> Finding {
    let Some(release) = release else { return Finding::unknown("kernel", "the kernel does not tell its version") };
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    let version = numbers.next().zip(numbers.next());
    match version {
        Some(version) if version < OLDEST => {
            let what = format!("Linux {release} is too old for GPIO lines, which need 5.10");
            Finding::warning("kernel", what).advise("upgrade the system: Debian 12 has Linux 6.1")
        }
        _ => Finding::ok("kernel", format!("Linux {release}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Grade;
    use super::*;
    use crate::bus::kernel::Tree;

    #[test]
    fn old_kernels_are_told() {
        let grade = |release| kernel(release).grade;
        assert_eq!(grade(Some("6.12.25+rpt-rpi-v8")), Grade::Ok);
        assert_eq!(grade(Some("5.10.0-8-arm64")), Grade::Ok);
        assert_eq!(grade(Some("5.9.1")), Grade::Warning);
        assert_eq!(grade(Some("something else")), Grade::Ok);
        assert_eq!(grade(None), Grade::Unknown);
    }

    #[test]
    fn the_board_has_a_name() {
        let tree = Tree::default().with("proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0");
        assert_eq!(model(&tree).as_deref(), Some("Raspberry Pi 5 Model B Rev 1.0"));
        assert_eq!(model(&Tree::default()), None);
        assert_eq!(pretty_name("ID=debian\nPRETTY_NAME=\"Debian 12\"\n").as_deref(), Some("Debian 12"));
    }
}
