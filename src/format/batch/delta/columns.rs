//! Columns: varints one behind the other.

use super::super::decode::Error;

/// Writes a column.
#[derive(Default)]
pub(super) struct Column(Vec<u8>);

impl Column {
    pub(super) fn unsigned(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    pub(super) fn signed(&mut self, number: i64) {
        self.unsigned((number << 1 ^ number >> 63) as u64);
    }

    pub(super) fn double(&mut self, number: f64) {
        self.0.extend(number.to_be_bytes());
    }

    pub(super) fn whole(&self) -> &[u8] {
        &self.0
    }

    /// Without zeros at the end, which the reader knows anyway. The last byte of a longer varint is never 0.
    pub(super) fn trimmed(&self) -> &[u8] {
        let end = self.0.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        &self.0[..end]
    }
}

/// Reads a column; the name is for errors.
pub(super) struct Cells<'a> {
    pub(super) name: &'static str,
    pub(super) rest: &'a [u8],
}

impl Cells<'_> {
    /// The next number; 0 when the column has ended.
    pub(super) fn unsigned(&mut self) -> Result<u64, Error> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let Some((byte, rest)) = self.rest.split_first() else {
                return if shift == 0 { Ok(0) } else { Err(Error::Damaged(self.name)) };
            };
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Error::Damaged(self.name))
    }

    pub(super) fn signed(&mut self) -> Result<i64, Error> {
        self.unsigned().map(|number| (number >> 1) as i64 ^ -((number & 1) as i64))
    }

    pub(super) fn double(&mut self) -> Result<f64, Error> {
        let (front, rest) = self.rest.split_first_chunk().ok_or(Error::Damaged(self.name))?;
        self.rest = rest;
        Ok(f64::from_be_bytes(*front))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn signs_are_in_the_lowest_bit() {
        let mut column = Column::default();
        for number in [0, -1, 1, -2, 2, -64, 64] {
            column.signed(number);
        }
        assert_eq!(column.whole(), [0, 1, 2, 3, 4, 127, 128, 1]);
    }

    proptest! {
        #[test]
        fn columns_are_read_as_written(numbers in prop::collection::vec(any::<i64>(), 0..20), zeros in 0..5_usize) {
            let mut column = Column::default();
            numbers.iter().for_each(|number| column.signed(*number));
            (0..zeros).for_each(|_| column.unsigned(0));
            let mut cells = Cells { name: "test", rest: column.trimmed() };
            for number in numbers {
                prop_assert_eq!(cells.signed(), Ok(number));
            }
            for _ in 0..zeros {
                prop_assert_eq!(cells.unsigned(), Ok(0));
            }
        }
    }
}
