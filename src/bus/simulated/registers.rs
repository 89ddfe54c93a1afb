//! Chips with a pointer and registers behind it: of 16 bits, high byte first (LM75, TMP102, ADS1115), or of
//! 8 bits (TMP421, EMC1413, DPS310), and many more.

use super::Chip;
use crate::model::Fault;

/// `N` registers of 16 bits and the pointer that selects one.
#[derive(Debug, Clone)]
pub struct WordRegisters<const N: usize> {
    /// The registers' contents.
    pub words: [u16; N],
    pointer: usize,
}

impl<const N: usize> WordRegisters<N> {
    /// Registers as after power-up; the pointer selects the first.
    pub fn new(words: [u16; N]) -> Self {
        Self { words, pointer: 0 }
    }

    /// The selected register.
    pub fn pointer(&self) -> usize {
        self.pointer
    }

    /// Takes a pointer byte and up to two data bytes; gives the register that was written, if one was.
    /// A single data byte goes to the high half, as chips with 8-bit configuration registers have it.
    ///
    /// # Errors
    /// [`Fault::Nack`] for a register that does not exist.
    pub fn write(&mut self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        let Some((&pointer, data)) = bytes.split_first() else { return Ok(None) };
        self.pointer = usize::from(pointer);
        let word = self.words.get_mut(self.pointer).ok_or(Fault::Nack)?;
        match *data {
            [] => return Ok(None),
            [high] => *word = u16::from_be_bytes([high, 0]),
            [high, low, ..] => *word = u16::from_be_bytes([high, low]),
        }
        Ok(Some(self.pointer))
    }

    /// Fills `buffer` from the selected register, over and over.
    pub fn read(&self, buffer: &mut [u8]) {
        let word = self.words.get(self.pointer).map_or([0xff; 2], |word| word.to_be_bytes());
        buffer.iter_mut().zip(word.into_iter().cycle()).for_each(|(to, from)| *to = from);
    }
}

/// As a chip of its own: registers that somebody has filled once and for all.
impl<const N: usize> Chip for WordRegisters<N> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        WordRegisters::write(self, bytes).map(drop)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        WordRegisters::read(self, buffer);
        Ok(())
    }
}

/// 256 registers of 8 bits and the pointer that selects one.
#[derive(Debug, Clone)]
pub struct ByteRegisters {
    bytes: [u8; 256],
    pointer: u8,
}

impl ByteRegisters {
    /// Registers that are 0 after power-up, but for these.
    pub fn new(after_power_up: &[(u8, u8)]) -> Self {
        let mut registers = Self { bytes: [0; 256], pointer: 0 };
        after_power_up.iter().for_each(|&(register, value)| registers.set(register, value));
        registers
    }

    /// The selected register.
    pub fn pointer(&self) -> u8 {
        self.pointer
    }

    /// What is in `register`.
    pub fn get(&self, register: u8) -> u8 {
        self.bytes[usize::from(register)]
    }

    /// Puts `value` into `register`, as the chip itself does.
    pub fn set(&mut self, register: u8, value: u8) {
        self.bytes[usize::from(register)] = value;
    }

    /// Takes a pointer byte and perhaps a data byte, which goes to registers that are `writable`;
    /// gives what was written.
    pub fn write(&mut self, bytes: &[u8], writable: impl Fn(u8) -> bool) -> Option<(u8, u8)> {
        self.pointer = *bytes.first()?;
        let value = *bytes.get(1)?;
        if writable(self.pointer) {
            self.set(self.pointer, value);
        }
        Some((self.pointer, value))
    }

    /// Fills `buffer` from the selected register on.
    pub fn read(&self, buffer: &mut [u8]) {
        buffer.iter_mut().zip(self.pointer..=u8::MAX).for_each(|(to, register)| *to = self.get(register));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pointer_selects_and_stays() {
        let mut registers = WordRegisters::new([0x1234, 0x5678]);
        assert_eq!(registers.write(&[1]), Ok(None));
        let mut buffer = [0; 3];
        registers.read(&mut buffer);
        assert_eq!(buffer, [0x56, 0x78, 0x56]);
        assert_eq!(registers.write(&[0, 0xab, 0xcd]), Ok(Some(0)));
        assert_eq!(registers.words, [0xabcd, 0x5678]);
        assert_eq!(registers.write(&[1, 0x60]), Ok(Some(1)));
        assert_eq!(registers.words, [0xabcd, 0x6000]);
        assert_eq!(registers.write(&[2]), Err(Fault::Nack));
    }

    #[test]
    fn only_what_is_writable_is_written() {
        let mut registers = ByteRegisters::new(&[(2, 0x12), (3, 0x34)]);
        assert_eq!(registers.write(&[2], |_| true), None);
        let mut buffer = [0; 2];
        registers.read(&mut buffer);
        assert_eq!((registers.pointer(), buffer), (2, [0x12, 0x34]));
        assert_eq!(registers.write(&[2, 0x56], |register| register == 2), Some((2, 0x56)));
        assert_eq!(registers.write(&[3, 0x78], |register| register == 2), Some((3, 0x78)));
        assert_eq!((registers.get(2), registers.get(3)), (0x56, 0x34));
    }
}
