//! `$SYS/broker/...`: names, units and formats that the users of other brokers know (mosquitto(8)).

use super::super::Counters;
use super::{Figure, Look};

/// A figure that is a plain number.
const fn number(topic: &'static str, about: &'static str, value: fn(&Look<'_>) -> String) -> Figure {
    Figure { topic, about, value }
}

fn offline(counters: &Counters) -> u64 {
    counters.sessions.saturating_sub(counters.clients)
}

fn stored(counters: &Counters) -> u64 {
    counters.retained + counters.queued
}

/// All of them but the load averages.
pub(super) static FIGURES: &[Figure] = &[
    number("broker/version", "`weir version`, and the version.", |_| {
        format!("weir version {}", env!("CARGO_PKG_VERSION"))
    }),
    number("broker/uptime", "How long the hub has been there, as `N seconds`.", |it| {
        format!("{} seconds", it.counters.uptime_s)
    }),
    number("broker/clients/total", "Sessions, connected or not.", |it| it.counters.sessions.to_string()),
    number("broker/clients/connected", "Connected clients.", |it| it.counters.clients.to_string()),
    number("broker/clients/active", "As `clients/connected`; an older name.", |it| it.counters.clients.to_string()),
    number("broker/clients/disconnected", "Sessions whose client is not connected.", |it| {
        offline(it.counters).to_string()
    }),
    number("broker/clients/inactive", "As `clients/disconnected`; an older name.", |it| {
        offline(it.counters).to_string()
    }),
    number("broker/clients/maximum", "The most clients that were connected at once.", |it| {
        it.counters.clients_most.to_string()
    }),
    number("broker/clients/expired", "Sessions that ended because their client stayed away too long.", |it| {
        it.counters.sessions_expired.to_string()
    }),
    number("broker/messages/received", "Packets of every kind received.", |it| it.counters.packets_in.to_string()),
    number("broker/messages/sent", "Packets of every kind sent.", |it| it.counters.packets_out.to_string()),
    number("broker/messages/stored", "As `store/messages/count`; an older name.", |it| stored(it.counters).to_string()),
    number(
        "broker/store/messages/count",
        "Retained messages, and messages that wait for sessions: one counts once for each session.",
        |it| stored(it.counters).to_string(),
    ),
    number("broker/store/messages/bytes", "Their topic and payload bytes.", |it| {
        (it.counters.retained_bytes + it.counters.queued_bytes).to_string()
    }),
    number("broker/publish/messages/received", "PUBLISH packets received.", |it| it.counters.messages_in.to_string()),
    number("broker/publish/messages/sent", "PUBLISH packets sent.", |it| it.counters.messages_out.to_string()),
    number(
        "broker/publish/messages/dropped",
        "Messages that a receiver did not get; `$SYS/weir/dropped` says why.",
        |it| it.counters.dropped.to_string(),
    ),
    number("broker/publish/bytes/received", "Payload bytes of the PUBLISH packets received.", |it| {
        it.counters.payload_in.to_string()
    }),
    number("broker/publish/bytes/sent", "Payload bytes of the PUBLISH packets sent.", |it| {
        it.counters.payload_out.to_string()
    }),
    number("broker/bytes/received", "Bytes received.", |it| it.counters.bytes_in.to_string()),
    number("broker/bytes/sent", "Bytes sent.", |it| it.counters.bytes_out.to_string()),
    number("broker/retained messages/count", "Retained messages, without those below `$SYS`.", |it| {
        it.counters.retained.to_string()
    }),
    number("broker/subscriptions/count", "Subscriptions that are not shared.", |it| {
        it.counters.subscriptions.saturating_sub(it.counters.shared_subscriptions).to_string()
    }),
    number("broker/shared_subscriptions/count", "Shared subscriptions.", |it| {
        it.counters.shared_subscriptions.to_string()
    }),
    number("broker/heap/current", "Bytes of memory that the whole gateway uses now.", |it| {
        it.counters.heap.to_string()
    }),
    number("broker/heap/maximum", "The most bytes of memory that the whole gateway has used.", |it| {
        it.heap_most.to_string()
    }),
    number("broker/heap/current size", "As `heap/current`; the name in the manual.", |it| it.counters.heap.to_string()),
    number("broker/heap/maximum size", "As `heap/maximum`; the name in the manual.", |it| it.heap_most.to_string()),
];
