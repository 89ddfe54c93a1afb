//! `limits` of the hub.

use std::time::Duration;

use crate::config::units::{Bytes, Every};
use crate::config::{Problems, Table};
use crate::hub::{Limits, MAX_LEVELS};

/// `[hub.limits]`.
pub(super) fn read(table: &Table<'_>, problems: &mut Problems) -> Limits {
    let default = Limits::default();
    let days = |days: u64| Every(Duration::from_secs(days * 86_400));
    let mut fields = table.fields(problems);
    let size = Bytes(1 << 10)..=Bytes(256 << 20);
    let mut bytes = |key, default: usize| fields.within(key, Bytes(default as u64), size.clone()).0 as usize;
    let packet_size = bytes("packet_size", default.packet_size);
    let payload_size = bytes("payload_size", default.payload_size);
    let queued_bytes = bytes("queued_bytes", default.queued_bytes);
    let retained_bytes = bytes("retained_bytes", default.retained_bytes);
    let memory = Bytes(4 << 20)..=Bytes(64 << 30);
    let memory = fields.within("memory", Bytes(default.memory as u64), memory).0.min(usize::MAX as u64) as usize;
    // The protocol has 16 bits for the keep-alive in seconds (MQTT 5.0 section 3.1.2.10), 32 for the session's.
    let keepalive = Every(Duration::from_secs(1))..=Every(Duration::from_secs(65_535));
    let connects_per_address = fields.text("connects_per_address", per_second);
    let takeover_delay = Every(Duration::ZERO)..=Every(Duration::from_secs(15));
    let limits = Limits {
        connections: fields.within("connections", default.connections, 1..=100_000),
        connections_per_address: fields.within("connections_per_address", default.connections_per_address, 1..=100_000),
        connects_per_address: connects_per_address.unwrap_or(default.connects_per_address),
        limit_loopback: fields.or("limit_loopback", default.limit_loopback),
        packet_size,
        payload_size,
        in_flight: fields.within("in_flight", default.in_flight, 1..=65_535),
        queued_messages: fields.within("queued_messages", default.queued_messages, 1..=1_000_000),
        queued_bytes,
        keepalive: fields.within("keepalive", Every(default.keepalive), keepalive).0,
        qos: fields.within("qos", default.qos, 0..=2),
        retain: fields.or("retain", default.retain),
        topic_alias: fields.within("topic_alias", default.topic_alias, 0..=65_535),
        session_expiry: fields.within("session_expiry", Every(default.session_expiry), days(0)..=days(3650)).0,
        sessions: fields.within("sessions", default.sessions, 1..=100_000),
        takeover_delay: fields.within("takeover_delay", Every(default.takeover_delay), takeover_delay).0,
        topic_levels: fields.within("topic_levels", default.topic_levels, 1..=MAX_LEVELS),
        subscriptions: fields.within("subscriptions", default.subscriptions, 1..=100_000),
        retained_messages: fields.within("retained_messages", default.retained_messages, 0..=10_000_000),
        retained_bytes,
        memory,
    };
    if payload_size > packet_size && fields.has("payload_size") {
        let help = format!("the payload is a part of the packet: at most {}", Bytes(packet_size as u64));
        fields.wrong("payload_size", "`payload_size` is larger than `packet_size`", Some(help));
    }
    if memory < 4 * packet_size {
        let help = format!("at least four of the largest packets: {}", Bytes(4 * packet_size as u64));
        fields.wrong("memory", "`memory` is too little for `packet_size`", Some(help));
    }
    fields.finish();
    limits
}

/// Understands `"20/s"`, and `"0"` for no bound.
fn per_second(text: &str) -> Result<u32, String> {
    let number = if text == "0" { Some(text) } else { text.strip_suffix("/s") };
    let number = number.and_then(|number| number.parse().ok()).filter(|number| *number <= 100_000);
    number.ok_or_else(|| format!("{text:?} is not a rate: write something like \"20/s\", or \"0\" for no bound"))
}
