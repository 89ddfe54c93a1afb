use proptest::prelude::*;

use super::produced::produced_by;
use super::*;
use crate::bridge::Settings;
use crate::bridge::settings::tests::{forward, receive, settings};

fn filter(text: &str) -> Filter {
    Filter::new(text).unwrap()
}

fn topic(text: &str) -> Topic {
    Topic::new(text).unwrap()
}

fn name() -> Name {
    Name::new("shed").unwrap()
}

fn rules(forward: Vec<Forward>, receive: Vec<Receive>) -> Rules {
    Rules::new(&name(), &Settings { forward, receive, ..settings() })
}

#[test]
fn the_first_matching_rule_wins_and_puts_its_prefix_in_front() {
    let alarms = Forward { class: Class::Alarm, ..forward("shed/+/alarm", "a/") };
    let except = Forward { except: vec![filter("shed/private/#")], ..forward("shed/#", "sites/north/") };
    let rules = rules(vec![alarms, except], vec![]);
    let route = rules.route_topic(&topic("shed/x/alarm")).unwrap();
    assert_eq!((route.topic.as_str(), route.class, route.prefix_len), ("a/shed/x/alarm", Class::Alarm, 2));
    let route = rules.route_topic(&topic("shed/x/temperature")).unwrap();
    assert_eq!((route.topic.as_str(), route.class), ("sites/north/shed/x/temperature", Class::Telemetry));
    assert_eq!(rules.route_topic(&topic("shed/private/x")), None);
    assert_eq!(rules.route_topic(&topic("barn/x")), None);
    assert_eq!(rules.wanted(), [filter("shed/+/alarm"), filter("shed/#")]);
}

#[test]
fn what_came_from_this_bridge_does_not_go_back() {
    let rules = rules(vec![forward("#", "up/")], vec![receive("down/cmd/#", "down/", "")]);
    let message = Message::own(topic("a"), *b"x");
    assert!(rules.route(&message).is_some());
    assert!(rules.route(&Message { origin: Origin::Bridge("other".into()), ..message.clone() }).is_some());
    assert!(rules.route(&Message { origin: Origin::Bridge("cloud".into()), ..message }).is_none());
    assert!(rules.route_topic(&topic("cmd/pump/set")).is_none(), "a receive rule can produce it");
    assert!(rules.route_topic(&topic("shed/bridge/cloud/status")).is_none(), "the bridge tells its own state itself");
    assert!(
        rules.route_topic(&topic("shed/bridge/cloud/gap")).is_none()
            && rules.cloud_gap().as_str() == "up/shed/bridge/cloud/gap"
    );
}

#[test]
fn receiving_strips_and_prefixes() {
    let rules = rules(vec![], vec![receive("sites/north/shed/cmd/#", "sites/north/", ""), receive("all/#", "", "in/")]);
    assert_eq!(rules.receive(&topic("sites/north/shed/cmd/pump/set")), Ok(topic("shed/cmd/pump/set")));
    assert_eq!(rules.receive(&topic("all/x")), Ok(topic("in/all/x")));
    assert_eq!(rules.receive(&topic("sites/south/shed/cmd/x")), Err(Refused::NoRule));
    assert_eq!(rules.subscriptions().len(), 2);
}

#[test]
fn receiving_never_produces_topics_of_the_gateway_itself() {
    let rules = rules(vec![], vec![receive("#", "x", ""), receive("$SYS/#", "", ""), receive("#", "", "")]);
    for (from, refused) in [
        ("x", Refused::NotATopic),
        ("x$SYS/a", Refused::System),
        ("$SYS/a", Refused::System),
        ("xshed/bridge/cloud/status", Refused::Own),
        ("shed/bridge", Refused::Own),
        ("shed/gateway/status", Refused::Own),
    ] {
        assert_eq!(rules.receive(&topic(from)), Err(refused), "{from}");
    }
    assert_eq!(rules.receive(&topic("shed/bridges/x")), Ok(topic("shed/bridges/x")));
}

#[test]
fn what_a_rule_can_produce_as_a_filter() {
    for (subscription, strip, prefix, wanted) in [
        ("sites/north/shed/cmd/#", "sites/north/", "", Some("shed/cmd/#")),
        ("sites/+/shed/cmd/#", "sites/north/", "", Some("shed/cmd/#")),
        ("sites/#", "sites/north/", "in/", Some("in/#")),
        ("#", "a/b/c", "", Some("#")),
        ("a/+/c", "a/b", "x/", Some("x/+/c")),
        ("a/bcd/e", "a/b", "x/y", Some("x/ycd/e")),
        ("a/b", "", "p", Some("pa/b")),
        ("a", "", "x/y/", Some("x/y/a")),
        ("+/b", "", "p", Some("+/b")),
        ("a/#", "", "p/", Some("p/a/#")),
        ("b/#", "a/", "", None),
        ("a", "a/b/", "", None),
    ] {
        let produced = produced_by(&filter(subscription), strip, prefix);
        assert_eq!(produced.as_ref().map(Filter::as_str), wanted, "{subscription} - {strip} + {prefix}");
    }
}

/// Kind and rules of all that is found.
fn kinds(forward: &[Forward], receive: &[Receive]) -> Vec<(Kind, Option<usize>, Option<usize>)> {
    findings(&name(), forward, receive).iter().map(|f| (f.kind, f.forward, f.receive)).collect()
}

#[test]
fn rules_that_touch_each_other_are_found() {
    let both = |kind| vec![(kind, Some(0), Some(0))];
    assert_eq!(kinds(&[forward("shed/cmd/#", "")], &[receive("shed/cmd/#", "", "")]), both(Kind::Echo));
    let (wide, narrow) = ([forward("shed/#", "")], [receive("sites/shed/cmd/#", "sites/", "")]);
    assert_eq!(kinds(&wide, &narrow), both(Kind::Overlap));
    let overlap = &findings(&name(), &wide, &narrow)[0];
    assert!(overlap.to_string().contains("\"shed/cmd/#\" is received") && !overlap.is_error());
    let excepted = wide.map(|rule| Forward { except: vec![filter("shed/cmd/#")], ..rule });
    assert_eq!(kinds(&excepted, &narrow), []);
    assert_eq!(kinds(&[forward("shed/#", "sites/")], &[receive("sites/#", "", "in/")]), both(Kind::Returns));
}

#[test]
fn rules_that_can_do_nothing_are_found() {
    assert_eq!(kinds(&[], &[receive("a/#", "b/", "")]), [(Kind::NeverStrips, None, Some(0))]);
    let own = [receive("shed/bridge/#", "", ""), receive("$SYS/#", "", "")];
    assert_eq!(kinds(&[], &own), [(Kind::Forbidden, None, Some(0)), (Kind::Forbidden, None, Some(1))]);
    assert_eq!(kinds(&[forward("#", ""), forward("a/#", "")], &[]), [(Kind::Shadowed, Some(1), None)]);
    assert_eq!(kinds(&[forward("a", "b/+/")], &[]), [(Kind::BadPrefix, Some(0), None)]);
}

/// A few levels over a small alphabet, so that topics, filters and prefixes meet often.
fn levels(level: &'static str) -> impl Strategy<Value = String> {
    prop::collection::vec(level, 1..4).prop_map(|levels| levels.join("/"))
}

proptest! {
    /// No message circles: whatever a receive rule lets in matches what the rule is said to produce.
    #[test]
    fn what_is_received_was_foreseen(
        subscription in levels("[ab]{1,2}|\\+").prop_map(|text| text + "/#") ,
        strip in levels("[ab]{0,2}"),
        prefix in levels("[ab]{0,2}"),
        topic in levels("[ab]{1,2}"),
    ) {
        let rule = receive(&subscription, &strip, &prefix);
        let foreseen = produced(&rule);
        let rules = rules(vec![forward("#", "")], vec![rule]);
        if let Ok(local) = rules.receive(&Topic::new(&topic).unwrap()) {
            prop_assert!(foreseen.iter().any(|filter| filter.matches(&local)), "{local} {foreseen:?}");
            prop_assert!(rules.route_topic(&local).is_none());
        }
    }
}
