//! Inputs that are worth keeping: each once took a path of its own, or broke something.

use weir::hub::codec::Version;

use crate::judge::judge;
use crate::values::VERSIONS;

/// What it is, and the bytes.
const KEPT: &[(&str, &[u8])] = &[
    ("a CONNACK of 3.1 with a flag that only later versions have", &[0x20, 2, 1, 0]),
    ("a property length of four bytes that leaves nothing", &[0x30, 8, 0, 1, b'a', 0xff, 0xff, 0xff, 0x7f, 0]),
    ("a property length that is cut", &[0x30, 4, 0, 1, b'a', 0x80]),
    ("a padded property length", &[0x30, 6, 0, 1, b'a', 0x80, 0, b'x']),
    ("a user property whose value is missing", &[0x30, 8, 0, 1, b'a', 4, 0x26, 0, 1, b'k']),
    ("a text with an overlong U+0000", &[0x30, 4, 0, 2, 0xc0, 0x80]),
    ("a text with half a surrogate pair", &[0x30, 5, 0, 3, 0xed, 0xb0, 0x80]),
    ("a text beyond U+10FFFF", &[0x30, 6, 0, 4, 0xf4, 0x90, 0x80, 0x80]),
    ("a text that ends within a character", &[0x30, 4, 0, 2, 0xe2, 0x82]),
    ("a PUBACK with a reason and no properties", &[0x40, 3, 0, 1, 0x10]),
    ("a PUBACK with empty properties", &[0x40, 4, 0, 1, 0x10, 0]),
    ("a PUBACK whose properties are cut", &[0x40, 5, 0, 1, 0x10, 3, 0x1f]),
    ("a DISCONNECT with empty properties", &[0xe0, 2, 0, 0]),
    ("an AUTH with a method", &[0xf0, 6, 0x18, 4, 0x15, 0, 1, b'm']),
    ("a CONNECT of no version", b"\x10\x0d\0\x04MQTT\xff\x02\0\0\0\0\0"),
    ("a CONNECT whose will has QoS 3", b"\x10\x12\0\x04MQTT\x04\x1e\0\0\0\0\0\x01t\0\x01x"),
    ("a CONNECT of 3.1 with the reserved flag", b"\x10\x0f\0\x06MQIsdp\x03\x03\0\0\0\x01c"),
    ("a SUBSCRIBE of 3.1 that says DUP", &[0x8a, 6, 0, 1, 0, 1, b'a', 0]),
    ("a SUBSCRIBE whose last filter has no options", &[0x82, 5, 0, 1, 0, 1, b'a']),
    ("the longest remaining length", &[0x30, 0xff, 0xff, 0xff, 0x7f]),
    ("a remaining length of zero, padded to four bytes", &[0xc0, 0x80, 0x80, 0x80, 0]),
];

#[test]
fn kept_inputs_are_judged_in_every_version() {
    for (what, bytes) in KEPT {
        for version in VERSIONS {
            judge(bytes, version, &mut 0).unwrap_or_else(|wrong| panic!("{what}: {wrong}"));
        }
    }
    assert_eq!(VERSIONS[2], Version::V5);
}
