//! A simulated BME280 or BMP280 with the calibration of the data sheet's example.

use std::time::Duration;

use tokio::time::Instant;

use super::compensate::{EXAMPLE, EXAMPLE_HIGH, EXAMPLE_LOW};
use super::register::*;
use super::{MEASURING, RESET as RESET_WORD, SKIPPED, pack};
use crate::bus::simulated::{Chip, World};
use crate::model::Fault;

/// The register file and the measurement under way.
pub(super) struct Model {
    world: World,
    registers: [u8; 256],
    pointer: u8,
    id: u8,
    measured_at: Option<Instant>,
}

impl Model {
    pub(super) fn bme280(world: World) -> Self {
        Self::new(world, 0x60)
    }

    pub(super) fn bmp280(world: World) -> Self {
        Self::new(world, 0x58)
    }

    fn new(world: World, id: u8) -> Self {
        let mut model = Self { world, registers: [0; 256], pointer: 0, id, measured_at: None };
        model.power_up();
        model
    }

    fn has_humidity(&self) -> bool {
        self.id == 0x60
    }

    fn power_up(&mut self) {
        self.registers = [0; 256];
        self.put(CALIBRATION, &EXAMPLE_LOW);
        self.put(ID, &[self.id]);
        if self.has_humidity() {
            self.put(HUMIDITY_CALIBRATION, &EXAMPLE_HIGH);
        }
        self.put(DATA, &pack(SKIPPED));
        self.measured_at = None;
    }

    fn put(&mut self, register: u8, bytes: &[u8]) {
        let at = usize::from(register);
        self.registers[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn set(&mut self, register: u8, value: u8) {
        match register {
            RESET if value == RESET_WORD => self.power_up(),
            CONTROL => {
                self.registers[usize::from(CONTROL)] = value;
                if matches!(value & 3, 1 | 2) {
                    // Longer than the shortest, shorter than the longest wait a driver may choose.
                    self.measured_at = Some(Instant::now() + Duration::from_millis(3));
                }
            }
            CONFIG | CONTROL_HUMIDITY => self.registers[usize::from(register)] = value,
            // Everything else is read-only.
            _ => {}
        }
    }

    /// Ends a measurement whose time has come.
    fn catch_up(&mut self) {
        let measuring = self.measured_at.is_some_and(|at| at > Instant::now());
        self.registers[usize::from(STATUS)] = if measuring { MEASURING } else { 0 };
        if !measuring && self.measured_at.take().is_some() {
            self.registers[usize::from(CONTROL)] &= !3;
            self.measure();
        }
    }

    fn measure(&mut self) {
        let celsius = self.world.value("temperature", 18.0, 26.0);
        let pascal = self.world.value("pressure", 995.0, 1025.0) * 100.0;
        let percent = self.world.value("humidity", 35.0, 60.0);
        let mut raw = EXAMPLE.simulate(celsius, pascal, percent);
        let control = self.registers[usize::from(CONTROL)];
        if control >> 5 == 0 {
            raw.temperature = SKIPPED.temperature;
        }
        if control >> 2 & 7 == 0 {
            raw.pressure = SKIPPED.pressure;
        }
        if self.registers[usize::from(CONTROL_HUMIDITY)] & 7 == 0 {
            raw.humidity = SKIPPED.humidity;
        }
        let bytes = pack(raw);
        self.put(DATA, if self.has_humidity() { &bytes } else { &bytes[..6] });
    }
}

impl Chip for Model {
    /// Register and value in turn: writes do not count up by themselves (section 6.2.1).
    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.catch_up();
        for pair in bytes.chunks(2) {
            self.pointer = pair[0];
            if let Some(&value) = pair.get(1) {
                self.set(pair[0], value);
            }
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        self.catch_up();
        for byte in buffer {
            *byte = self.registers[usize::from(self.pointer)];
            self.pointer = self.pointer.wrapping_add(1);
        }
        Ok(())
    }
}
