//! From an accepted socket to a welcomed client: CONNECT, judged and answered.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};

use super::super::Shared;
use super::super::access::users::Users;
use super::super::access::{self, Access, Claim, Identity, Refused, Visitor};
use super::super::bell::Bell;
use super::super::codec::{self, CodecError, Connack, Packet, Properties, Reason, Version};
use super::super::counters::add;
use super::super::doors::Ticket;
use super::super::places::Place;
use super::super::sessions::{Attached, Wish};
use super::super::settings::{Limits, Settings};
use super::Connection;
use super::parting::farewell;
use super::profile::{Profile, judge, max_packet};
use super::wire::{Moved, Wire};

/// CONNECT has to arrive within this time.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Bytes a client may send before its CONNECT is answered.
const EARLY: usize = 64 << 10;
/// The longest CONNECT, in bytes, without the payload of its will.
const CONNECT: usize = 64 << 10;

/// The answer when every place is taken.
const FULL: Refused = Refused { reason: Reason::SERVER_BUSY, why: "as many connections as there may be" };

/// What a connection needs of a client that was welcomed.
pub(super) struct Welcomed {
    pub(super) settings: Arc<Settings>,
    pub(super) generation: u64,
    pub(super) profile: Profile,
    pub(super) identity: Identity,
    pub(super) access: Arc<Access>,
    pub(super) attached: Attached,
    pub(super) bell: Arc<Bell>,
}

/// Serves one connection until it ends.
///
/// Its task is as large as the largest future in it for as long as it lives, and nearly all of them are idle:
/// so what begins and what ends it are on the heap, while they last.
pub(in super::super) async fn serve<S>(hub: Arc<Shared>, stream: S, visitor: Visitor, ticket: Ticket)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Some((connection, _place)) = Box::pin(begin(hub, stream, &visitor, ticket)).await {
        connection.live(&visitor).await;
    }
}

/// Until the client is welcomed; nothing when it is not.
async fn begin<S: AsyncRead + AsyncWrite + Unpin>(
    hub: Arc<Shared>,
    stream: S,
    visitor: &Visitor,
    ticket: Ticket,
) -> Option<(Box<Connection<S>>, Place)> {
    let mut wire = Wire::new(stream, &hub.router.memory);
    let welcomed = hub.stop.run_until_cancelled(welcome(&hub, &mut wire, visitor, ticket)).await.flatten();
    let Some((welcomed, place)) = welcomed else {
        let tally = &hub.router.tally;
        add(&tally.bytes_in, wire.bytes_in);
        add(&tally.bytes_out, wire.bytes_out);
        return None;
    };
    Some((Box::new(Connection::new(hub, wire, welcomed)), place))
}

/// Waits for CONNECT and answers it; nothing when there is no connection to go on with.
async fn welcome<S: AsyncRead + AsyncWrite + Unpin>(
    hub: &Arc<Shared>,
    wire: &mut Wire<S>,
    visitor: &Visitor,
    ticket: Ticket,
) -> Option<(Welcomed, Place)> {
    let Ok(asked) = timeout(HANDSHAKE, receive(hub, wire)).await else {
        hub.router.tally.closed("handshake_timeout");
        return None;
    };
    let (reader, refused) = match asked? {
        Ok(asked) => {
            let reader = Reader { version: asked.profile.version, max_packet: asked.profile.max_packet };
            if !ticket.leave() {
                return None;
            }
            // From here on the client has a place, or it is told that there is none.
            let admitted = match hub.places.take(asked.settings.limits.connections) {
                Some(place) => admit_while_there(hub, wire, asked, visitor).await?.map(|welcomed| (welcomed, place)),
                None => Err(FULL),
            };
            match admitted {
                Ok(welcomed) => return Some(welcomed),
                Err(refused) => (Some(reader), refused),
            }
        }
        Err(refused) => refused,
    };
    refuse(hub, wire, reader, refused, visitor).await;
    None
}

/// As [`admit`]; nothing when the client goes meanwhile.
async fn admit_while_there<S: AsyncRead + AsyncWrite + Unpin>(
    hub: &Shared,
    wire: &mut Wire<S>,
    asked: Asked,
    visitor: &Visitor,
) -> Option<Result<Welcomed, Refused>> {
    tokio::select! {
        biased;
        // On the heap: a password takes time and memory that other connections do not need.
        admitted = Box::pin(admit(hub, asked, visitor)) => Some(admitted),
        () = gone(wire) => {
            hub.router.tally.closed("left_before_connack");
            None
        }
    }
}

/// Waits until the client has closed its socket. What it sends meanwhile is kept, up to a bound.
async fn gone<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>) {
    while let Ok(Moved::Received | Moved::Sent) = poll_fn(|context| {
        let may_read = wire.input().received().len() < EARLY;
        wire.poll(context, may_read)
    })
    .await
    {}
}

/// Who reads a CONNACK.
#[derive(Clone, Copy)]
struct Reader {
    version: Version,
    /// The largest packet it takes.
    max_packet: usize,
}

/// What a good CONNECT asks for, and the settings it was judged by.
struct Asked {
    settings: Arc<Settings>,
    users: Option<Arc<Users>>,
    claim: Claim,
    generation: u64,
    profile: Profile,
}

/// Waits for CONNECT; nothing when something else came, or the end.
async fn receive<S: AsyncRead + AsyncWrite + Unpin>(
    hub: &Shared,
    wire: &mut Wire<S>,
) -> Option<Result<Asked, (Option<Reader>, Refused)>> {
    loop {
        let generation = hub.live.generation();
        let (settings, users) = hub.live.settings_and_users();
        let decoded = codec::decode(wire.input().received(), Version::V5, longest_connect(&settings.limits));
        let (judged, reader, size) = match decoded {
            Ok(None) => match poll_fn(|context| wire.poll(context, true)).await {
                Ok(Moved::Received | Moved::Sent) => continue,
                Ok(Moved::End) | Err(_) => return None,
            },
            Ok(Some((Packet::Connect(connect), size))) => {
                add(&hub.router.tally.connects, 1);
                add(&hub.router.tally.packets_in, 1);
                let reader = Reader { version: connect.version, max_packet: max_packet(&connect) };
                (judge(&connect, &settings).map(|profile| (profile, Claim::of(&connect))), reader, size)
            }
            Ok(Some(_)) => {
                hub.router.tally.closed("no_connect");
                return None;
            }
            Err(CodecError { reason, why }) => {
                let version = version_of(wire.input().received());
                let reader = version.map(|version| Reader { version, max_packet: usize::MAX });
                return Some(Err((reader, Refused { reason, why })));
            }
        };
        wire.input().consume(size);
        let asked = judged.map(|(profile, claim)| Asked { settings, users, claim, generation, profile });
        return Some(asked.map_err(|refused| (Some(reader), refused)));
    }
}

/// Before CONNECT nobody is known: no more is read than a CONNECT with a will can mean.
fn longest_connect(limits: &Limits) -> usize {
    limits.packet_size.min(CONNECT + limits.payload_size.min(u16::MAX.into()))
}

/// Finds out who the client is and what it may do, and gives it its session.
async fn admit(hub: &Shared, asked: Asked, visitor: &Visitor) -> Result<Welcomed, Refused> {
    let Asked { settings, users, claim, generation, profile } = asked;
    let identity = access::identify(&hub.gate, &settings, users.as_ref(), visitor, claim).await?;
    let access = identity.access(&settings.acl, &profile.client_id);
    if profile.will.as_ref().is_some_and(|(will, _)| !access.may_publish(&will.topic)) {
        return Err(Refused { reason: Reason::NOT_AUTHORIZED, why: "the will's topic is not allowed" });
    }
    if hub.sessions.is_connected(&profile.client_id) {
        hub.rivals.turn(&profile.client_id, settings.limits.takeover_delay).await?;
    }
    let bell = Arc::new(Bell::default());
    let wish = Wish {
        peer: visitor.peer,
        client_id: Arc::clone(&profile.client_id),
        user: identity.user.clone(),
        local: identity.local,
        access: Arc::clone(&access),
        clean_start: profile.clean_start,
        bell: Arc::clone(&bell),
        window: profile.window,
        expiry: profile.expiry,
    };
    let attached = hub.sessions.attach(&hub.router, &settings.limits, wish).map_err(|reason| {
        let full = reason == Reason::QUOTA_EXCEEDED;
        Refused { reason, why: if full { "no room for another session" } else { "another user's client id" } }
    })?;
    if let Some(rival) = attached.rival {
        hub.rivals.took_over(&profile.client_id, rival, visitor.peer, Instant::now());
    }
    Ok(Welcomed { settings, generation, profile, identity, access, attached, bell })
}

/// Which CONNACK the client behind a bad CONNECT understands; nothing when it did not even begin one.
fn version_of(bytes: &[u8]) -> Option<Version> {
    let (first, rest) = bytes.split_first()?;
    let length = rest.iter().take(4).position(|byte| byte & 0x80 == 0)?;
    let body = rest.get(length + 1..)?;
    if first >> 4 != 1 {
        return None;
    }
    // That name was never used with another level than 3, so whoever sends it knows return codes only.
    if body.starts_with(b"\0\x06MQIsdp") {
        return Some(Version::V3);
    }
    match body.strip_prefix(b"\0\x04MQTT")?.first()? {
        // With the highest bit a bridge introduces itself; it tries again without when it hears of a wrong version.
        0..=4 | 0x83 | 0x84 => Some(Version::V4),
        _ => Some(Version::V5),
    }
}

async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
    hub: &Shared,
    wire: &mut Wire<S>,
    reader: Option<Reader>,
    refused: Refused,
    visitor: &Visitor,
) {
    hub.router.tally.closed(refused.reason.word());
    tracing::debug!(peer = %visitor.peer, reason = %refused.reason, "connection refused: {}", refused.why);
    // A 3.x client gets no answer to a CONNECT that makes no sense (3.1.1 section 4.8).
    let can_say = |reader: &Reader| reader.version == Version::V5 || refused.reason.connack_v3().is_some();
    let Some(Reader { version, max_packet }) = reader.filter(can_say) else { return };
    let text = Properties { reason_string: Some(refused.why), ..Properties::default() };
    // What the client cannot take is left out: the text, then the CONNACK (MQTT-3.2.2-19, MQTT-3.1.2-24).
    for properties in [Some(Box::new(text)), None] {
        let connack = Connack { session_present: false, reason: refused.reason, properties };
        Packet::Connack(connack).encode(version, wire.output());
        if wire.output().len() <= max_packet {
            add(&hub.router.tally.packets_out, 1);
            break;
        }
        wire.output().clear();
    }
    farewell(wire).await;
}
