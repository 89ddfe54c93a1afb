//! What the buses are told at start.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What stands behind a bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Backend {
    /// Real hardware, by the first way that works.
    #[default]
    Auto,
    /// Simulated chips under the real driver code; their readings say so.
    Simulated,
    /// A Raspberry Pi's registers (GPIO only).
    Rppal,
    /// The kernel's character device (GPIO only).
    Cdev,
}

impl Backend {
    /// The words for `backend = "..."`, in the order of the variants.
    pub const WORDS: [&'static str; 4] = ["auto", "simulated", "rppal", "cdev"];

    /// The backend called `word`.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Auto, Self::Simulated, Self::Rppal, Self::Cdev].into_iter().find(|backend| backend.word() == word)
    }

    /// The word that [`Backend::parse`] reads.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// The kinds of bus, told apart by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// `i2c-N`; any other `i2c-...` only when it is simulated.
    I2c,
    /// `gpio`: all lines of all chips.
    Gpio,
    /// `w1`: the kernel's 1-Wire devices.
    W1,
    /// `hwmon`, `iio`, `thermal`: what the kernel has read already.
    Kernel,
    /// `host`: this machine itself.
    Host,
    /// `serial`: all serial ports.
    Serial,
}

impl Family {
    /// The family of the bus called `name`, or nothing when no bus can have that name.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "gpio" => Some(Self::Gpio),
            "w1" => Some(Self::W1),
            "hwmon" | "iio" | "thermal" => Some(Self::Kernel),
            "host" => Some(Self::Host),
            "serial" => Some(Self::Serial),
            _ => name.strip_prefix("i2c-").filter(|rest| !rest.is_empty()).map(|_| Self::I2c),
        }
    }

    /// The backends that make sense for this family.
    pub fn backends(self) -> &'static [Backend] {
        match self {
            Self::I2c => &[Backend::Auto, Backend::Simulated],
            Self::Gpio => &[Backend::Auto, Backend::Simulated, Backend::Rppal, Backend::Cdev],
            Self::W1 | Self::Kernel | Self::Serial => &[Backend::Auto, Backend::Simulated],
            Self::Host => &[Backend::Auto],
        }
    }

    /// How long a transaction may take when nothing else is said. The kernel converts while a file is read:
    /// a DS18B20 takes 750 ms for it, and those that draw their power from the data wire take turns.
    pub fn deadline(self) -> Duration {
        match self {
            Self::I2c | Self::Gpio => Duration::from_millis(200),
            Self::W1 => Duration::from_secs(10),
            Self::Kernel | Self::Host | Self::Serial => Duration::from_secs(2),
        }
    }
}

/// One `[bus.NAME]` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusSettings {
    /// The longest a transaction may take, once it has the bus.
    pub deadline: Duration,
    /// What stands behind the bus.
    pub backend: Backend,
}

impl Default for BusSettings {
    fn default() -> Self {
        Self::of(Family::I2c)
    }
}

impl BusSettings {
    /// The settings of a bus that has no table.
    pub fn of(family: Family) -> Self {
        Self { deadline: family.deadline(), backend: Backend::Auto }
    }
}

/// Everything the buses need to know. A bus without an entry has the default settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The `[bus.NAME]` tables, by name.
    pub buses: BTreeMap<String, BusSettings>,
    /// Every bus that can be simulated is (`weir run --simulate`).
    pub simulate: bool,
    /// Where the kernel's trees (`sys`, `proc`, `dev`) are looked for; `/` but in tests.
    pub kernel_root: PathBuf,
    /// What the simulated values grow from: equal seeds give equal runs.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { buses: BTreeMap::new(), simulate: false, kernel_root: PathBuf::from("/"), seed: 1 }
    }
}

impl Settings {
    /// The settings of the bus called `name`.
    pub fn bus(&self, name: &str) -> BusSettings {
        let default = || Family::of(name).map_or_else(BusSettings::default, BusSettings::of);
        self.buses.get(name).copied().unwrap_or_else(default)
    }

    /// Whether the bus called `name` has simulated chips.
    pub fn is_simulated(&self, name: &str) -> bool {
        self.bus(name).backend == Backend::Simulated
            || (self.simulate && Family::of(name).is_some_and(Family::simulates))
    }
}

impl Family {
    fn simulates(self) -> bool {
        self.backends().contains(&Backend::Simulated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_names_are_understood() {
        for word in Backend::WORDS {
            assert_eq!(Backend::parse(word).unwrap().word(), word);
        }
        assert_eq!(Backend::parse("mock"), None);
        assert_eq!(Family::of("i2c-1"), Some(Family::I2c));
        assert_eq!(Family::of("i2c-"), None);
        assert_eq!(Family::of("greenhouse"), None);
    }

    #[test]
    fn simulate_reaches_what_can_be_simulated_only() {
        let mut settings = Settings::default();
        assert!(!settings.is_simulated("i2c-1"));
        settings.simulate = true;
        for name in ["i2c-1", "gpio", "w1", "hwmon", "iio", "thermal", "serial"] {
            assert!(settings.is_simulated(name), "{name}");
        }
        assert!(!settings.is_simulated("host") && !settings.is_simulated("/dev/ttyUSB0"));
    }

    #[test]
    fn deadlines_follow_what_the_bus_is_for() {
        let settings = Settings::default();
        assert_eq!(settings.bus("i2c-1").deadline, Duration::from_millis(200));
        assert_eq!(settings.bus("w1").deadline, Duration::from_secs(10));
    }
}
