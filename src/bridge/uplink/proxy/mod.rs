//! Proxies: somebody else connects for us.

mod http;
mod socks;

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::bridge::{Proxy, ProxyKind};

/// Why a proxy does not connect us.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The connection to it broke.
    #[error("the proxy {0}: {1}")]
    Io(String, io::Error),
    /// It does not answer in its protocol.
    #[error("the proxy {0} does not answer as an {1} proxy")]
    Strange(String, &'static str),
    /// It wants a user name and a password, or does not accept the ones it got.
    #[error("the proxy {0} does not accept our login")]
    Login(String),
    /// It says no, and why.
    #[error("the proxy {0} does not connect us: {1}")]
    Refused(String, String),
    /// User name, password or host are too long for it.
    #[error("the proxy {0} cannot be told so long a name or password")]
    Long(String),
}

/// What went wrong, before it is known whose proxy it was.
#[derive(Debug)]
enum Trouble {
    Io(io::Error),
    Strange,
    Login,
    Refused(String),
    Long,
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Asks the proxy at the other end of `stream` to connect to `host`, which it resolves itself.
pub(super) async fn through<S>(proxy: &Proxy, stream: &mut S, host: &str, port: u16) -> Result<(), ProxyError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let login = proxy.login.as_ref().map(|(user, password)| (&**user, password.reveal()));
    let (asked, kind) = match proxy.kind {
        ProxyKind::Http => (http::connect(stream, host, port, login).await, "HTTP"),
        ProxyKind::Socks5 => (socks::connect(stream, host, port, login).await, "SOCKS 5"),
    };
    let name = proxy.to_string();
    asked.map_err(|trouble| match trouble {
        Trouble::Io(error) => ProxyError::Io(name, error),
        Trouble::Strange => ProxyError::Strange(name, kind),
        Trouble::Login => ProxyError::Login(name),
        Trouble::Refused(why) => ProxyError::Refused(name, why),
        Trouble::Long => ProxyError::Long(name),
    })
}
