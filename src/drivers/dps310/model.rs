//! A simulated DPS310 with the calibration of a real one.

use std::time::Duration;

use tokio::time::Instant;

use super::compensate::{EXAMPLE, EXAMPLE_BYTES, Scale};
use super::register::*;
use super::{CALIBRATED, MEASURE_PRESSURE, MEASURE_TEMPERATURE, PRESSURE_THERE, READY, TEMPERATURE_THERE, simulate};
use crate::bus::simulated::{ByteRegisters, Chip, World};
use crate::model::Fault;

/// The registers and the measurement under way.
pub(super) struct Model {
    world: World,
    registers: ByteRegisters,
    started_at: Instant,
    /// What is measured, and when it is over.
    measuring: Option<(u8, Instant)>,
}

impl Model {
    pub(super) fn new(world: World) -> Self {
        Self { world, registers: power_up(), started_at: Instant::now(), measuring: None }
    }

    fn age(&self) -> Duration {
        self.started_at.elapsed()
    }

    /// Ends what is over: the start, a measurement.
    fn catch_up(&mut self) {
        let mut status = self.registers.get(MEASURE);
        if self.age() >= Duration::from_millis(40) {
            status |= CALIBRATED | READY;
        }
        if let Some((what, _)) = self.measuring.filter(|(_, over)| *over <= Instant::now()) {
            self.measuring = None;
            self.measure(what);
            status |= if what == MEASURE_PRESSURE { PRESSURE_THERE } else { TEMPERATURE_THERE };
            status &= !0x07;
        }
        self.registers.set(MEASURE, status);
    }

    fn measure(&mut self, what: u8) {
        let celsius = self.world.value("temperature", 18.0, 26.0);
        let pascal = self.world.value("pressure", 995.0, 1025.0) * 100.0;
        let times = |register| 1 << (self.registers.get(register) & 7);
        let scale = Scale::of(times(TEMPERATURE_CONFIG), times(PRESSURE_CONFIG));
        let raw = EXAMPLE.simulate(celsius, pascal, scale);
        let (register, value) =
            if what == MEASURE_PRESSURE { (PRESSURE, raw.pressure) } else { (TEMPERATURE, raw.temperature) };
        for (at, byte) in simulate(value).into_iter().enumerate() {
            self.registers.set(register + at as u8, byte);
        }
    }

    /// A command starts a measurement; the flags beside it are read-only.
    fn command(&mut self, flags: u8, value: u8) {
        self.registers.set(MEASURE, flags | value & 0x07);
        if matches!(value & 0x07, MEASURE_PRESSURE | MEASURE_TEMPERATURE) {
            self.measuring = Some((value & 0x07, Instant::now() + Duration::from_micros(3600)));
        }
    }
}

/// The registers while the chip still reads its calibration.
fn power_up() -> ByteRegisters {
    let mut registers = ByteRegisters::new(&[(ID, 0x10), (SOURCE, 0x80), (REPAIRED, 0x02)]);
    for (at, byte) in EXAMPLE_BYTES.into_iter().enumerate() {
        registers.set(CALIBRATION + at as u8, byte);
    }
    registers
}

impl Chip for Model {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.catch_up();
        let flags = self.registers.get(MEASURE) & 0xf0;
        let writable = |register| matches!(register, PRESSURE_CONFIG | TEMPERATURE_CONFIG | CONFIG);
        match self.registers.write(bytes, writable) {
            Some((RESET, super::RESET)) => *self = Self::new(self.world.clone()),
            Some((MEASURE, value)) => self.command(flags, value),
            _ => {}
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        self.catch_up();
        self.registers.read(buffer);
        // A result is new until it is read.
        let read = match self.registers.pointer() {
            PRESSURE => PRESSURE_THERE,
            TEMPERATURE => TEMPERATURE_THERE,
            _ => 0,
        };
        self.registers.set(MEASURE, self.registers.get(MEASURE) & !read);
        Ok(())
    }
}
