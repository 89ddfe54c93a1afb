//! I2C through the kernel's character device, on any Linux board.

use std::io;
use std::path::Path;
use std::time::Duration;

use embedded_hal::i2c::Operation;
use rppal::i2c;

use crate::model::Fault;

/// The number N of the bus called `i2c-N`.
///
/// # Errors
/// [`Fault::NotPresent`] for any other name.
pub(in crate::bus) fn number(bus: &str) -> Result<u8, Fault> {
    let number = bus.strip_prefix("i2c-").and_then(|rest| rest.parse().ok());
    number.ok_or_else(|| {
        Fault::NotPresent(format!("{bus} is no I2C bus of the kernel: those are called i2c-0 to i2c-255"))
    })
}

/// Refuses a chip that a kernel driver has bound: both would talk to it at once.
///
/// The kernel itself does not refuse combined transactions to such a chip, so the check is ours.
///
/// # Errors
/// [`Fault::Busy`] with the driver's name and what to use instead.
pub(in crate::bus) fn refuse_bound(root: &Path, bus: u8, address: u8) -> Result<(), Fault> {
    let driver = root.join(format!("sys/bus/i2c/devices/{bus}-{address:04x}/driver"));
    let Ok(target) = std::fs::read_link(driver) else { return Ok(()) };
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    Err(Fault::Busy(format!(
        "the kernel driver {name} owns the chip at {address:#04x} on i2c-{bus}: read it with the hwmon or iio driver"
    )))
}

/// An open bus.
pub(in crate::bus) struct Bus {
    number: u8,
    inner: i2c::I2c,
}

impl Bus {
    /// Opens `/dev/i2c-N`; the kernel gives up on a transaction shortly before `deadline`.
    ///
    /// # Errors
    /// [`Fault::NotPresent`], [`Fault::Permission`] or [`Fault::Bus`].
    pub(in crate::bus) fn open(number: u8, deadline: Duration) -> Result<Self, Fault> {
        let inner = i2c::I2c::with_bus(number).map_err(|error| explain(number, &error))?;
        // Kernel time-outs count in steps of 10 ms. Not every adapter obeys; then the owner's deadline does.
        let patience_ms = (deadline.as_millis() * 3 / 4).clamp(10, 10_000) as u32;
        inner.set_timeout(patience_ms).map_err(|error| explain(number, &error))?;
        Ok(Self { number, inner })
    }

    fn run(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), i2c::Error> {
        self.inner.set_slave_address(u16::from(address))?;
        match operations {
            // The one combination that drivers use, with its repeated START.
            [Operation::Write(wrote), Operation::Read(read)] => self.inner.write_read(wrote, read),
            single => single.iter_mut().try_for_each(|operation| match operation {
                Operation::Read(read) => whole(self.inner.read(read)?, read.len()),
                Operation::Write(wrote) => whole(self.inner.write(wrote)?, wrote.len()),
            }),
        }
    }
}

fn whole(count: usize, wanted: usize) -> Result<(), i2c::Error> {
    if count == wanted { Ok(()) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()) }
}

impl embedded_hal::i2c::ErrorType for Bus {
    type Error = Fault;
}

impl embedded_hal::i2c::I2c for Bus {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), Fault> {
        self.run(address, operations).map_err(|error| explain(self.number, &error))
    }
}

fn explain(bus: u8, error: &i2c::Error) -> Fault {
    match error {
        i2c::Error::Io(error) => fault(bus, error),
        other => Fault::Bus(format!("i2c-{bus}: {other}")),
    }
}

/// What an error number of the kernel's I2C device means (its `fault-codes` documentation).
fn fault(bus: u8, error: &io::Error) -> Fault {
    use rustix::io::Errno;
    match Errno::from_io_error(error) {
        // Which of the two says "nobody acknowledged" depends on the adapter's driver.
        Some(Errno::REMOTEIO | Errno::NXIO) => Fault::Nack,
        Some(Errno::TIMEDOUT) => Fault::Timeout,
        Some(Errno::ACCESS | Errno::PERM) => Fault::Permission(format!(
            "/dev/i2c-{bus} may not be opened: the user who runs weir must be in the group i2c"
        )),
        Some(Errno::NOENT) => Fault::NotPresent(format!(
            "there is no /dev/i2c-{bus}: enable I2C (dtparam=i2c_arm=on in config.txt on a Raspberry Pi) and load i2c-dev"
        )),
        Some(Errno::NODEV) => Fault::NotPresent(format!("i2c-{bus} is gone")),
        Some(Errno::BUSY) => {
            Fault::Busy(format!("a kernel driver owns this chip on i2c-{bus}: read it with the hwmon or iio driver"))
        }
        _ => Fault::Bus(format!("i2c-{bus}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_has_the_kernels_number() {
        assert_eq!(number("i2c-0"), Ok(0));
        assert_eq!(number("i2c-22"), Ok(22));
        for wrong in ["i2c-", "i2c-sim", "i2c-256", "spi-0.0"] {
            assert_eq!(number(wrong).unwrap_err().word(), "not_present", "{wrong}");
        }
    }

    #[test]
    fn every_error_number_has_its_fault() {
        use rustix::io::Errno;
        let word = |errno: Errno| fault(1, &io::Error::from_raw_os_error(errno.raw_os_error())).word();
        assert_eq!(word(Errno::REMOTEIO), "nack");
        assert_eq!(word(Errno::NXIO), "nack");
        assert_eq!(word(Errno::TIMEDOUT), "timeout");
        assert_eq!(word(Errno::ACCESS), "permission");
        assert_eq!(word(Errno::NOENT), "not_present");
        assert_eq!(word(Errno::BUSY), "busy");
        assert_eq!(word(Errno::IO), "bus");
        assert_eq!(word(Errno::AGAIN), "bus");
    }

    #[test]
    fn a_bus_that_is_not_there_says_how_to_enable_it() {
        // 255 is the highest number; no machine has that many adapters.
        let Err(Fault::NotPresent(hint)) = Bus::open(255, Duration::from_millis(200)) else {
            panic!("expected it to be absent")
        };
        assert!(hint.contains("dtparam=i2c_arm=on"), "{hint}");
    }

    #[test]
    fn a_chip_with_a_kernel_driver_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let device = root.path().join("sys/bus/i2c/devices/1-0076");
        std::fs::create_dir_all(&device).unwrap();
        assert_eq!(refuse_bound(root.path(), 1, 0x76), Ok(()), "a device without a driver is free");
        std::os::unix::fs::symlink("../../../../bus/i2c/drivers/bmp280", device.join("driver")).unwrap();
        let Err(Fault::Busy(hint)) = refuse_bound(root.path(), 1, 0x76) else { panic!("expected it to be busy") };
        assert!(hint.contains("bmp280") && hint.contains("iio"), "{hint}");
        assert_eq!(refuse_bound(root.path(), 1, 0x77), Ok(()));
    }
}
