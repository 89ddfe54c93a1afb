//! The data types of section 1.5: integers, strings, binary data, variable byte integers.

use super::{CodecError, Reason};

pub(super) fn malformed(why: &'static str) -> CodecError {
    CodecError { reason: Reason::MALFORMED, why }
}

pub(super) fn protocol_error(why: &'static str) -> CodecError {
    CodecError { reason: Reason::PROTOCOL_ERROR, why }
}

/// Takes one value after the other from a complete packet; running out of bytes is malformed.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(malformed("the packet ends inside a field"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// Everything that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Fails when bytes are left over.
    pub(super) fn end(&self) -> Result<(), CodecError> {
        if self.is_empty() { Ok(()) } else { Err(malformed("bytes are left over at the end of the packet")) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(malformed("the packet ends inside a field"))?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, CodecError> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, CodecError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, CodecError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A packet id, which is never zero (MQTT-2.2.1-3).
    pub(super) fn packet_id(&mut self) -> Result<u16, CodecError> {
        match self.u16()? {
            0 => Err(protocol_error("a packet id is zero")),
            id => Ok(id),
        }
    }

    pub(super) fn binary(&mut self) -> Result<&'a [u8], CodecError> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// UTF-8 without U+0000 (MQTT-1.5.4-1, -2).
    pub(super) fn text(&mut self) -> Result<&'a str, CodecError> {
        let text = std::str::from_utf8(self.binary()?).map_err(|_| malformed("a string is not UTF-8"))?;
        if text.as_bytes().contains(&0) { Err(malformed("a string contains U+0000")) } else { Ok(text) }
    }

    pub(super) fn varint(&mut self) -> Result<u32, CodecError> {
        match varint(self.0)? {
            Some((value, size)) => {
                self.take(size)?;
                Ok(value)
            }
            None => Err(malformed("the packet ends inside a field")),
        }
    }
}

/// A variable byte integer and its size, or nothing when more bytes are needed (section 1.5.5).
pub(super) fn varint(bytes: &[u8]) -> Result<Option<(u32, usize)>, CodecError> {
    let mut value = 0;
    for (place, &byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            // The encoded value must use the fewest bytes (MQTT-1.5.5-1).
            let padded = place > 0 && byte == 0;
            return if padded { Err(malformed("a length has needless bytes")) } else { Ok(Some((value, place + 1))) };
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(malformed("a length has more than four bytes")) }
}

/// Bytes a variable byte integer takes.
pub(super) fn varint_size(value: usize) -> usize {
    match value {
        0..=127 => 1,
        128..=16_383 => 2,
        16_384..=2_097_151 => 3,
        _ => 4,
    }
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

/// Writes a two-byte length and the bytes; what does not fit into 65,535 bytes is cut.
pub(super) fn put_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = bytes.len().min(65_535);
    out.extend_from_slice(&(length as u16).to_be_bytes());
    out.extend_from_slice(&bytes[..length]);
}

/// Writes the length of what `body` writes in front of it.
pub(super) fn put_sized(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.push(0);
    body(out);
    let length = out.len() - start - 1;
    let size = varint_size(length);
    if size > 1 {
        out.resize(out.len() + size - 1, 0);
        out.copy_within(start + 1..start + 1 + length, start + size);
    }
    let mut value = length;
    for place in 0..size {
        let more = if place + 1 < size { 0x80 } else { 0 };
        out[start + place] = (value & 0x7f) as u8 | more;
        value >>= 7;
    }
}
