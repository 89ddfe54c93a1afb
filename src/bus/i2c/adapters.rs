//! The I2C buses that the kernel shows, and the chips on them that its own drivers have.

use crate::bus::kernel::Files;

/// Where the kernel lists buses and chips.
const DEVICES: &str = "sys/bus/i2c/devices";

/// One bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bus {
    /// Its name here, `i2c-1`.
    pub bus: String,
    /// What the kernel calls the adapter.
    pub adapter: String,
    /// Where it hangs in the tree of devices.
    pub place: String,
}

/// A chip that a kernel driver has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The 7-bit address.
    pub address: u8,
    /// The driver.
    pub driver: String,
}

/// All buses, by number.
pub fn list(files: &dyn Files) -> Vec<Bus> {
    let names = files.list(DEVICES).unwrap_or_default();
    let numbered = names.into_iter().filter(|name| name.strip_prefix("i2c-").is_some_and(is_number));
    let bus = |bus: String| Bus {
        adapter: files.read(&format!("{DEVICES}/{bus}/name")).unwrap_or_default(),
        place: files.link(&format!("{DEVICES}/{bus}")).unwrap_or_default(),
        bus,
    };
    numbered.map(bus).collect()
}

/// The chips on `bus` with a kernel driver, by address.
pub fn bound(files: &dyn Files, bus: &str) -> Vec<Bound> {
    let Some(number) = bus.strip_prefix("i2c-") else { return Vec::new() };
    let names = files.list(DEVICES).unwrap_or_default();
    let chip = |name: &String| {
        let address = name.strip_prefix(number)?.strip_prefix('-')?;
        let target = files.link(&format!("{DEVICES}/{name}/driver"))?;
        let driver = target.rsplit('/').next()?.to_owned();
        // Addresses of 10 bits are shown from a000 on.
        Some(Bound { address: u16::from_str_radix(address, 16).ok()?.try_into().ok()?, driver })
    };
    names.iter().filter_map(chip).collect()
}

fn is_number(text: &str) -> bool {
    text.parse::<u8>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::kernel::Tree;

    #[test]
    fn buses_and_the_kernels_chips_are_listed() {
        let tree = Tree::default()
            .with("sys/bus/i2c/devices/i2c-1/name", "bcm2835 (i2c@7e804000)")
            .with_link("sys/bus/i2c/devices/i2c-1", "../../../devices/platform/soc/3f804000.i2c/i2c-1")
            .with("sys/bus/i2c/devices/i2c-20/name", "fef04500.i2c")
            .with_link("sys/bus/i2c/devices/1-0068/driver", "../../../../bus/i2c/drivers/rtc-ds1307")
            .with("sys/bus/i2c/devices/1-0068/name", "ds3231")
            .with("sys/bus/i2c/devices/1-0050/name", "24c32")
            .with_link("sys/bus/i2c/devices/11-0048/driver", "../drivers/lm75");
        let names: Vec<_> = list(&tree).into_iter().map(|bus| (bus.bus, bus.adapter)).collect();
        let expected = [("i2c-1", "bcm2835 (i2c@7e804000)"), ("i2c-20", "fef04500.i2c")];
        assert_eq!(names, expected.map(|(bus, name)| (bus.to_owned(), name.to_owned())));
        assert!(list(&tree)[0].place.ends_with("3f804000.i2c/i2c-1"));
        assert_eq!(bound(&tree, "i2c-1"), [Bound { address: 0x68, driver: "rtc-ds1307".into() }]);
        assert_eq!(bound(&tree, "i2c-11"), [Bound { address: 0x48, driver: "lm75".into() }]);
        assert!(list(&Tree::default()).is_empty() && bound(&tree, "i2c-sim").is_empty());
    }
}
