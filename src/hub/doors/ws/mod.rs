//! WebSocket (RFC 6455) as a stream of bytes: MQTT packets may share frames and span them, so frames are taken
//! off where the bytes arrive, in the reader's own buffer. Nothing is collected, whatever size a frame claims.

mod frame;
mod head;
mod hello;
mod origin;
#[cfg(test)]
mod tests;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use frame::{Frames, Notice, close, pong, put_header};

/// Bytes of small packets that are put into frames and sent together, at most.
const GATHERED: usize = 16 << 10;

pub(super) use hello::hello;
pub(super) use origin::Names;

/// The server's end of a WebSocket: what is read and written are the payloads of binary messages.
#[derive(Debug)]
pub(super) struct WebSocket<S> {
    stream: S,
    /// What came in behind the handshake and was not read yet.
    early: Vec<u8>,
    frames: Frames,
    /// Nothing more is read: the peer has closed, or has to be closed.
    ended: bool,
    /// Begun and not sent: a header, an answer to a ping, a farewell.
    pending: Vec<u8>,
    /// How much of `pending` has left.
    sent: usize,
    /// Payload of the frame whose header was begun, still to come from the writer.
    owed: usize,
    /// An answer that waits for the end of that frame; a later ping replaces it (RFC 6455 section 5.5.3).
    answer: Option<Vec<u8>>,
    /// A closing frame was queued: nothing may follow it.
    closed: bool,
    /// An answer has left, but the stream may still hold it back: TLS does.
    unflushed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    fn new(stream: S, early: Vec<u8>) -> Self {
        let (frames, pending) = (Frames::default(), Vec::new());
        let (ended, closed, unflushed, answer) = (false, false, false, None);
        Self { stream, early, frames, ended, pending, sent: 0, owed: 0, answer, closed, unflushed }
    }

    /// Queues what answers a notice of the peer.
    fn react(&mut self, notice: Notice) -> io::Result<()> {
        match notice {
            Notice::Ping(payload) => self.answer = (!self.closed).then(|| pong(&payload)),
            Notice::Close(code) => self.say_goodbye(code),
            Notice::Wrong(code, why) => {
                self.say_goodbye(Some(code));
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
        }
        Ok(())
    }

    fn say_goodbye(&mut self, code: Option<u16>) {
        self.ended = true;
        if !std::mem::replace(&mut self.closed, true) {
            self.answer = Some(close(code));
        }
    }

    /// Sends what is queued, as far as it may go now. Ready when nothing is in the way of the next frame.
    fn poll_pending(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while self.sent < self.pending.len() {
                let count = ready!(Pin::new(&mut self.stream).poll_write(context, &self.pending[self.sent..]))?;
                self.took(count)?;
            }
            if self.owed > 0 {
                return Poll::Ready(Ok(()));
            }
            match self.answer.take() {
                Some(answer) => (self.pending, self.sent) = (answer, 0),
                None => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Sends answers as far as they go now; what does not is tried again when the reader is polled again.
    fn answer(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.answer.is_some() || !self.pending.is_empty() {
            self.unflushed |= self.poll_pending(context)?.is_ready();
        }
        if self.unflushed && Pin::new(&mut self.stream).poll_flush(context)?.is_ready() {
            self.unflushed = false;
        }
        Ok(())
    }

    /// Queues whole packets, a frame each. Packets may share a frame (MQTT-6.0.0-2), but there are clients that
    /// lose what follows the first: Paho's in C. Gives how many bytes that were; none when the first is large.
    fn gather(&mut self, data: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(length) = packet_length(&data[taken..]) {
            if taken + length > data.len().min(GATHERED) {
                break;
            }
            put_header(&mut self.pending, length);
            self.pending.extend_from_slice(&data[taken..taken + length]);
            taken += length;
        }
        taken
    }

    /// Notes that the stream took `count` bytes of what is pending.
    fn took(&mut self, count: usize) -> io::Result<()> {
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.sent += count;
        if self.sent == self.pending.len() {
            (self.pending, self.sent) = (Vec::new(), 0);
        }
        Ok(())
    }

    /// Raw bytes into `raw`: those behind the handshake first.
    fn poll_raw(&mut self, context: &mut Context<'_>, raw: &mut [u8]) -> Poll<io::Result<usize>> {
        if !self.early.is_empty() {
            let count = self.early.len().min(raw.len());
            raw[..count].copy_from_slice(&self.early[..count]);
            self.early.drain(..count);
            return Poll::Ready(Ok(count));
        }
        let mut raw = ReadBuf::new(raw);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut raw))?;
        Poll::Ready(Ok(raw.filled().len()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.answer(context)?;
        while !this.ended && buffer.remaining() > 0 {
            let raw = buffer.initialize_unfilled();
            let count = ready!(this.poll_raw(context, raw))?;
            if count == 0 {
                return Poll::Ready(Ok(()));
            }
            let (kept, notice) = this.frames.strip(&mut raw[..count]);
            buffer.advance(kept);
            let verdict = notice.map_or(Ok(()), |notice| this.react(notice));
            this.answer(context)?;
            verdict?;
            if kept > 0 {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    /// What is offered begins with a packet. Once the header of a large packet's frame has left, the rest of that
    /// packet has to be offered again.
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if this.owed == 0 {
            ready!(this.poll_pending(context))?;
            if this.closed {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let gathered = this.gather(data);
            if gathered > 0 {
                // What does not leave now leaves with the flush.
                let _left = this.poll_pending(context)?;
                return Poll::Ready(Ok(gathered));
            }
            this.owed = packet_length(data).unwrap_or(data.len());
            put_header(&mut this.pending, this.owed);
        }
        let data = &data[..data.len().min(this.owed)];
        loop {
            let header = &this.pending[this.sent..];
            let (left, both) = (header.len(), [IoSlice::new(header), IoSlice::new(data)]);
            let slices = if left == 0 { &both[1..] } else { &both };
            let count = ready!(Pin::new(&mut this.stream).poll_write_vectored(context, slices))?;
            if left > 0 {
                this.took(count.min(left))?;
            }
            if count == 0 || count > left {
                this.owed -= count.saturating_sub(left);
                return Poll::Ready(Ok(count.saturating_sub(left)));
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_pending(context))?;
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !std::mem::replace(&mut this.closed, true) {
            this.answer = Some(close(Some(frame::NORMAL)));
        }
        ready!(this.poll_pending(context))?;
        Pin::new(&mut this.stream).poll_shutdown(context)
    }
}

/// The length of the MQTT packet at the front of `data` (MQTT 5.0 section 2.1); nothing when that cannot be told.
fn packet_length(data: &[u8]) -> Option<usize> {
    let size = data.get(1..)?.iter().take(4).position(|byte| byte & 0x80 == 0)? + 1;
    let length = data[1..=size].iter().rev().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7F));
    Some(1 + size + length)
}
