//! MQTT in a WebSocket (RFC 6455; MQTT 5 section 6): a stream of bytes out of binary messages.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use futures_util::{Sink as _, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::dial::Stream;
use crate::bridge::Endpoint;

/// The largest message we take: somewhat more than the largest packet.
const LARGEST: usize = 17 << 20;

/// What goes into one message at most, so that packets are not collected for long.
const PIECE: usize = 64 * 1024;

/// Bytes the crate reads ahead and writes behind.
const BUFFER: usize = 8 * 1024;

/// Why there is no WebSocket.
#[derive(Debug, thiserror::Error)]
pub enum WsError {
    /// The server answers, but with another HTTP status than 101.
    #[error("no WebSocket at {0}: HTTP status {1}")]
    Status(String, u16),
    /// The server does not speak MQTT in it, or not as asked for.
    #[error("no MQTT in the WebSocket at {0}: {1}")]
    Handshake(String, String),
    /// The connection broke.
    #[error("WebSocket: {0}")]
    Io(io::Error),
}

/// Asks for a WebSocket on `stream`.
pub(super) async fn upgrade(stream: Box<dyn Stream>, endpoint: &Endpoint) -> Result<Box<dyn Stream>, WsError> {
    let strange = |why: &dyn ToString| WsError::Handshake(endpoint.to_string(), why.to_string());
    let uri: Uri = endpoint.to_string().parse().map_err(|error| strange(&error))?;
    let request = ClientRequestBuilder::new(uri).with_sub_protocol("mqtt");
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(Some(LARGEST))
        .max_frame_size(Some(LARGEST));
    match client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(Box::new(Bare { socket, came: Bytes::new() })),
        Err(tungstenite::Error::Http(answer)) => Err(WsError::Status(endpoint.to_string(), answer.status().as_u16())),
        Err(tungstenite::Error::Io(error)) => Err(WsError::Io(error)),
        Err(error) => Err(strange(&error)),
    }
}

/// The bytes in the messages.
struct Bare {
    socket: WebSocketStream<Box<dyn Stream>>,
    /// Of the last message, what was not read yet.
    came: Bytes,
}

impl AsyncRead for Bare {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.came.is_empty() {
            self.came = match ready!(Pin::new(&mut self.socket).poll_next(context)) {
                Some(Ok(Message::Binary(bytes))) => bytes,
                // Pings are answered by the crate. MQTT never comes as text (MQTT-6.0.0-1).
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Text(_))) => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(end(error)),
            };
        }
        let length = self.came.len().min(to.remaining());
        to.put_slice(&self.came[..length]);
        self.came.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Bare {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(context)).map_err(broken)?;
        let piece = &bytes[..bytes.len().min(PIECE)];
        let message = Message::Binary(Bytes::copy_from_slice(piece));
        Pin::new(&mut self.socket).start_send(message).map_err(broken)?;
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context).map_err(broken)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(context).map_err(broken)
    }
}

/// A server that goes without the closing handshake ends the stream as one that closes TCP does.
fn end(error: tungstenite::Error) -> io::Result<()> {
    match error {
        tungstenite::Error::ConnectionClosed
        | tungstenite::Error::AlreadyClosed
        | tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Ok(()),
        error => Err(broken(error)),
    }
}

fn broken(error: tungstenite::Error) -> io::Error {
    match error {
        tungstenite::Error::Io(error) => error,
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    }
}
