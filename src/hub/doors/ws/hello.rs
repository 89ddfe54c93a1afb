//! The opening handshake on a stream.

use std::io;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::head::{Refusal, Wish, parse};
use super::{Names, WebSocket};

/// The longest request with all its headers; browsers send about 600 bytes, and cookies.
const LONGEST: usize = 8 << 10;
/// What the key is completed with (RFC 6455 section 4.2.2).
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Reads the request and answers it. It has no deadline of its own.
pub(in super::super) async fn hello<S>(mut stream: S, names: Names<'_>) -> io::Result<WebSocket<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut bytes = Vec::with_capacity(1 << 10);
    let head = head(&mut stream, &mut bytes).await?;
    let judged = match head {
        Some(end) => parse(&bytes[..end]).and_then(|wish| names.judge(&wish).map(|()| wish)),
        None => Err(Refusal::new("431 Request Header Fields Too Large", "more than 8 KiB of headers")),
    };
    match judged {
        Ok(wish) => stream.write_all(welcome(&wish).as_bytes()).await?,
        Err(refusal) => {
            stream.write_all(turn_away(refusal).as_bytes()).await?;
            stream.shutdown().await?;
            return Err(io::Error::other(refusal.why));
        }
    }
    stream.flush().await?;
    bytes.drain(..head.map_or(0, |end| end + END.len()));
    bytes.shrink_to_fit();
    Ok(WebSocket::new(stream, bytes))
}

const END: &[u8] = b"\r\n\r\n";

/// Reads until the empty line; gives where it begins, or nothing when there is too much before it.
async fn head<S: AsyncRead + Unpin>(stream: &mut S, bytes: &mut Vec<u8>) -> io::Result<Option<usize>> {
    let mut searched: usize = 0;
    loop {
        if stream.read_buf(bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let from = searched.saturating_sub(END.len() - 1);
        if let Some(at) = bytes[from..].windows(END.len()).position(|four| four == END) {
            return Ok(Some(from + at).filter(|end| *end <= LONGEST));
        }
        if bytes.len() > LONGEST {
            return Ok(None);
        }
        searched = bytes.len();
    }
}

fn welcome(wish: &Wish<'_>) -> String {
    let accept = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{}{MAGIC}", wish.key).as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {}\r\n\r\n",
        base64(accept.as_ref()),
        wish.protocol,
    )
}

fn turn_away(Refusal { status, headers, why }: Refusal) -> String {
    let connection = if headers.contains("Connection:") { "" } else { "Connection: close\r\n" };
    let length = why.len() + 1;
    format!(
        "HTTP/1.1 {status}\r\n{headers}{connection}Content-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{why}\n"
    )
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let number = (0..3).fold(0, |number, at| number << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        for place in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * place) & 63) as usize];
            text.push(if place > three.len() { '=' } else { digit.into() });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_rfc_4648_section_10() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn the_key_is_accepted_as_in_rfc_6455_section_1_3() {
        let wish = Wish { host: "", origin: None, key: "dGhlIHNhbXBsZSBub25jZQ==", protocol: "mqtt" };
        assert!(welcome(&wish).contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    }
}
