//! Chips with a pointer register and 16-bit registers behind it, high byte first
//! (LM75, TMP102, ADS1115 and many more).

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
}
