//! The look at a bus, on simulated chips.

use std::sync::{Arc, Mutex};

use super::*;
use crate::bus::kernel::Tree;
use crate::bus::simulated::{Chip as Simulated, Trouble, WordRegisters};
use crate::bus::{Backend, BusSettings, Settings};

/// A chip with one register, such as a multiplexer or a port expander, and every byte that was written to it.
#[derive(Clone)]
struct OneRegister {
    value: Arc<Mutex<u8>>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl OneRegister {
    fn new(value: u8) -> Self {
        Self { value: Arc::new(Mutex::new(value)), written: Arc::default() }
    }

    fn value(&self) -> u8 {
        *self.value.lock().unwrap()
    }

    fn written(&self) -> Vec<u8> {
        self.written.lock().unwrap().clone()
    }
}

impl Simulated for OneRegister {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.written.lock().unwrap().extend(bytes);
        if let Some(last) = bytes.last() {
            *self.value.lock().unwrap() = *last;
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        buffer.fill(self.value());
        Ok(())
    }
}

/// A chip with 256 registers of a byte.
struct Bytes([u8; 256], usize);

impl Simulated for Bytes {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let [pointer] = *bytes else { return Err(Fault::Bus("a register was written".into())) };
        self.1 = usize::from(pointer);
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        buffer.iter_mut().enumerate().for_each(|(at, byte)| *byte = self.0[(self.1 + at) % 256]);
        Ok(())
    }
}

fn buses() -> Buses {
    Buses::new(Settings { simulate: true, ..Settings::default() })
}

fn registers(registers: &[(usize, u8)]) -> Box<Bytes> {
    let mut bytes = [0; 256];
    registers.iter().for_each(|(register, value)| bytes[*register] = *value);
    Box::new(Bytes(bytes, 0))
}

/// What was found, in a line each.
async fn found(buses: &Buses, files: &Tree) -> Vec<String> {
    let (there, fault) = probe(buses, files, "i2c-1").await;
    let one = |at: &Address| match &at.chip {
        Chip::Known(candidates) => {
            let names: Vec<_> = candidates.iter().map(|it| it.spec.name).collect();
            format!("{:02x} {}{}", at.address, names.join("|"), if candidates[0].certain { "!" } else { "?" })
        }
        Chip::Bound(driver) => format!("{:02x} bound {driver}", at.address),
        Chip::Foreign(name) => format!("{:02x} foreign {name}", at.address),
        Chip::Unknown(usual) => format!("{:02x} unknown {}", at.address, usual.is_some()),
    };
    there.iter().map(one).chain(fault.map(|fault| fault.word().to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn an_empty_bus_is_empty() {
    assert!(found(&buses(), &Tree::default()).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_only_looks_so_is_told_with_its_doubles() {
    let buses = buses();
    let bus = buses.simulated_i2c("i2c-1").unwrap();
    // A TMP105 after power-up, as the data sheet and the emulator have it, is an LM75 for whoever may only read.
    bus.place(0x48, Box::new(WordRegisters::<4>::new([0x1900, 0x0000, 0x4b00, 0x5000])));
    // Set to 12 bits it is not.
    bus.place(0x49, Box::new(WordRegisters::<4>::new([0x1910, 0x6000, 0x4b00, 0x5000])));
    // An ADS1015 has other thresholds than an ADS1115.
    bus.place(0x4a, Box::new(WordRegisters::<4>::new([0, 0x8583, 0x8000, 0x7ff0])));
    bus.place(0x4b, Box::new(WordRegisters::<4>::new([0, 0x8583, 0x8000, 0x7fff])));
    let expected = ["48 lm75|tmp105?", "49 tmp102|tmp105?", "4a foreign ADS1015", "4b ads1115?"];
    assert_eq!(found(&buses, &Tree::default()).await, expected);
}

#[tokio::test(start_paused = true)]
async fn an_id_is_certain_and_relatives_are_named() {
    let buses = buses();
    let bus = buses.simulated_i2c("i2c-1").unwrap();
    bus.place(0x76, registers(&[(0xd0, 0x60)]));
    bus.place(0x77, registers(&[(0xd0, 0x61)]));
    // An id of nobody that we know.
    bus.place(0x68, registers(&[(0x75, 0x68)]));
    let expected = ["68 unknown true", "76 bme280!", "77 foreign BME680 or BME688"];
    assert_eq!(found(&buses, &Tree::default()).await, expected);
}

#[tokio::test(start_paused = true)]
async fn memories_and_port_expanders_are_read_only_and_a_multiplexer_is_put_back() {
    let buses = buses();
    let bus = buses.simulated_i2c("i2c-1").unwrap();
    let (expander, memory, switch, idle) =
        (OneRegister::new(0xff), OneRegister::new(7), OneRegister::new(0x05), OneRegister::new(0));
    for (address, chip) in [(0x20, &expander), (0x50, &memory), (0x76, &switch), (0x70, &idle)] {
        bus.place(address, Box::new(chip.clone()));
    }
    let found = found(&buses, &Tree::default()).await;
    assert_eq!(found[..3], ["20 unknown true", "50 unknown true", "70 unknown true"]);
    assert!(found[3].starts_with("76 foreign a multiplexer"), "{found:?}");
    for chip in [&expander, &memory, &idle] {
        assert!(chip.written().is_empty(), "nothing is written where it may do harm");
    }
    assert_eq!((switch.value(), switch.written()), (0x05, vec![0xd0, 0x05]));
}

#[tokio::test(start_paused = true)]
async fn the_kernels_chips_and_alerts_are_not_touched() {
    let buses = buses();
    let bus = buses.simulated_i2c("i2c-1").unwrap();
    let hang = |address| {
        bus.place(address, registers(&[]));
        bus.trouble(address, Some(Trouble::Hangs));
    };
    [0x68, ALERT_RESPONSE].into_iter().for_each(hang);
    let tree = Tree::default().with_link("sys/bus/i2c/devices/1-0068/driver", "../drivers/rtc-ds1307");
    assert_eq!(found(&buses, &tree).await, ["68 bound rtc-ds1307"]);
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_hangs_ends_the_look_and_tells_what_was_there() {
    let buses = buses();
    let bus = buses.simulated_i2c("i2c-1").unwrap();
    bus.place(0x20, registers(&[]));
    bus.place(0x30, registers(&[]));
    bus.trouble(0x30, Some(Trouble::TimesOut));
    assert_eq!(found(&buses, &Tree::default()).await, ["20 unknown true", "timeout"]);
}

/// Threads and a paused clock would race.
#[tokio::test]
async fn a_bus_that_is_not_there_says_how_to_enable_it() {
    let (there, fault) = probe(&Buses::new(Settings::default()), &Tree::default(), "i2c-255").await;
    assert!(there.is_empty());
    assert!(matches!(&fault, Some(Fault::NotPresent(hint)) if hint.contains("dtparam=i2c_arm=on")), "{fault:?}");
}

#[tokio::test(start_paused = true)]
async fn every_simulated_chip_is_found_where_it_was_put() {
    let buses = buses();
    let tree = crate::inspect::scan::populate(&buses).unwrap();
    let scan = scan(&buses, &tree, &[]).await;
    let on = |bus: &I2cBus| match &bus.probing {
        Probing::Looked(there, None) => there.iter().map(|at| format!("{:?}", at.chip)).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let there: Vec<_> = scan.iter().flat_map(on).collect();
    let is_chip = |spec: &&&Spec| matches!(spec.recognise, crate::drivers::Recognise::I2c(_));
    let drivers: Vec<_> = DRIVERS.iter().filter(is_chip).collect();
    assert_eq!(there.len(), drivers.len());
    for spec in drivers {
        let driver = format!("driver: {:?}", spec.name);
        assert!(there.iter().any(|chip| chip.contains(&driver)), "{driver}: {there:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn buses_of_the_board_are_left_alone_unless_they_are_named() {
    let buses = buses();
    let tree = |model: bool| {
        let tree = Tree::default()
            .with("sys/bus/i2c/devices/i2c-0/name", "SMBus I801 adapter at efa0")
            .with_link("sys/bus/i2c/devices/i2c-0", "../../../devices/pci0000:00/0000:00:1f.4/i2c-0");
        if model { tree.with("proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0") } else { tree }
    };
    let left = |found: &[I2cBus]| matches!(found[0].probing, Probing::LeftAlone(_));
    assert!(left(&scan(&buses, &tree(false), &[]).await));
    assert!(!left(&scan(&buses, &tree(true), &[]).await));
    let named = scan(&buses, &tree(false), &["i2c-0".into(), "i2c-7".into()]).await;
    assert!(!left(&named) && named.len() == 2);
}

#[test]
fn what_is_left_alone_and_why() {
    let pi = |adapter: &str, place: &str| leave_alone(adapter, place, true);
    assert_eq!(pi("bcm2835 (i2c@7e804000)", "../platform/soc/3f804000.i2c/i2c-1"), None);
    assert_eq!(pi("Synopsys DesignWare I2C adapter", "../platform/axi/1000120000.pcie/1f00074000.i2c/i2c-1"), None);
    assert_eq!(pi("i2c-1-mux (chan_id 0)", "../platform/soc/fe804000.i2c/i2c-1/1-0070/channel-0/i2c-3"), None);
    assert!(pi("fef04500.i2c", "../platform/soc/fef04500.i2c/i2c-20").is_some());
    assert!(pi("107d508200.i2c", "../platform/axi/107d508200.i2c/i2c-13").is_some());
    assert!(pi("bcm2835 (i2c@7e805000)", "../platform/soc/3f805000.i2c/i2c-2").unwrap().contains("display"));
    assert!(pi("bcm2835 (i2c@7e205000)", "../platform/soc/3f205000.i2c/i2c-0").unwrap().contains("camera"));
    assert!(pi("i2c-22-mux (chan_id 0)", "../platform/soc/soc:i2c0mux/i2c-0").is_some());
    let laptop = |adapter: &str, place: &str| leave_alone(adapter, place, false);
    assert!(laptop("i915 gmbus dpb", "../pci0000:00/0000:00:02.0/i2c-1").is_some());
    assert!(laptop("Synopsys DesignWare I2C adapter", "../pci0000:00/0000:00:15.0/i2c_designware.0/i2c-3").is_some());
    assert_eq!(laptop("i2c-tiny-usb at bus 001 device 005", "../pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/i2c-9"), None);
}

#[test]
fn a_bus_with_its_own_name_can_be_simulated() {
    let one = BusSettings { backend: Backend::Simulated, ..BusSettings::default() };
    let buses = Buses::new(Settings { buses: [("i2c-sim".to_owned(), one)].into(), ..Settings::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (there, fault) = runtime.block_on(probe(&buses, &Tree::default(), "i2c-sim"));
    assert!(there.is_empty() && fault.is_none());
}
