//! `$SYS/weir/...`: what only this hub tells. It names client ids and addresses: clients on other machines get
//! it only where a rule says so.

use std::collections::BTreeMap;

use super::super::rivals::Duplicate;
use super::super::{Counters, Laggard};
use super::{Figure, Look};

/// Those with a topic of their own.
pub(super) static FIGURES: &[Figure] = &[
    Figure {
        topic: "weir/sessions",
        about: "Sessions, connected or not.",
        value: |it| it.counters.sessions.to_string(),
    },
    Figure {
        topic: "weir/queued/messages",
        about: "Messages that wait for sessions or are on their way to them.",
        value: |it| it.counters.queued.to_string(),
    },
    Figure {
        topic: "weir/queued/bytes",
        about: "Their bytes; a message counts once for each session.",
        value: |it| it.counters.queued_bytes.to_string(),
    },
    Figure {
        topic: "weir/queued/slowest",
        about: "The sessions for which most waits, at most ten, as a JSON list: `client`, `connected`, `messages`, \
                `bytes`, and `lost`, the messages with QoS 1 and 2 that found no room.",
        value: slowest,
    },
    Figure {
        topic: "weir/expired",
        about: "Messages that expired while they waited.",
        value: |it| it.counters.expired.to_string(),
    },
    Figure {
        topic: "weir/withheld",
        about: "Messages that rules kept from a client.",
        value: |it| it.counters.withheld.to_string(),
    },
    Figure {
        topic: "weir/logins/failed",
        about: "Connections refused because of user name, password, address or rules.",
        value: |it| failed_logins(it.counters).to_string(),
    },
    Figure {
        topic: "weir/retained/bytes",
        about: "Topic, payload and property bytes of the retained messages.",
        value: |it| it.counters.retained_bytes.to_string(),
    },
    Figure {
        topic: "weir/journal/log",
        about: "Bytes of the records of the journal, which keeps sessions and retained messages on the disk.",
        value: |it| it.counters.journal.log.to_string(),
    },
    Figure {
        topic: "weir/journal/live",
        about: "Bytes of those that are still needed.",
        value: |it| it.counters.journal.live.to_string(),
    },
    Figure {
        topic: "weir/journal/elided",
        about: "Messages that their receivers acknowledged before they had to be written.",
        value: |it| it.counters.journal.elided.to_string(),
    },
    Figure {
        topic: "weir/journal/refused",
        about: "Messages that the store refused; their publishers were told.",
        value: |it| it.counters.journal.refused.to_string(),
    },
    Figure {
        topic: "weir/journal/lost",
        about: "Records lost to damage since the store was made.",
        value: |it| it.counters.journal.lost.to_string(),
    },
    Figure {
        topic: "weir/memory/used",
        about: "Bytes that clients make the hub hold: `limits.memory` bounds them.",
        value: |it| it.counters.memory.to_string(),
    },
    Figure {
        topic: "weir/memory/maximum",
        about: "The most they were.",
        value: |it| it.counters.memory_most.to_string(),
    },
    Figure {
        topic: "weir/memory/bound",
        about: "The most they may be.",
        value: |it| it.counters.memory_bound.to_string(),
    },
    Figure {
        topic: "weir/memory/level",
        about: "`free`, `tight` (messages for those who lag behind are dropped, QoS 0 first), `full` (publishers and \
                new sessions are refused) or `exhausted` (no new connections either).",
        value: |it| it.counters.memory_level.to_owned(),
    },
];

/// Those with one topic for each word.
type Family = (&'static str, &'static str, &'static str, fn(&Counters) -> &BTreeMap<&'static str, u64>);

const FAMILIES: [Family; 3] = [
    ("refused", "reason", "PUBLISH packets that were not taken, by reason.", |it| &it.refused),
    ("closed", "reason", "Connections that the hub refused or closed, by reason.", |it| &it.closed),
    (
        "dropped",
        "cause",
        "Messages that a receiver did not get: `qos0_offline` (QoS 0, its client is not connected), `qos0_slow` (QoS 0 \
         made room in a full queue), `slow` and `offline` (QoS 1 and 2, the queue of the session is full), `memory` \
         (the hub's memory is nearly used up), `too_large` (for the client), `held_back` (QoS 0 behind a full store) \
         and `inside` (a part of the gateway was too slow).",
        |it| &it.dropped_by,
    ),
];

const DUPLICATE: &str = "Two devices use this client id and throw each other out, as JSON: `client`, `addresses`, \
                         `takeovers`, `delay_ms` of the next one. In the topic every byte of the client id but \
                         ASCII letters, digits, `-`, `_` and `.` is written as `%` and two hexadecimal digits; a \
                         long one is cut and ends with `~` and a checksum. Goes five minutes after the last take-over.";

/// The topics with a level that varies, and what they say.
pub(super) fn families() -> impl Iterator<Item = (String, String)> {
    let counted = FAMILIES.iter().map(|(name, word, about, _)| (format!("$SYS/weir/{name}/<{word}>"), (*about).into()));
    counted.chain([("$SYS/weir/duplicate/<client id>".into(), DUPLICATE.into())])
}

/// Their values.
pub(super) fn varying(counters: &Counters) -> impl Iterator<Item = (String, String)> {
    let counted = FAMILIES.iter().flat_map(|(name, _, _, read)| {
        read(counters).iter().map(move |(word, count)| (format!("weir/{name}/{word}"), count.to_string()))
    });
    let duplicates =
        counters.duplicates.iter().map(|it| (format!("weir/duplicate/{}", level(&it.client_id)), told(it)));
    counted.chain(duplicates)
}

fn failed_logins(counters: &Counters) -> u64 {
    let words = ["bad_credentials", "not_authorized", "banned"];
    words.iter().filter_map(|word| counters.closed.get(word)).sum()
}

fn slowest(look: &Look<'_>) -> String {
    let one = |it: &Laggard| {
        let Laggard { client_id, connected, messages, bytes, lost } = it;
        serde_json::json!({ "client": client_id, "connected": connected, "messages": messages, "bytes": bytes, "lost": lost })
    };
    serde_json::Value::Array(look.counters.laggards.iter().map(one).collect()).to_string()
}

fn told(it: &Duplicate) -> String {
    let Duplicate { client_id, addresses, takeovers, delay_ms } = it;
    serde_json::json!({ "client": client_id, "addresses": addresses, "takeovers": takeovers, "delay_ms": delay_ms })
        .to_string()
}

/// The longest level made of a client id.
const LONGEST: usize = 200;

/// A client id as one level of a topic.
fn level(client_id: &str) -> String {
    let mut level = String::new();
    for byte in client_id.bytes() {
        if level.len() >= LONGEST {
            // FNV-1a tells apart what has the same beginning.
            let hash = client_id
                .bytes()
                .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
            return format!("{level}~{hash:016x}");
        }
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            level.push(byte.into());
        } else {
            level.push_str(&format!("%{byte:02X}"));
        }
    }
    level
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_id_makes_one_level_of_its_own() {
        assert_eq!(level("shed-1_a.b"), "shed-1_a.b");
        assert_eq!(level("a/b+c#%~é"), "a%2Fb%2Bc%23%25%7E%C3%A9");
        let (one, other) = ("x".repeat(60_000), "x".repeat(59_999));
        assert_ne!(level(&one), level(&other));
        assert!(level(&one).len() < 250);
    }
}
