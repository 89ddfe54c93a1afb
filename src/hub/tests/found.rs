//! Sequences that once failed, by what was wrong.

use super::run::run;
use super::steps::{Act, Draft, Join, Step, Wanted};

const JOIN: Join = Join {
    level: 5,
    clean: false,
    expiry_s: 100_000,
    keep_alive_s: 0,
    will: None,
    window: 0,
    small: false,
    aliases: 0,
    pipe: 1 << 16,
};

fn client(who: usize, act: Act) -> Step {
    Step::Client { who, act, cut: false }
}

fn draft(qos: u8, big: bool) -> Draft {
    Draft { topic: 0, qos, retain: false, empty: false, big, expires: false, property: false, alias: false }
}

fn subscribe(filter: usize, qos: u8) -> Act {
    Act::Subscribe(vec![Wanted { filter, qos, no_local: false, as_published: false, handling: 0 }], None)
}

fn check(steps: &[Step]) {
    run(steps).unwrap_or_else(|what| panic!("{what}"));
}

/// A message that was too large for the client left its place in the window to nobody: what came behind it
/// waited for something else to happen.
#[test]
fn what_is_skipped_frees_the_window() {
    check(&[
        client(1, Act::Connect(Join { window: 1, small: true, ..JOIN })),
        client(1, subscribe(0, 2)),
        client(1, Act::Burst(vec![draft(1, false), draft(1, true), draft(2, false)])),
        client(1, Act::AnswerAll),
    ]);
}

/// A QoS 2 message whose connection was cut may have been routed, to nobody, before the client sends it again:
/// the model was sure that a client with two copies to get would get one of them.
#[test]
fn what_may_have_been_routed_is_certain_for_nobody() {
    let wish = |filter, no_local| Wanted { filter, qos: 2, no_local, as_published: false, handling: 1 };
    check(&[
        client(2, Act::Connect(JOIN)),
        client(0, Act::Connect(Join { level: 4, ..JOIN })),
        Step::Client { who: 0, act: Act::Publish(draft(2, false)), cut: true },
        client(2, Act::Subscribe(vec![wish(0, true), wish(4, false)], None)),
    ]);
}

/// A QoS 2 message whose connection was cut may have been routed to that very connection, and given up there
/// because it is too large: the model was sure that a later connection would get it.
#[test]
fn what_may_have_been_routed_may_have_been_given_up() {
    check(&[
        client(1, Act::Connect(Join { window: 1, small: true, aliases: 2, pipe: 64, ..JOIN })),
        client(1, subscribe(0, 1)),
        Step::Client { who: 1, act: Act::Publish(Draft { topic: 1, alias: true, ..draft(2, true) }), cut: true },
    ]);
}

/// The same for a client that was not reading: nobody saw whether its turn had come.
#[test]
fn what_nobody_read_may_have_been_given_up() {
    check(&[
        client(1, Act::Connect(Join { window: 5, small: true, pipe: 64, ..JOIN })),
        client(1, subscribe(0, 1)),
        client(1, Act::Doze(true)),
        client(1, Act::Publish(Draft { topic: 2, ..draft(2, true) })),
        client(1, Act::Leave(true, None)),
    ]);
}
