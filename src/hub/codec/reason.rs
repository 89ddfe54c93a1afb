//! Reason codes of MQTT 5 (section 2.4) and their shadows in MQTT 3.

use std::fmt;

/// An MQTT 5 reason code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reason(pub u8);

/// Declares every reason code once: its constant, its number, its stable word.
macro_rules! reasons {
    ($($(#[$doc:meta])* $constant:ident = $number:literal, $word:literal;)*) => {
        impl Reason {
            $($(#[$doc])* pub const $constant: Reason = Reason($number);)*

            /// One stable lower-case word for counters and logs.
            pub fn word(self) -> &'static str {
                match self.0 {
                    $($number => $word,)*
                    _ => "unknown",
                }
            }
        }
    };
}

reasons! {
    /// All went well; granted QoS 0; normal disconnection.
    SUCCESS = 0x00, "success";
    /// Subscribed with QoS 1.
    GRANTED_QOS_1 = 0x01, "granted_qos_1";
    /// Subscribed with QoS 2.
    GRANTED_QOS_2 = 0x02, "granted_qos_2";
    /// A DISCONNECT that asks for the will all the same.
    DISCONNECT_WITH_WILL = 0x04, "disconnect_with_will";
    /// Accepted, but nobody is subscribed.
    NO_MATCHING_SUBSCRIBERS = 0x10, "no_matching_subscribers";
    /// There was nothing to unsubscribe.
    NO_SUBSCRIPTION_EXISTED = 0x11, "no_subscription_existed";
    /// Enhanced authentication goes on.
    CONTINUE_AUTHENTICATION = 0x18, "continue_authentication";
    /// Enhanced authentication starts again.
    RE_AUTHENTICATE = 0x19, "re_authenticate";
    /// No particular reason is given.
    UNSPECIFIED = 0x80, "unspecified";
    /// The bytes are no packet.
    MALFORMED = 0x81, "malformed";
    /// A well-formed packet that is not allowed here.
    PROTOCOL_ERROR = 0x82, "protocol_error";
    /// Valid, but this server does not do it.
    IMPLEMENTATION_ERROR = 0x83, "implementation_error";
    /// A protocol name or level this server does not speak.
    UNSUPPORTED_VERSION = 0x84, "unsupported_version";
    /// The client id cannot be used.
    CLIENT_ID_INVALID = 0x85, "client_id_invalid";
    /// User name or password are wrong.
    BAD_CREDENTIALS = 0x86, "bad_credentials";
    /// Not allowed.
    NOT_AUTHORIZED = 0x87, "not_authorized";
    /// The server cannot serve now.
    SERVER_UNAVAILABLE = 0x88, "server_unavailable";
    /// The server has too much to do.
    SERVER_BUSY = 0x89, "server_busy";
    /// This client is banned.
    BANNED = 0x8a, "banned";
    /// The server is going away.
    SERVER_SHUTTING_DOWN = 0x8b, "server_shutting_down";
    /// An authentication method this server does not know.
    BAD_AUTHENTICATION_METHOD = 0x8c, "bad_authentication_method";
    /// Nothing was heard for one and a half times the keep-alive.
    KEEP_ALIVE_TIMEOUT = 0x8d, "keep_alive_timeout";
    /// Another connection uses this client id now.
    SESSION_TAKEN_OVER = 0x8e, "session_taken_over";
    /// The topic filter is not accepted.
    TOPIC_FILTER_INVALID = 0x8f, "topic_filter_invalid";
    /// The topic name is not accepted.
    TOPIC_NAME_INVALID = 0x90, "topic_name_invalid";
    /// The packet id is in use already.
    PACKET_ID_IN_USE = 0x91, "packet_id_in_use";
    /// The packet id is not known.
    PACKET_ID_NOT_FOUND = 0x92, "packet_id_not_found";
    /// More unacknowledged messages than Receive Maximum allows.
    RECEIVE_MAXIMUM_EXCEEDED = 0x93, "receive_maximum_exceeded";
    /// A topic alias that is zero, too high, or not defined.
    TOPIC_ALIAS_INVALID = 0x94, "topic_alias_invalid";
    /// More bytes than this server takes in one packet.
    PACKET_TOO_LARGE = 0x95, "packet_too_large";
    /// Too many messages in too short a time.
    MESSAGE_RATE_TOO_HIGH = 0x96, "message_rate_too_high";
    /// A quota is used up.
    QUOTA_EXCEEDED = 0x97, "quota_exceeded";
    /// The operator ended the connection.
    ADMINISTRATIVE_ACTION = 0x98, "administrative_action";
    /// The payload is not what its format indicator says.
    PAYLOAD_FORMAT_INVALID = 0x99, "payload_format_invalid";
    /// Retained messages are switched off.
    RETAIN_NOT_SUPPORTED = 0x9a, "retain_not_supported";
    /// A QoS above the server's maximum.
    QOS_NOT_SUPPORTED = 0x9b, "qos_not_supported";
    /// Use another server for now.
    USE_ANOTHER_SERVER = 0x9c, "use_another_server";
    /// Use another server for good.
    SERVER_MOVED = 0x9d, "server_moved";
    /// Shared subscriptions are switched off.
    SHARED_NOT_SUPPORTED = 0x9e, "shared_not_supported";
    /// Too many connections in too short a time.
    CONNECTION_RATE_EXCEEDED = 0x9f, "connection_rate_exceeded";
    /// The connection has lasted as long as it may.
    MAXIMUM_CONNECT_TIME = 0xa0, "maximum_connect_time";
    /// Subscription identifiers are switched off.
    SUBSCRIPTION_IDS_NOT_SUPPORTED = 0xa1, "subscription_ids_not_supported";
    /// Wildcards are switched off.
    WILDCARDS_NOT_SUPPORTED = 0xa2, "wildcards_not_supported";
}

impl Reason {
    /// Whether this tells of a failure (0x80 and above).
    pub fn is_error(self) -> bool {
        self.0 >= 0x80
    }

    /// The CONNACK return code of MQTT 3.1 and 3.1.1 (3.1.1 section 3.2.2.3) that says this; nothing when
    /// none does: then no CONNACK is sent (MQTT-3.2.2-6 of 3.1.1).
    pub fn connack_v3(self) -> Option<u8> {
        match self {
            Reason::SUCCESS => Some(0),
            Reason::UNSUPPORTED_VERSION => Some(1),
            Reason::CLIENT_ID_INVALID => Some(2),
            Reason::SERVER_UNAVAILABLE
            | Reason::SERVER_BUSY
            | Reason::SERVER_SHUTTING_DOWN
            | Reason::QUOTA_EXCEEDED
            | Reason::CONNECTION_RATE_EXCEEDED => Some(3),
            Reason::BAD_CREDENTIALS => Some(4),
            Reason::NOT_AUTHORIZED | Reason::BANNED => Some(5),
            _ => None,
        }
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x} {}", self.0, self.word())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
