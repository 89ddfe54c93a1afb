//! Fields to bytes and back, for what goes into the store. Pure.
//!
//! Numbers are LEB128 varints unless a width is given, texts and blobs are length and bytes. Any byte
//! string can be read: it gives fields, or [`Damaged`], never a panic.

mod properties;

/// A field ends too early or holds what cannot be; its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damaged(pub(crate) &'static str);

/// Puts fields one behind the other.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(crate) fn u8(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.blob(text.as_bytes());
    }

    pub(crate) fn blob(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.raw(bytes);
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Takes fields off the front; every method names the field for the error.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, Damaged> {
        self.array(what).map(|[byte]| byte)
    }

    pub(crate) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Damaged> {
        let (front, rest) = self.0.split_first_chunk().ok_or(Damaged(what))?;
        self.0 = rest;
        Ok(*front)
    }

    pub(crate) fn varint(&mut self, what: &'static str) -> Result<u64, Damaged> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8(what)?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Damaged(what))
    }

    pub(crate) fn text(&mut self, what: &'static str) -> Result<&'a str, Damaged> {
        std::str::from_utf8(self.blob(what)?).map_err(|_| Damaged(what))
    }

    pub(crate) fn blob(&mut self, what: &'static str) -> Result<&'a [u8], Damaged> {
        let len = usize::try_from(self.varint(what)?).map_err(|_| Damaged(what))?;
        let (front, rest) = self.0.split_at_checked(len).ok_or(Damaged(what))?;
        self.0 = rest;
        Ok(front)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}
