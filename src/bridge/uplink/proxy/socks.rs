//! SOCKS version 5 (RFC 1928), with user name and password (RFC 1929).

use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::Trouble;

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const NOTHING_SUITS: u8 = 0xff;
/// The version of the login's own negotiation.
const LOGIN_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

pub(super) async fn connect<S>(
    stream: &mut S,
    host: &str,
    port: u16,
    login: Option<(&str, &str)>,
) -> Result<(), Trouble>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match login {
        None => say(stream, &[VERSION, 1, NO_LOGIN]).await?,
        Some(_) => say(stream, &[VERSION, 2, NO_LOGIN, PASSWORD]).await?,
    }
    match (hear(stream).await?, login) {
        ([VERSION, NO_LOGIN], _) => {}
        ([VERSION, PASSWORD], Some((user, password))) => log_in(stream, user, password).await?,
        ([VERSION, NOTHING_SUITS], _) => return Err(Trouble::Login),
        _ => return Err(Trouble::Strange),
    }
    say(stream, &request(host, port)?).await?;
    answer(stream).await
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> Result<(), Trouble> {
    stream.write_all(bytes).await?;
    Ok(stream.flush().await?)
}

async fn hear<S: AsyncRead + Unpin, const BYTES: usize>(stream: &mut S) -> Result<[u8; BYTES], Trouble> {
    let mut bytes = [0; BYTES];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn log_in<S>(stream: &mut S, user: &str, password: &str) -> Result<(), Trouble>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut packet = vec![LOGIN_VERSION];
    for text in [user, password] {
        packet.push(u8::try_from(text.len()).map_err(|_| Trouble::Long)?);
        packet.extend(text.as_bytes());
    }
    say(stream, &packet).await?;
    match hear(stream).await? {
        [_, 0] => Ok(()),
        _ => Err(Trouble::Login),
    }
}

fn request(host: &str, port: u16) -> Result<Vec<u8>, Trouble> {
    let mut packet = vec![VERSION, CONNECT, 0];
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            packet.push(IPV4);
            packet.extend(address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            packet.push(IPV6);
            packet.extend(address.octets());
        }
        Err(_) => {
            packet.extend([NAME, u8::try_from(host.len()).map_err(|_| Trouble::Long)?]);
            packet.extend(host.as_bytes());
        }
    }
    packet.extend(port.to_be_bytes());
    Ok(packet)
}

/// Version, reply, nothing, and the address the proxy uses, which nobody here needs.
async fn answer<S: AsyncRead + Unpin>(stream: &mut S) -> Result<(), Trouble> {
    let [version, reply, _, kind] = hear(stream).await?;
    if version != VERSION {
        return Err(Trouble::Strange);
    }
    if reply != 0 {
        return Err(Trouble::Refused(meaning(reply)));
    }
    let length = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => usize::from(stream.read_u8().await?),
        _ => return Err(Trouble::Strange),
    };
    let mut address = vec![0; length + 2];
    stream.read_exact(&mut address).await?;
    Ok(())
}

/// RFC 1928 section 6.
fn meaning(reply: u8) -> String {
    let words = match reply {
        1 => "it has failed",
        2 => "its rules do not allow it",
        3 => "the network is unreachable",
        4 => "the host is unreachable",
        5 => "the connection is refused",
        6 => "the connection's time is up",
        7 => "it does not know the command",
        8 => "it does not know this kind of address",
        _ => return format!("reply {reply:#04x}"),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    /// What is said to a proxy that answers with `answers` whatever it hears.
    async fn ask(host: &str, login: Option<(&str, &str)>, answers: &[u8]) -> (Vec<u8>, Result<(), Trouble>) {
        let (mut ours, mut theirs) = duplex(4096);
        theirs.write_all(answers).await.unwrap();
        theirs.shutdown().await.unwrap();
        let end = connect(&mut ours, host, 0x1234, login).await;
        drop(ours);
        let mut said = Vec::new();
        theirs.read_to_end(&mut said).await.unwrap();
        (said, end)
    }

    const FINE: [u8; 12] = [5, 0, 5, 0, 0, 1, 10, 0, 0, 1, 0, 80];

    #[tokio::test]
    async fn the_proxy_is_told_names_and_addresses_as_they_are() {
        let (said, end) = ask("a.example", None, &FINE).await;
        end.unwrap();
        assert_eq!(said, b"\x05\x01\x00\x05\x01\x00\x03\x09a.example\x12\x34");
        let (said, end) = ask("192.0.2.7", None, &FINE).await;
        end.unwrap();
        assert_eq!(said[3..], [5, 1, 0, 1, 192, 0, 2, 7, 0x12, 0x34]);
        let (said, _) = ask("2001:db8::1", None, &FINE).await;
        assert_eq!((said[6], said.len()), (4, 3 + 4 + 16 + 2));
    }

    #[tokio::test]
    async fn user_name_and_password_are_told_when_asked_for() {
        let answers = [&[5, 2, 1, 0][..], &FINE[2..]].concat();
        let (said, end) = ask("a.example", Some(("me", "pass")), &answers).await;
        end.unwrap();
        assert_eq!(said[..13], *b"\x05\x02\x00\x02\x01\x02me\x04pass");
        let (said, end) = ask("a.example", Some(("me", "pass")), &FINE).await;
        end.unwrap();
        assert_eq!(said[4..8], [5, 1, 0, 3], "a proxy that does not ask is not told");
        assert!(matches!(ask("a", Some(("me", "pass")), &[5, 2, 1, 1]).await.1, Err(Trouble::Login)));
        assert!(matches!(ask("a", None, &[5, 0xff]).await.1, Err(Trouble::Login)));
        let long = "x".repeat(256);
        assert!(matches!(ask("a", Some(("me", &long)), &[5, 2]).await.1, Err(Trouble::Long)));
    }

    #[tokio::test]
    async fn refusals_and_strangers_are_told_apart() {
        let (_, end) = ask("a", None, &[5, 0, 5, 5, 0, 1]).await;
        assert!(matches!(end, Err(Trouble::Refused(why)) if why.contains("refused")));
        assert!(matches!(ask("a", None, b"HTTP/1.1 400").await.1, Err(Trouble::Strange)));
        assert!(matches!(ask("a", None, &[5, 2]).await.1, Err(Trouble::Strange)), "a method nobody offered");
        assert!(matches!(ask("a", None, &[5, 0, 5, 0, 0, 9]).await.1, Err(Trouble::Strange)));
        assert!(matches!(ask("a", None, &[5, 0, 5]).await.1, Err(Trouble::Io(_))));
    }
}
