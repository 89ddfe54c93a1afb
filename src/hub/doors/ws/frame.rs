//! Frames (RFC 6455 section 5): what a client sends is taken apart in place, what it gets is one header. Pure.

/// Opcodes (section 5.2); those of control frames have the highest of their four bits.
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CONTROL: u8 = 0x8;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;
/// The last frame of its message.
const FIN: u8 = 0x80;
/// Bits that only extensions use, of which none is negotiated.
const RESERVED: u8 = 0x70;
/// In the second byte: a mask follows the length.
const MASKED: u8 = 0x80;
/// The longest payload of a control frame (section 5.5).
const LONGEST_CONTROL: u8 = 125;

/// Closing codes (section 7.4.1).
pub(super) const NORMAL: u16 = 1000;
pub(super) const PROTOCOL_ERROR: u16 = 1002;
pub(super) const UNACCEPTABLE: u16 = 1003;

/// What a client says beside its data.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// It wants its payload back.
    Ping(Vec<u8>),
    /// It closes; the code goes back to it.
    Close(Option<u16>),
    /// It does what it must not: the code to close with, and why.
    Wrong(u16, &'static str),
}

fn wrong<T>(why: &'static str) -> Result<T, Notice> {
    Err(Notice::Wrong(PROTOCOL_ERROR, why))
}

/// The frames of one client, as far as they have arrived.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The header of the next frame, while it is not complete.
    header: [u8; 14],
    received: usize,
    /// The frame whose payload arrives.
    current: Option<Frame>,
    /// A message was begun and has not ended.
    in_message: bool,
}

/// A frame whose header is complete.
#[derive(Debug)]
struct Frame {
    opcode: u8,
    last: bool,
    left: u64,
    /// Turned, so that its first byte is for the next byte of the payload.
    mask: [u8; 4],
    /// Payload of a control frame.
    control: Vec<u8>,
}

impl Frames {
    /// Takes the frames off what has arrived. Data is moved to the front of `bytes`; the number says how much.
    /// What follows a closing or wrong frame is thrown away. Of several pings only the last is reported.
    pub(super) fn strip(&mut self, bytes: &mut [u8]) -> (usize, Option<Notice>) {
        let (mut at, mut kept, mut ping) = (0, 0, None);
        while at < bytes.len() {
            let step = match &mut self.current {
                None => {
                    at += 1;
                    self.begin(bytes[at - 1])
                }
                Some(frame) => {
                    let count = frame.unmask(&mut bytes[at..]);
                    if frame.opcode & CONTROL == 0 {
                        bytes.copy_within(at..at + count, kept);
                        kept += count;
                    } else {
                        frame.control.extend_from_slice(&bytes[at..at + count]);
                    }
                    at += count;
                    Ok(())
                }
            };
            match step.err().or_else(|| self.end()) {
                None => {}
                Some(Notice::Ping(payload)) => ping = Some(Notice::Ping(payload)),
                Some(last) => return (kept, Some(last)),
            }
        }
        (kept, ping)
    }

    /// One more byte of a header. The frame is there when the header is complete.
    fn begin(&mut self, byte: u8) -> Result<(), Notice> {
        self.header[self.received] = byte;
        self.received += 1;
        if self.received < 2 {
            return Ok(());
        }
        let [first, second] = [self.header[0], self.header[1]];
        if self.received == 2 {
            self.check(first, second)?;
        }
        let length = second & !MASKED;
        let extended = match length {
            0..=125 => 0,
            126 => 2,
            _ => 8,
        };
        let complete = 2 + extended + 4;
        if self.received < complete {
            return Ok(());
        }
        let number = self.header[2..2 + extended].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let left = if extended == 0 { length.into() } else { number };
        if left >> 63 == 1 {
            return wrong("a frame longer than the protocol allows");
        }
        let mask = self.header[complete - 4..complete].try_into().expect("four bytes");
        self.received = 0;
        self.current = Some(Frame { opcode: first & 0xF, last: first & FIN != 0, left, mask, control: Vec::new() });
        Ok(())
    }

    /// Whether a frame that begins with these two bytes may come now.
    fn check(&self, first: u8, second: u8) -> Result<(), Notice> {
        if first & RESERVED != 0 {
            return wrong("a frame of an extension that was not negotiated");
        }
        if second & MASKED == 0 {
            return wrong("a frame that is not masked");
        }
        match first & 0xF {
            // MQTT-6.0.0-1.
            TEXT => Err(Notice::Wrong(UNACCEPTABLE, "MQTT packets come in binary frames")),
            BINARY if self.in_message => wrong("a message inside of a message"),
            CONTINUATION if !self.in_message => wrong("a continuation of nothing"),
            BINARY | CONTINUATION => Ok(()),
            CLOSE | PING | PONG if first & FIN == 0 => wrong("a control frame in pieces"),
            CLOSE | PING | PONG if second & !MASKED > LONGEST_CONTROL => wrong("a control frame that is too long"),
            CLOSE | PING | PONG => Ok(()),
            _ => wrong("an unknown kind of frame"),
        }
    }

    /// Ends the frame when all of it is there.
    fn end(&mut self) -> Option<Notice> {
        let frame = self.current.take_if(|frame| frame.left == 0)?;
        match frame.opcode {
            PING => return Some(Notice::Ping(frame.control)),
            CLOSE => return Some(closing(&frame.control)),
            PONG => {}
            _ => self.in_message = !frame.last,
        }
        None
    }
}

impl Frame {
    /// Makes readable as much of `bytes` as belongs to this frame; gives how much that is.
    fn unmask(&mut self, bytes: &mut [u8]) -> usize {
        let count = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let (fours, rest) = bytes[..count].as_chunks_mut::<4>();
        for (byte, mask) in fours.iter_mut().flatten().zip(self.mask.iter().cycle()) {
            *byte ^= mask;
        }
        for (byte, mask) in rest.iter_mut().zip(self.mask) {
            *byte ^= mask;
        }
        self.mask.rotate_left(count % 4);
        self.left -= count as u64;
        count
    }
}

/// What a closing frame says (sections 5.5.1 and 7.4).
fn closing(payload: &[u8]) -> Notice {
    match payload {
        [] => Notice::Close(None),
        [a, b, reason @ ..] if std::str::from_utf8(reason).is_ok() => match u16::from_be_bytes([*a, *b]) {
            code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => Notice::Close(Some(code)),
            _ => Notice::Wrong(PROTOCOL_ERROR, "a closing code that must not be sent"),
        },
        _ => Notice::Wrong(PROTOCOL_ERROR, "a damaged closing frame"),
    }
}

/// Appends the header of a binary message in one frame with a payload of `length` bytes.
pub(super) fn put_header(bytes: &mut Vec<u8>, length: usize) {
    bytes.push(FIN | BINARY);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => bytes.push(short),
        (_, Ok(long)) => {
            bytes.push(126);
            bytes.extend_from_slice(&long.to_be_bytes());
        }
        _ => {
            bytes.push(127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// The answer to a ping.
pub(super) fn pong(payload: &[u8]) -> Vec<u8> {
    control(PONG, payload)
}

/// A closing frame.
pub(super) fn close(code: Option<u16>) -> Vec<u8> {
    control(CLOSE, code.map(u16::to_be_bytes).as_ref().map_or(&[], |code| code))
}

fn control(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![FIN | opcode, payload.len() as u8];
    bytes.extend_from_slice(payload);
    bytes
}
