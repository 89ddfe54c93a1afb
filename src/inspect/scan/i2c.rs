//! Chips on I2C buses.
//!
//! Whether somebody is at an address is found out by reading one byte, which changes neither memories nor port
//! expanders. Only then, and only at addresses where a driver's chip may sit, are that driver's questions asked.
//! Chips that stay silent unless they are asked get their question at once.

use std::time::Duration;

use tokio::time::sleep;

use super::common::usual;
use crate::bus::i2c::adapters::{self, Bus};
use crate::bus::kernel::Files;
use crate::bus::{Buses, I2c};
use crate::drivers::{DRIVERS, Questions, Spec, Verdict};
use crate::model::Fault;

/// The addresses of devices. The others are reserved by the I2C specification (UM10204, table 4).
const ADDRESSES: std::ops::RangeInclusive<u8> = 0x08..=0x77;
/// Who reads here takes an alert away from whoever waits for it (SMBus 3.2, appendix A.2).
const ALERT_RESPONSE: u8 = 0x0c;
/// Multiplexers, in which a byte that is written chooses channels (TCA9548A).
const SWITCHES: std::ops::RangeInclusive<u8> = 0x70..=0x77;

/// A bus and what is on it.
#[derive(Debug)]
pub struct I2cBus {
    /// `i2c-1`.
    pub bus: String,
    /// What the kernel calls the adapter.
    pub adapter: String,
    /// How far the look at it came.
    pub probing: Probing,
}

/// How far the look at a bus came.
#[derive(Debug)]
pub enum Probing {
    /// It was left alone, and why.
    LeftAlone(&'static str),
    /// What is there; the fault at which the look ended early, if it did.
    Looked(Vec<Address>, Option<Fault>),
}

/// An address at which there is something.
#[derive(Debug)]
pub struct Address {
    /// The 7-bit address.
    pub address: u8,
    /// What it is.
    pub chip: Chip,
}

/// What sits at an address.
#[derive(Debug)]
pub enum Chip {
    /// A kernel driver has it; it was not touched.
    Bound(String),
    /// One of these, the best first.
    Known(Vec<Candidate>),
    /// A chip for which there is no driver.
    Foreign(&'static str),
    /// Nobody knows; what is usual at this address, if anything.
    Unknown(Option<&'static str>),
}

/// What a chip may be.
#[derive(Clone, Copy)]
pub struct Candidate {
    /// The driver that reads it.
    pub spec: &'static Spec,
    /// Whether an id says so, or it only looks so.
    pub certain: bool,
}

impl std::fmt::Debug for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Candidate").field("driver", &self.spec.name).field("certain", &self.certain).finish()
    }
}

/// Every bus of the machine, or the `wanted` ones only.
pub(super) async fn scan(buses: &Buses, files: &dyn Files, wanted: &[String]) -> Vec<I2cBus> {
    let has_device_tree = files.read("proc/device-tree/model").is_ok();
    let mut found = Vec::new();
    for Bus { bus, adapter, place } in there(files, wanted) {
        let reason = if wanted.is_empty() { leave_alone(&adapter, &place, has_device_tree) } else { None };
        let probing = match reason {
            Some(why) => Probing::LeftAlone(why),
            None => {
                let (there, fault) = probe(buses, files, &bus).await;
                Probing::Looked(there, fault)
            }
        };
        found.push(I2cBus { bus, adapter, probing });
    }
    found
}

/// The buses to tell about. One that was asked for by name need not be there: the look at it says why.
fn there(files: &dyn Files, wanted: &[String]) -> Vec<Bus> {
    let all = adapters::list(files);
    if wanted.is_empty() {
        return all;
    }
    let known = |name: &String| all.iter().find(|bus| bus.bus == *name).cloned();
    let unknown = |name: &String| Bus { bus: name.clone(), adapter: String::new(), place: String::new() };
    wanted.iter().map(|name| known(name).unwrap_or_else(|| unknown(name))).collect()
}

/// Why a bus is better left alone: its chips are the board's own, and some do not bear to be read.
fn leave_alone(adapter: &str, place: &str, has_device_tree: bool) -> Option<&'static str> {
    /// Buses to monitors: Intel, AMD, NVIDIA, the DDC of a Raspberry Pi up to 3 (BSC2, 7e805000), of a 4 (fef0...) and of
    /// a 5 (107d5082...).
    const DISPLAY: [&str; 11] =
        ["gmbus", "ddc", "aux", "dpmst", "amdgpu", "radeon", "nvidia", "hdmi", "7e805000", "fef0", "107d5082"];
    /// BSC0 of a Raspberry Pi up to 4, alone or before the multiplexer that shares it.
    const BOARD: &str = "7e205000";
    let adapter = adapter.to_ascii_lowercase();
    if DISPLAY.iter().any(|word| adapter.contains(word)) {
        return Some("it leads to a display");
    }
    if place.contains("i2c0mux") || adapter.contains(BOARD) {
        return Some("it belongs to the camera, the display and the memory of a HAT");
    }
    // Memory modules, clock generators, touch pads: only a board with a device tree has its buses on a header.
    (!has_device_tree && !place.contains("/usb")).then_some("it belongs to the mainboard")
}

/// What is on `bus`, and the fault that ended the look, if one did; the kernel's chips are told even so.
async fn probe(buses: &Buses, files: &dyn Files, bus: &str) -> (Vec<Address>, Option<Fault>) {
    let bound = adapters::bound(files, bus);
    let (mut found, mut failed) = (Vec::new(), None);
    for address in ADDRESSES {
        let driver = bound.iter().find(|bound| bound.address == address).map(|bound| bound.driver.clone());
        let chip = match driver {
            Some(driver) => Ok(Some(Chip::Bound(driver))),
            None if address == ALERT_RESPONSE || failed.is_some() => Ok(None),
            None => look(buses, bus, address).await,
        };
        match chip {
            Ok(Some(chip)) => found.push(Address { address, chip }),
            Ok(None) => {}
            Err(fault) => failed = Some(fault),
        }
    }
    (found, failed)
}

/// What sits at one address; a fault when the bus itself does not work.
async fn look(buses: &Buses, bus: &str, address: u8) -> Result<Option<Chip>, Fault> {
    let mut device = match buses.whatever_is_at(bus, address) {
        Err(Fault::Busy(why)) => return Ok(Some(Chip::Bound(why))),
        device => device?,
    };
    let before = match device.exchange(&[], 1).await {
        Ok(byte) => byte.first().copied(),
        Err(Fault::Nack) => None,
        Err(Fault::Busy(why)) => return Ok(Some(Chip::Bound(why))),
        Err(fault) => return Err(fault),
    };
    let mut verdicts = Vec::new();
    let mut heard = before.is_some();
    for (spec, questions) in DRIVERS.iter().filter_map(|spec| Some((*spec, spec.questions(address)?))) {
        let silent = questions.ask.iter().all(|question| question.pause > Duration::ZERO);
        if before.is_none() && !silent {
            continue;
        }
        let answers = ask(&mut device, questions).await?;
        if let Some(before) = before
            && is_switch(address, questions, &answers)
        {
            device.exchange(&[before], 0).await?;
            return Ok(Some(Chip::Foreign("a multiplexer, such as the TCA9548A: its channels are as they were")));
        }
        let verdict = (questions.judge)(&answers);
        heard |= verdict != Verdict::No;
        verdicts.push((spec, verdict));
    }
    Ok(heard.then(|| conclude(address, verdicts)))
}

/// The answers to the questions, up to the first that is not answered.
async fn ask(device: &mut I2c, questions: &Questions) -> Result<Vec<Vec<u8>>, Fault> {
    let mut answers = Vec::new();
    for question in questions.ask {
        let answer = if question.pause.is_zero() {
            device.exchange(question.write, question.read).await
        } else {
            match device.exchange(question.write, 0).await {
                Ok(_) => {
                    sleep(question.pause).await;
                    device.exchange(&[], question.read).await
                }
                no => no,
            }
        };
        match answer {
            Ok(answer) => answers.push(answer),
            Err(Fault::Nack) => break,
            Err(fault) => return Err(fault),
        }
    }
    Ok(answers)
}

/// Whether what was meant as a pointer was taken as a value: the chip has one register and shows it.
fn is_switch(address: u8, questions: &Questions, answers: &[Vec<u8>]) -> bool {
    let echo =
        |(question, answer): (&crate::drivers::Question, &Vec<u8>)| answer.iter().all(|b| [*b] == *question.write);
    SWITCHES.contains(&address) && !answers.is_empty() && questions.ask.iter().zip(answers).all(echo)
}

fn conclude(address: u8, mut verdicts: Vec<(&'static Spec, Verdict)>) -> Chip {
    let certain = verdicts.iter().any(|(_, verdict)| *verdict == Verdict::Certain);
    let other = verdicts.iter().find_map(|(_, verdict)| match verdict {
        Verdict::Other(name) if !certain => Some(*name),
        _ => None,
    });
    if let Some(name) = other {
        return Chip::Foreign(name);
    }
    verdicts.retain(|(_, verdict)| if certain { *verdict == Verdict::Certain } else { *verdict == Verdict::Likely });
    match verdicts.len() {
        0 => Chip::Unknown(usual(address)),
        _ => Chip::Known(verdicts.into_iter().map(|(spec, _)| Candidate { spec, certain }).collect()),
    }
}

#[cfg(test)]
mod tests;
