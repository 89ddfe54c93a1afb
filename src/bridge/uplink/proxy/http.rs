//! HTTP CONNECT (RFC 9110 section 9.3.6), with the Basic scheme (RFC 7617).

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::Trouble;
use crate::bridge::settings::authority;

/// The longest answer that is read, in bytes.
const LONGEST: usize = 16 * 1024;

/// What of a refusal is told.
const SHOWN: usize = 120;

pub(super) async fn connect<S>(
    stream: &mut S,
    host: &str,
    port: u16,
    login: Option<(&str, &str)>,
) -> Result<(), Trouble>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let to = authority(host, port);
    let mut request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n");
    if let Some((user, password)) = login {
        let token = base64(format!("{user}:{password}").as_bytes());
        request.push_str(&format!("Proxy-Authorization: Basic {token}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    verdict(&head(stream).await?)
}

/// The answer's head. It is read byte by byte: what follows belongs to the peer behind the proxy.
async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Vec<u8>, Trouble> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == LONGEST {
            return Err(Trouble::Strange);
        }
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}

/// Any 2xx is a connection; a body of it would have no meaning.
fn verdict(head: &[u8]) -> Result<(), Trouble> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let (version, rest) = line.split_once(' ').ok_or(Trouble::Strange)?;
    let code = rest.get(..3).and_then(|code| code.parse::<u16>().ok());
    match code.filter(|_| version.starts_with("HTTP/1.")) {
        Some(200..=299) => Ok(()),
        Some(407) => Err(Trouble::Login),
        Some(_) => Err(Trouble::Refused(rest.chars().filter(|c| !c.is_control()).take(SHOWN).collect())),
        None => Err(Trouble::Strange),
    }
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut padded = [0; 3];
        padded[..group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes([0, padded[0], padded[1], padded[2]]);
        for place in 0..4 {
            let six = (bits >> (18 - 6 * place)) & 0x3f;
            text.push(if place <= group.len() { char::from(ALPHABET[six as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    /// What is asked, and what becomes of `answer`.
    async fn ask(answer: &[u8], login: Option<(&str, &str)>) -> (String, Result<(), Trouble>, Vec<u8>) {
        let (mut ours, mut theirs) = duplex(64 * 1024);
        theirs.write_all(answer).await.unwrap();
        let end = connect(&mut ours, "broker.example", 8883, login).await;
        drop(theirs.shutdown().await);
        let mut asked = vec![0; 4096];
        let length = theirs.read(&mut asked).await.unwrap();
        let mut rest = Vec::new();
        ours.read_to_end(&mut rest).await.unwrap();
        (String::from_utf8(asked[..length].to_vec()).unwrap(), end, rest)
    }

    #[test]
    fn base64_as_in_the_vectors_of_rfc_4648() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xff, 0xef, 0xfe]), "/+/+");
    }

    #[tokio::test]
    async fn a_connection_is_asked_for_and_what_follows_is_left_alone() {
        let (asked, end, rest) = ask(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\nMQTT", None).await;
        end.unwrap();
        assert_eq!(asked, "CONNECT broker.example:8883 HTTP/1.1\r\nHost: broker.example:8883\r\n\r\n");
        assert_eq!(rest, b"MQTT");
        // RFC 7617 section 2.
        let (asked, end, _) = ask(b"HTTP/1.0 200 OK\r\n\r\n", Some(("Aladdin", "open sesame"))).await;
        end.unwrap();
        assert!(asked.contains("\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"), "{asked}");
    }

    #[tokio::test]
    async fn refusals_are_told_apart() {
        let (_, end, _) = ask(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", None).await;
        assert!(matches!(end, Err(Trouble::Login)));
        let (_, end, _) = ask(b"HTTP/1.1 503 No\x07 route\r\n\r\n", None).await;
        assert!(matches!(end, Err(Trouble::Refused(why)) if why == "503 No route"));
        for strange in
            [&b"SSH-2.0-x\r\n\r\n"[..], b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 2\xc3\xa9 x\r\n\r\n", &[b'x'; 20_000]]
        {
            let (_, end, _) = ask(strange, None).await;
            assert!(matches!(end, Err(Trouble::Strange)), "{}", String::from_utf8_lossy(strange));
        }
    }
}
