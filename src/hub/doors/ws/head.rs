//! The opening handshake (RFC 6455 section 4.2, RFC 9112), as far as a WebSocket server needs it. Pure.

/// The only path there is.
const PATH: &str = "/mqtt";
/// Names of MQTT as a subprotocol (MQTT-6.0.0-3); clients of MQTT 3.1 use the second.
const PROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// A request that can be granted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wish<'a> {
    pub(super) host: &'a str,
    pub(super) origin: Option<&'a str>,
    pub(super) key: &'a str,
    pub(super) protocol: &'static str,
}

/// Why a request is not granted: status line, further header lines, and a sentence for whoever reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: &'static str,
    pub(super) headers: &'static str,
    pub(super) why: &'static str,
}

impl Refusal {
    pub(super) const fn new(status: &'static str, why: &'static str) -> Self {
        Self { status, headers: "", why }
    }
}

const fn bad(why: &'static str) -> Refusal {
    Refusal::new("400 Bad Request", why)
}

/// No WebSocket was asked for, or one of another version.
const UPGRADE: Refusal = Refusal {
    status: "426 Upgrade Required",
    headers: "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
    why: "this is a WebSocket of version 13, for MQTT",
};

/// Understands the request line and the header lines, without the empty line behind them.
pub(super) fn parse(head: &[u8]) -> Result<Wish<'_>, Refusal> {
    let head = std::str::from_utf8(head).map_err(|_| bad("a header that is no text"))?;
    let mut lines = head.split("\r\n");
    request_line(lines.next().unwrap_or_default())?;
    let fields = lines.map(field).collect::<Option<Vec<_>>>().ok_or(bad("a header line that is none"))?;
    let all =
        |name: &'static str| fields.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|it| it.1);
    let one = |name, why| {
        let mut values = all(name);
        values.next().filter(|_| values.next().is_none()).ok_or(bad(why))
    };
    let lists = |name, wanted: &str| all(name).flat_map(elements).any(|element| element.eq_ignore_ascii_case(wanted));
    let host = one("host", "exactly one Host is needed")?;
    if !lists("upgrade", "websocket") || !lists("connection", "upgrade") {
        return Err(UPGRADE);
    }
    if !all("sec-websocket-version").eq(["13"]) {
        return Err(UPGRADE);
    }
    let key = one("sec-websocket-key", "exactly one Sec-WebSocket-Key is needed")?;
    if !is_key(key) {
        return Err(bad("a Sec-WebSocket-Key is 16 bytes in base64"));
    }
    let offered = |name: &&&str| all("sec-websocket-protocol").flat_map(elements).any(|element| element == **name);
    let protocol = PROTOCOLS.iter().find(offered).ok_or(bad("the subprotocol mqtt has to be offered"))?;
    let origin = all("origin").next().map(|_| one("origin", "there can be only one Origin")).transpose()?;
    Ok(Wish { host, origin, key, protocol })
}

fn request_line(line: &str) -> Result<(), Refusal> {
    let mut parts = line.split(' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(bad("a request line that is none"));
    };
    if !version.starts_with("HTTP/") {
        return Err(bad("this is not HTTP"));
    }
    if target.split('?').next() != Some(PATH) {
        return Err(Refusal::new("404 Not Found", "MQTT is at /mqtt"));
    }
    if method != "GET" {
        return Err(Refusal { headers: "Allow: GET\r\n", ..Refusal::new("405 Method Not Allowed", "only GET") });
    }
    if version == "HTTP/1.1" { Ok(()) } else { Err(UPGRADE) }
}

/// Name and value of a header line (RFC 9112 section 5).
fn field(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let value = value.trim_matches([' ', '\t']);
    let fine = !name.is_empty() && name.chars().all(token) && !value.contains(['\r', '\n', '\0']);
    fine.then_some((name, value))
}

/// The elements of a list (RFC 9110 section 5.6.1).
fn elements(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(|element| element.trim_matches([' ', '\t']))
}

/// 16 bytes in base64: 22 digits, of which the last has four bits that are not used, and the padding.
fn is_key(key: &str) -> bool {
    let digit = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
    key.strip_suffix("==").is_some_and(|digits| digits.len() == 22 && digits.chars().all(digit))
}
