//! Bytes to and from one socket: one buffer each way, read and written in one poll.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::super::memory::{Memory, Share};

/// What an idle connection keeps for reading; whoever fills it gets eight times as much, up to [`LARGE`].
const SMALL: usize = 512;
/// What a busy connection reads at once.
const LARGE: usize = 64 << 10;

/// What a connection takes beside its buffers.
const SELF: usize = 4 << 10;

/// A socket with its buffers.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    input: Input,
    output: Vec<u8>,
    /// How much of `output` has left.
    written: usize,
    /// The stream itself may hold bytes back until it is flushed: TLS does.
    flushes: bool,
    pub(super) bytes_in: usize,
    pub(super) bytes_out: usize,
    /// What the connection holds beside the buffers.
    held: usize,
    share: Share,
}

/// What was received and not consumed: `bytes[start..end]`.
#[derive(Debug, Default)]
pub(super) struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    pub(super) fn received(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end, "only what was received can be consumed");
    }

    /// Throws away what was received.
    pub(super) fn discard(&mut self) {
        self.start = self.end;
    }

    /// Callers consume whole packets and refuse those above their limit, so the buffer never grows past
    /// that limit and one reading more.
    fn make_room(&mut self) {
        let larger = (8 * self.bytes.len()).clamp(SMALL, LARGE);
        if self.start == self.end {
            let full = self.end == self.bytes.len();
            (self.start, self.end) = (0, 0);
            if full && self.bytes.len() < LARGE {
                self.bytes.resize(larger, 0);
            }
        } else if self.end == self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            let wanted = (self.end + self.end / 2).max(larger);
            if self.bytes.len() < wanted {
                self.bytes.resize(wanted, 0);
            }
        }
    }
}

/// What a poll has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// Bytes came in; some may have left too.
    Received,
    /// Bytes have left.
    Sent,
    /// The peer sends nothing any more.
    End,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S, memory: &Arc<Memory>) -> Self {
        let input = Input { bytes: vec![0; SMALL], start: 0, end: 0 };
        let share = Share::new(memory);
        Self {
            stream,
            input,
            output: Vec::new(),
            written: 0,
            flushes: false,
            bytes_in: 0,
            bytes_out: 0,
            held: 0,
            share,
        }
    }

    /// The connection holds so many bytes beside the buffers.
    pub(super) fn hold(&mut self, bytes: usize) {
        self.held = bytes;
        self.settle();
    }

    fn settle(&mut self) {
        self.share.set(SELF + self.held + self.input.bytes.len() + self.output.capacity());
    }

    /// Whether a packet has begun that fills the whole buffer and needs more, beyond what any connection may
    /// have; with `hard`, beyond what an idle one has.
    pub(super) fn is_cramped(&self, hard: bool) -> bool {
        let begun = self.input.end - self.input.start;
        begun == self.input.bytes.len() && begun >= if hard { SMALL } else { LARGE }
    }

    /// What was received, on loan: packets borrow from it while the connection works.
    pub(super) fn lend_input(&mut self) -> Input {
        std::mem::take(&mut self.input)
    }

    pub(super) fn return_input(&mut self, input: Input) {
        self.input = input;
    }

    pub(super) fn input(&mut self) -> &mut Input {
        &mut self.input
    }

    /// Whether the first packet that was received is a PUBLISH.
    pub(super) fn begins_with_publish(&self) -> bool {
        self.input.received().first().is_some_and(|first| first >> 4 == 3)
    }

    /// Where to append what is to be sent.
    pub(super) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Bytes that wait to be sent.
    pub(super) fn pending(&self) -> usize {
        self.output.len() - self.written
    }

    /// Sends what waits and, when `may_read`, receives.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, may_read: bool) -> Poll<io::Result<Moved>> {
        let sent = self.poll_write(context)?;
        self.settle();
        match self.poll_received(context, may_read) {
            Poll::Pending if sent => Poll::Ready(Ok(Moved::Sent)),
            moved => moved,
        }
    }

    /// Receives when `may_read`, and sends nothing.
    pub(super) fn poll_received(&mut self, context: &mut Context<'_>, may_read: bool) -> Poll<io::Result<Moved>> {
        if may_read && let Poll::Ready(count) = self.poll_read(context)? {
            return Poll::Ready(Ok(if count == 0 { Moved::End } else { Moved::Received }));
        }
        Poll::Pending
    }

    /// True when something has left.
    fn poll_write(&mut self, context: &mut Context<'_>) -> io::Result<bool> {
        let before = self.written;
        while self.written < self.output.len() {
            match Pin::new(&mut self.stream).poll_write(context, &self.output[self.written..])? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => {
                    self.written += count;
                    self.bytes_out += count;
                    self.flushes = true;
                }
                Poll::Pending => return Ok(self.written > before),
            }
        }
        let sent = self.written > before;
        self.output.clear();
        self.written = 0;
        if self.flushes && Pin::new(&mut self.stream).poll_flush(context)?.is_ready() {
            self.flushes = false;
        }
        Ok(sent)
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.make_room();
        let mut buffer = ReadBuf::new(&mut self.input.bytes[self.input.end..]);
        let result = Pin::new(&mut self.stream).poll_read(context, &mut buffer);
        let count = buffer.filled().len();
        self.input.end += count;
        self.bytes_in += count;
        result.map_ok(|()| count)
    }

    /// Gives back what an idle connection does not need.
    pub(super) fn shrink(&mut self) {
        let input = &mut self.input;
        if input.start == input.end {
            (input.start, input.end) = (0, 0);
            input.bytes.truncate(SMALL);
            input.bytes.shrink_to_fit();
        }
        if self.output.is_empty() {
            self.output = Vec::new();
        }
        self.settle();
    }

    /// Tells the peer that nothing follows.
    pub(super) async fn shutdown(&mut self) {
        if let Err(error) = self.stream.shutdown().await {
            tracing::trace!(%error, "shutdown of a connection");
        }
    }
}
