//! DS18B20 and its relatives on the kernel's 1-Wire bus.
//!
//! Reading `w1_slave` starts a conversion and shows the nine bytes of the scratchpad with the kernel's verdict
//! on their checksum (kernel `Documentation/w1/slaves/w1_therm.rst`); what they mean is in the DS18B20 data
//! sheet 19-7487, "Memory" and figure 4. The second line of the file repeats an older reading when the checksum
//! is wrong, so only the bytes of the first line count.
//!
//! **85 °C.** After power-up the temperature register holds 85 °C until the first conversion is done: a chip that
//! loses power during a conversion, on a bad cable for example, answers 85 °C with a good checksum. A real 85 °C
//! is told apart by the reserved byte 6: it is 0x0C after power-up, and 16 less the lower four bits of the
//! temperature after a conversion, so 0x10 with a real 85 °C (not in the data sheet; described by C. Petrich in
//! `counterfeit_DS18B20`, and visible in the captures below). Copies of the chip that always show 0x0C can
//! therefore not measure exactly 85.0000 °C with this driver; the steps beside it they can.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Claim, Configured, Driver, Kind, Open, Recognise, Simulate, Spec};
use crate::bus::kernel::{Access, Files, Kernel, Tree};
use crate::bus::simulated::World;
use crate::config::Fields;
use crate::model::{Fault, Measure, Reading};

pub(super) static SPEC: Spec = Spec {
    name: "ds18b20",
    summary: "Analog Devices (Maxim) DS18B20, DS1822, DS1825, DS28EA00, MAX31820 on the kernel's 1-Wire bus",
    measures: &[TEMPERATURE],
    kind: Kind::Polled,
    options: &[("id", "", "the device as in /sys/bus/w1/devices, for example \"28-3c01e076877d\"")],
    example: "id = \"28-3c01e076877d\"",
    configure,
    simulate: Simulate::Kernel,
    recognise: Recognise::OneWire(&FAMILIES),
    captures: &[],
};

const TEMPERATURE: Measure = Measure::fixed("temperature", "°C", -55.0, 125.0, 4);

/// Family codes whose temperature has 16 steps per degree. 10 (DS18S20) counts differently.
const FAMILIES: [&str; 4] = ["28", "22", "3b", "42"];

/// The temperature register and byte 6 after power-up.
const POWER_UP: (i16, u8) = (0x0550, 0x0c);

struct Ds18b20 {
    file: Arc<str>,
    kernel: Kernel,
}

fn configure(fields: &mut Fields<'_, '_>) -> Option<Configured> {
    let id: String = fields.need("id")?;
    if let Err(why) = check_id(&id) {
        let help = "`ls /sys/bus/w1/devices` shows them, for example \"28-3c01e076877d\"";
        fields.wrong("id", format!("{id:?} {why}"), Some(help.into()));
        return None;
    }
    let claims = vec![Claim::Kernel { family: "w1", device: id.clone() }];
    let open: Open = Box::new(move |buses| {
        let file: Arc<str> = format!("sys/bus/w1/devices/{id}/w1_slave").into();
        // A thread for each: the kernel lets go of the wire while a chip with its own power converts, so that
        // ten chips take hardly longer than one. Chips that live on the data wire queue up in the kernel.
        let access = Access { family: "w1", line: &format!("w1-{id}"), device: &id };
        let kernel = buses.kernel(access, |world| simulate(&file, world));
        Ok(Box::new(Ds18b20 { file, kernel }))
    });
    Some(Configured { open, measures: vec![TEMPERATURE], claims })
}

/// Family code, dash, twelve hexadecimal digits.
fn check_id(id: &str) -> Result<(), String> {
    let hexadecimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    match id.split_once('-') {
        Some((family, serial)) if serial.len() == 12 && hexadecimal(serial) => match family {
            "10" => Err("is a DS18S20, which this driver does not read".into()),
            family if FAMILIES.contains(&family) => Ok(()),
            _ => Err(format!("is none of the families {}", FAMILIES.join(", "))),
        },
        _ => Err("is no 1-Wire id".into()),
    }
}

#[async_trait]
impl Driver for Ds18b20 {
    async fn sample(&mut self) -> Result<Vec<Reading>, Fault> {
        let file = Arc::clone(&self.file);
        let text = self.kernel.run(move |files: &dyn Files| files.read(&file)).await?;
        decode(scratchpad(&text)?)
    }
}

/// The nine bytes of `50 05 4b 46 7f ff 0c 10 1c : crc=1c YES`.
fn scratchpad(text: &str) -> Result<[u8; 9], Fault> {
    let first = text.lines().next().unwrap_or_default();
    let Some((bytes, verdict)) = first.split_once(':') else {
        // The kernel leaves the file empty when the device does not answer its reset.
        return Err(if first.is_empty() { Fault::Nack } else { Fault::BadData(format!("{first:?} is no scratchpad")) });
    };
    let parsed = bytes.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).ok()).collect::<Option<Vec<_>>>();
    let bytes: [u8; 9] = parsed
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| Fault::BadData(format!("{first:?} does not have nine bytes")))?;
    // The kernel's verdict is checked again, because it costs nothing.
    if verdict.ends_with("YES") && crc8(&bytes[..8]) == bytes[8] { Ok(bytes) } else { Err(Fault::Checksum) }
}

/// The temperature; bits that the resolution leaves undefined are cleared.
fn decode(bytes: [u8; 9]) -> Result<Vec<Reading>, Fault> {
    // A shorted wire reads as zeros, whose checksum is zero as well. Byte 5 of a real chip is 0xFF.
    if bytes == [0; 9] {
        return Err(Fault::NotReady("all bytes are zero: the data wire is shorted to ground".into()));
    }
    let register = i16::from_le_bytes([bytes[0], bytes[1]]);
    if (register, bytes[6]) == POWER_UP {
        return Err(Fault::NotReady("85 °C as after power-up: the chip lost power during its conversion".into()));
    }
    // Configuration register: bits 6 and 5 are the resolution less 9 bits.
    let undefined_bits = 3 - (bytes[4] >> 5 & 0b11);
    let celsius = f64::from(register >> undefined_bits << undefined_bits) / 16.0;
    if !(TEMPERATURE.min..=TEMPERATURE.max).contains(&celsius) {
        return Err(Fault::NotReady(format!("{celsius} °C is outside what the chip can measure: it was not ready")));
    }
    Ok(vec![TEMPERATURE.is(celsius)])
}

/// The checksum of 1-Wire: x^8 + x^5 + x^4 + 1, least significant bit first (Maxim application note 27).
fn crc8(bytes: &[u8]) -> u8 {
    let step = |crc: u8| if crc & 1 == 1 { crc >> 1 ^ 0x8c } else { crc >> 1 };
    bytes.iter().fold(0, |crc, byte| (0..8).fold(crc ^ byte, |crc, _| step(crc)))
}

/// The file of a simulated chip at 12 bits.
fn simulate(file: &str, world: World) -> Tree {
    Tree::default().with_live(file, move || Ok(encode(world.value("temperature", 5.0, 30.0))))
}

/// What the kernel shows for a chip at `celsius`.
fn encode(celsius: f64) -> String {
    let register = (celsius * 16.0).round() as i16;
    let [low, high] = register.to_le_bytes();
    let mut bytes = [low, high, 0x4b, 0x46, 0x7f, 0xff, 0x10 - (low & 0x0f), 0x10, 0];
    bytes[8] = crc8(&bytes[..8]);
    let hex = bytes.map(|byte| format!("{byte:02x}")).join(" ");
    format!("{hex} : crc={:02x} YES\n{hex} t={}\n", bytes[8], i32::from(register) * 1000 / 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<f64, Fault> {
        decode(scratchpad(text)?).map(|readings| readings[0].value)
    }

    fn word(text: &str) -> &'static str {
        read(text).unwrap_err().word()
    }

    /// The kernel's line for these bytes, with the right checksum.
    fn line(mut bytes: [u8; 9]) -> String {
        bytes[8] = crc8(&bytes[..8]);
        format!("{} : crc={:02x} YES", bytes.map(|byte| format!("{byte:02x}")).join(" "), bytes[8])
    }

    /// Captured from a DS18B20 (28-000004da2313), Raspberry Pi forum, topic 91982; and from a copy of the chip,
    /// Raspberry Pi Stack Exchange, question 48106.
    #[test]
    fn captured_files_give_what_they_gave() {
        let text = "3f 00 4b 46 7f ff 01 10 47 : crc=47 YES\n3f 00 4b 46 7f ff 01 10 47 t=3937\n";
        assert_eq!(read(text), Ok(3.9375));
        let text = "5e 01 ff ff 7f ff ff ff 52 : crc=52 YES\n5e 01 ff ff 7f ff ff ff 52 t=21875\n";
        assert_eq!(read(text), Ok(21.875));
    }

    /// The checksum example of Maxim application note 27: a ROM code ending in 0xA2.
    #[test]
    fn the_checksum_is_that_of_the_application_note() {
        assert_eq!(crc8(&[0x02, 0x1c, 0xb8, 0x01, 0x00, 0x00, 0x00]), 0xa2);
    }

    /// DS18B20 data sheet 19-7487, table 1.
    #[test]
    fn the_table_of_the_data_sheet() {
        for (register, celsius) in [
            (0x07d0, 125.0),
            (0x0191, 25.0625),
            (0x00a2, 10.125),
            (0x0008, 0.5),
            (0x0000, 0.0),
            (0xfff8, -0.5),
            (0xff5e, -10.125),
            (0xfe6f, -25.0625),
            (0xfc90, -55.0),
        ] {
            let [low, high] = u16::to_le_bytes(register);
            assert_eq!(read(&line([low, high, 0x4b, 0x46, 0x7f, 0xff, 0x10 - (low & 15), 0x10, 0])), Ok(celsius));
        }
    }

    #[test]
    fn eighty_five_degrees_are_told_apart() {
        let power_up = "50 05 4b 46 7f ff 0c 10 1c : crc=1c YES\n50 05 4b 46 7f ff 0c 10 1c t=85000\n";
        assert_eq!(word(power_up), "not_ready");
        assert_eq!(read(&line([0x50, 0x05, 0x4b, 0x46, 0x7f, 0xff, 0x10, 0x10, 0])), Ok(85.0));
        assert_eq!(read(&line([0x51, 0x05, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10, 0])), Ok(85.0625));
    }

    #[test]
    fn undefined_bits_do_not_count() {
        for (config, celsius) in [(0x7f, 21.9375), (0x5f, 21.875), (0x3f, 21.75), (0x1f, 21.5)] {
            assert_eq!(read(&line([0x5f, 0x01, 0x4b, 0x46, config, 0xff, 0x01, 0x10, 0])), Ok(celsius));
        }
        assert_eq!(read(&line([0xff, 0xff, 0x4b, 0x46, 0x1f, 0xff, 0x01, 0x10, 0])), Ok(-0.5));
    }

    #[test]
    fn what_is_wrong_is_a_fault() {
        let zeros = "00 00 00 00 00 00 00 00 00 : crc=00 YES\n00 00 00 00 00 00 00 00 00 t=0";
        assert_eq!(word(zeros), "not_ready");
        let ones = "ff ff ff ff ff ff ff ff ff : crc=c9 NO\n5e 01 ff ff 7f ff ff ff 52 t=21875";
        assert_eq!(word(ones), "checksum");
        assert_eq!(word("3f 00 4b 46 7f ff 01 10 48 : crc=47 NO\n3f 00 4b 46 7f ff 01 10 47 t=3937"), "checksum");
        assert_eq!(word("3f 00 4b 46 7f ff 01 10 48 : crc=48 YES"), "checksum");
        assert_eq!(word(""), "nack");
        assert_eq!(word("hello"), "bad_data");
        assert_eq!(word("3f 00 4b 46 7f ff 01 10 : crc=47 YES"), "bad_data");
        assert_eq!(word("3f 00 4b 46 7f ff 01 10 zz : crc=47 YES"), "bad_data");
        // 127.9375 °C and -55.0625 °C.
        assert_eq!(word(&line([0xff, 0x07, 0x4b, 0x46, 0x7f, 0xff, 0x01, 0x10, 0])), "not_ready");
        assert_eq!(word(&line([0x8f, 0xfc, 0x4b, 0x46, 0x7f, 0xff, 0x01, 0x10, 0])), "not_ready");
    }

    #[test]
    fn one_flipped_bit_is_noticed() {
        let good = encode(21.5);
        let bytes = scratchpad(&good).unwrap();
        for bit in 0..72 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let text = format!("{} : crc=00 YES", flipped.map(|byte| format!("{byte:02x}")).join(" "));
            assert_eq!(word(&text), "checksum", "bit {bit}");
        }
    }

    #[test]
    fn ids_are_checked() {
        assert!(check_id("28-3c01e076877d").is_ok() && check_id("3b-0000000000ff").is_ok());
        for wrong in
            ["10-000801b5a7a6", "28-3C01E076877D", "28-3c01e07687", "28", "../28-3c01e076877d", "29-3c01e076877d"]
        {
            assert!(check_id(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_simulated_is_decoded_again(celsius in -55.0..=125.0) {
            let read = read(&encode(celsius)).unwrap();
            prop_assert!((read - celsius).abs() <= 1.0 / 32.0);
        }

        #[test]
        fn no_text_panics(text in "([0-9a-f]{2} ){0,10}: crc=[0-9a-f]{2} (YES|NO)?|.{0,40}") {
            read(&text).ok();
        }
    }
}
