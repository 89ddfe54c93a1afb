//! Random values of every type a packet has, the edges of each among them.

use std::sync::LazyLock;

use fastrand::Rng;
use weir::hub::codec::{Properties, Version};
use weir::model::Qos;

pub(crate) const VERSIONS: [Version; 3] = [Version::V3, Version::V4, Version::V5];

/// The largest variable byte integer (MQTT 5.0 section 1.5.5).
const VARINT_MOST: u32 = 268_435_455;

/// Texts as they come, short and long, with characters of one to four bytes.
static TEXT: LazyLock<String> =
    LazyLock::new(|| "aé日🌡/+#$ b\u{1}\u{7f}\u{feff}".chars().cycle().take(80_000).collect());
static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut rng = Rng::with_seed(1);
    std::iter::repeat_with(|| rng.u8(..)).take(80_000).collect()
});

const TEXTS: &[&str] =
    &["", "a", "t/1", "é/t", "/", "//", "#", "+/+", "$SYS/x", "$share/g/t", "\u{10ffff}", "MQTT", "c"];

/// Mostly short, now and then at the edges of one, two and three length bytes, rarely the longest.
fn length(rng: &mut Rng) -> usize {
    match rng.u8(..) {
        0 => 65_535,
        1 => rng.usize(16_370..16_390),
        2..=9 => rng.usize(110..140),
        _ => rng.usize(0..24),
    }
}

pub(crate) fn text(rng: &mut Rng) -> &'static str {
    if rng.bool() {
        return TEXTS[rng.usize(..TEXTS.len())];
    }
    let from = TEXT.floor_char_boundary(rng.usize(..100));
    let to = TEXT.floor_char_boundary(from + length(rng));
    &TEXT[from..to]
}

/// Up to 65,535 bytes.
pub(crate) fn binary(rng: &mut Rng) -> &'static [u8] {
    let from = rng.usize(..1000);
    &BYTES[from..from + length(rng)]
}

pub(crate) fn flag(rng: &mut Rng) -> bool {
    rng.bool()
}

/// A number with as many bits as it likes.
pub(crate) fn number(rng: &mut Rng) -> u32 {
    rng.u32(..) >> rng.u32(0..32)
}

pub(crate) fn short(rng: &mut Rng) -> u16 {
    rng.u16(..) >> rng.u32(0..16)
}

/// A packet id, a receive maximum: not zero.
pub(crate) fn id(rng: &mut Rng) -> u16 {
    short(rng).max(1)
}

pub(crate) fn qos(rng: &mut Rng) -> Qos {
    Qos::from_level(rng.u8(..3)).unwrap()
}

/// A random set of the properties in `allowed`, by their identifiers.
pub(crate) fn properties(rng: &mut Rng, version: Version, allowed: &[u8]) -> Option<Box<Properties<'static>>> {
    if version != Version::V5 || rng.u8(..4) == 0 {
        return None;
    }
    let mut properties = Properties::default();
    for &id in allowed {
        if rng.u8(..3) == 0 {
            set(&mut properties, id, rng);
        }
    }
    if properties.authentication_method.is_none() {
        properties.authentication_data = None;
    }
    (properties != Properties::default()).then(|| Box::new(properties))
}

fn set(to: &mut Properties<'static>, id: u8, rng: &mut Rng) {
    match id {
        0x01 => to.payload_format = Some(flag(rng)),
        0x02 => to.message_expiry_s = Some(number(rng)),
        0x03 => to.content_type = Some(text(rng)),
        0x08 => to.response_topic = Some(text(rng)),
        0x09 => to.correlation = Some(binary(rng)),
        0x0b => to.subscription_ids.push(number(rng).clamp(1, VARINT_MOST)),
        0x11 => to.session_expiry_s = Some(number(rng)),
        0x12 => to.assigned_client_id = Some(text(rng)),
        0x13 => to.server_keep_alive_s = Some(short(rng)),
        0x15 => to.authentication_method = Some(text(rng)),
        0x16 => to.authentication_data = Some(binary(rng)),
        0x17 => to.request_problem_information = Some(flag(rng)),
        0x18 => to.will_delay_s = Some(number(rng)),
        0x19 => to.request_response_information = Some(flag(rng)),
        0x1a => to.response_information = Some(text(rng)),
        0x1c => to.server_reference = Some(text(rng)),
        0x1f => to.reason_string = Some(text(rng)),
        0x21 => to.receive_maximum = Some(short(rng).max(1)),
        0x22 => to.topic_alias_maximum = Some(short(rng)),
        0x23 => to.topic_alias = Some(short(rng).max(1)),
        0x24 => to.maximum_qos = Some(flag(rng)),
        0x25 => to.retain_available = Some(flag(rng)),
        0x26 => (0..rng.usize(1..5)).for_each(|_| to.user.push((text(rng), text(rng)))),
        0x27 => to.maximum_packet_size = Some(number(rng).max(1)),
        0x28 => to.wildcard_available = Some(flag(rng)),
        0x29 => to.subscription_ids_available = Some(flag(rng)),
        0x2a => to.shared_available = Some(flag(rng)),
        _ => unreachable!("{id:#x} is no property of MQTT 5"),
    }
}
