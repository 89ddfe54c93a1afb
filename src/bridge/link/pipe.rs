//! Bytes in, bytes out, on one stream, so that neither direction waits for the other.

use std::io;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split};

use crate::bridge::uplink::Stream;

/// A stream with its buffers.
pub(super) struct Pipe {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    /// What came and was not decoded yet.
    pub(super) inbox: BytesMut,
    /// What was encoded and is not written yet.
    pub(super) outbox: BytesMut,
    /// Written, but perhaps still in a buffer of the TLS layer.
    unflushed: bool,
}

/// What [`Pipe::turn`] did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There is more in the inbox.
    Read,
    /// The peer closed its side.
    Closed,
    /// Some of the outbox is written.
    Wrote,
    /// Everything is written and handed to the kernel.
    Flushed,
}

impl Pipe {
    pub(super) fn new(stream: Box<dyn Stream>, inbox: BytesMut) -> Self {
        let (reader, writer) = split(stream);
        Self { reader, writer, inbox, outbox: BytesMut::with_capacity(4096), unflushed: false }
    }

    /// Nothing waits to be written.
    pub(super) fn is_idle(&self) -> bool {
        self.outbox.is_empty() && !self.unflushed
    }

    /// Reads or writes, whichever can be done first. Dropping it loses nothing.
    pub(super) async fn turn(&mut self, may_read: bool) -> io::Result<Turn> {
        let writing = !self.is_idle();
        let Self { reader, writer, inbox, outbox, unflushed } = self;
        tokio::select! {
            read = reader.read_buf(inbox), if may_read => Ok(if read? == 0 { Turn::Closed } else { Turn::Read }),
            wrote = push(writer, outbox, unflushed), if writing => wrote,
            else => std::future::pending().await,
        }
    }
}

async fn push(
    writer: &mut WriteHalf<Box<dyn Stream>>,
    outbox: &mut BytesMut,
    unflushed: &mut bool,
) -> io::Result<Turn> {
    if outbox.is_empty() {
        writer.flush().await?;
        *unflushed = false;
        return Ok(Turn::Flushed);
    }
    let written = writer.write(outbox).await?;
    if written == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    outbox.advance(written);
    *unflushed = true;
    Ok(Turn::Wrote)
}
