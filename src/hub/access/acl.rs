//! Which topics a client may use: the rules of the configuration, made ready for one user and client id. Pure.

use std::sync::{Arc, LazyLock};

use super::cover::cover;
use crate::hub::settings::Rule;
use crate::hub::tree::is_shallow;
use crate::model::{Filter, Topic};

/// The hub's own figures, with the addresses of its clients. Without rules only this machine may read them.
const PRIVATE: &str = "$SYS/weir/#";

/// What one client may do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Access {
    publish: Topics,
    subscribe: Topics,
}

/// A set of topics: what is allowed less what is denied.
#[derive(Debug, PartialEq, Eq)]
struct Topics {
    /// Nothing: there are no rules, so all are allowed.
    allowed: Option<Vec<Filter>>,
    denied: Vec<Filter>,
}

/// Whom the rules are made ready for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// The name that was verified; nothing for an anonymous client.
    pub(crate) user: Option<&'a str>,
    pub(crate) client_id: &'a str,
    /// It is on this machine.
    pub(crate) local: bool,
}

impl Access {
    /// As [`new`](Self::new); without rules nearly everybody shares one.
    pub(crate) fn shared(rules: &[Rule], subject: Subject<'_>) -> Arc<Self> {
        static LOCAL: LazyLock<Arc<Access>> = LazyLock::new(|| open(true));
        static FAR: LazyLock<Arc<Access>> = LazyLock::new(|| open(false));
        match (rules.is_empty(), subject.local) {
            (true, true) => Arc::clone(&LOCAL),
            (true, false) => Arc::clone(&FAR),
            (false, _) => Arc::new(Self::new(rules, subject)),
        }
    }

    pub(crate) fn new(rules: &[Rule], subject: Subject<'_>) -> Self {
        let mine = || rules.iter().filter(|rule| speaks_of(rule, subject));
        let ready = |texts: Vec<&String>| texts.into_iter().filter_map(|text| fill_in(text, subject)).collect();
        let topics = |allow: fn(&Rule) -> &Vec<String>, deny: fn(&Rule) -> &Vec<String>| Topics {
            allowed: (!rules.is_empty()).then(|| ready(mine().flat_map(allow).collect())),
            denied: ready(mine().flat_map(deny).collect()),
        };
        let publish = topics(|rule| &rule.publish, |rule| &rule.deny_publish);
        let mut subscribe = topics(|rule| &rule.subscribe, |rule| &rule.deny_subscribe);
        if rules.is_empty() && !subject.local {
            subscribe.denied.extend(Filter::new(PRIVATE));
        }
        Self { publish, subscribe }
    }

    /// Whether the client may publish to `topic`, now or by its will.
    pub(crate) fn may_publish(&self, topic: &Topic) -> bool {
        self.publish.contain(topic)
    }

    /// Whether the client may get messages of `topic`.
    pub(crate) fn may_receive(&self, topic: &Topic) -> bool {
        self.subscribe.contain(topic)
    }

    /// Whether the client may subscribe to `filter`: everything it matches is allowed, and something of it is not
    /// denied. What is denied is then withheld message by message.
    pub(crate) fn may_subscribe(&self, filter: &Filter) -> bool {
        let Topics { allowed, denied } = &self.subscribe;
        allowed.as_ref().is_none_or(|allowed| cover(allowed, filter)) && !cover(denied, filter)
    }
}

impl Topics {
    fn contain(&self, topic: &Topic) -> bool {
        let is_in = |set: &[Filter]| set.iter().any(|filter| filter.matches(topic));
        self.allowed.as_ref().is_none_or(|allowed| is_in(allowed)) && !is_in(&self.denied)
    }
}

/// What everybody may do where there are no rules.
fn open(local: bool) -> Arc<Access> {
    Arc::new(Access::new(&[], Subject { user: None, client_id: "", local }))
}

/// Whether `rule` is about this client. No user is called `anonymous` or `*`, whatever a certificate says.
fn speaks_of(rule: &Rule, subject: Subject<'_>) -> bool {
    match rule.user.as_str() {
        "*" => true,
        "anonymous" => subject.user.is_none(),
        name => subject.user == Some(name),
    }
}

/// The filter with user name and client id in it; nothing when one of them is not there or would be more than a
/// part of one level.
fn fill_in(text: &str, subject: Subject<'_>) -> Option<Filter> {
    let mut filled = String::with_capacity(text.len());
    let mut parts = text.split('%');
    filled.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (value, rest) = match part.chars().next() {
            Some('u') => (subject.user?, &part[1..]),
            Some('c') => (subject.client_id, &part[1..]),
            _ => ("%", part),
        };
        // A `$` in front would reach what no wildcard reaches.
        let special = value.contains(['+', '#', '/']) || (filled.is_empty() && value.starts_with('$'));
        if special || value.is_empty() {
            return None;
        }
        filled.push_str(value);
        filled.push_str(rest);
    }
    Filter::new(&filled).ok().filter(|filter| is_shallow(filter.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(user: &str, lists: [&[&str]; 4]) -> Rule {
        let [publish, subscribe, deny_publish, deny_subscribe] =
            lists.map(|list| list.iter().map(|text| (*text).to_owned()).collect());
        Rule { user: user.into(), publish, subscribe, deny_publish, deny_subscribe }
    }

    fn access(rules: &[Rule], user: Option<&str>, client_id: &str) -> Access {
        Access::new(rules, Subject { user, client_id, local: true })
    }

    fn publishes(access: &Access, topic: &str) -> bool {
        access.may_publish(&Topic::new(topic).unwrap())
    }

    fn receives(access: &Access, topic: &str) -> bool {
        access.may_receive(&Topic::new(topic).unwrap())
    }

    fn subscribes(access: &Access, filter: &str) -> bool {
        access.may_subscribe(&Filter::new(filter).unwrap())
    }

    #[test]
    fn without_rules_everything_is_allowed() {
        let all = access(&[], None, "c");
        assert!(publishes(&all, "a/b") && receives(&all, "$SYS/x") && subscribes(&all, "#"));
    }

    #[test]
    fn rules_add_up_and_what_none_allows_is_refused() {
        let rules = [
            rule("*", [&["open/#"], &["open/#"], &[], &[]]),
            rule("ann", [&["ann/#"], &[], &[], &[]]),
            rule("anonymous", [&[], &["hello"], &[], &[]]),
        ];
        let ann = access(&rules, Some("ann"), "c");
        assert!(publishes(&ann, "ann/x") && publishes(&ann, "open/x") && !publishes(&ann, "hello"));
        assert!(!subscribes(&ann, "hello") && subscribes(&ann, "open/+"));
        let nobody = access(&rules, None, "c");
        assert!(subscribes(&nobody, "hello") && subscribes(&nobody, "open/x") && !publishes(&nobody, "ann/x"));
        assert!(!subscribes(&nobody, "#"), "only a part of it is allowed");
        assert!(!subscribes(&access(&rules, Some("anonymous"), "c"), "hello"), "a name from a certificate");
    }

    #[test]
    fn a_deny_wins_and_one_that_only_overlaps_is_no_refusal() {
        let rules = [rule("*", [&["#"], &["#"], &["a/b"], &["a/b", "c/#"]])];
        let access = access(&rules, None, "c");
        assert!(subscribes(&access, "#") && subscribes(&access, "a/+"));
        for refused in ["a/b", "c", "c/#", "c/+/d"] {
            assert!(!subscribes(&access, refused), "{refused}");
        }
        assert!(receives(&access, "a/c") && !receives(&access, "a/b") && !receives(&access, "c"));
        assert!(!publishes(&access, "a/b") && publishes(&access, "a/b/c"));
    }

    #[test]
    fn several_rules_together_may_allow_what_none_does_alone() {
        let rules = [rule("*", [&[], &["a", "a/+"], &[], &[]]), rule("*", [&[], &["a/+/+/#"], &[], &[]])];
        let access = access(&rules, None, "c");
        assert!(subscribes(&access, "a/#") && !subscribes(&access, "#"));
    }

    #[test]
    fn several_denies_together_refuse() {
        let rules = [rule("*", [&[], &["#"], &[], &["a", "a/+/#"]])];
        assert!(!subscribes(&access(&rules, None, "c"), "a/#"));
    }

    #[test]
    fn names_fill_in_their_places() {
        let rules = [rule("*", [&["dev/%u/%c/#", "100%/x", "%c-%u"], &[], &[], &[]])];
        let ann = access(&rules, Some("ann"), "c1");
        for topic in ["dev/ann/c1", "dev/ann/c1/x", "100%/x", "c1-ann"] {
            assert!(publishes(&ann, topic), "{topic}");
        }
        assert!(!publishes(&ann, "dev/bob/c1") && !publishes(&ann, "dev/%u/%c"));
    }

    #[test]
    fn names_with_wildcards_or_levels_match_nothing() {
        let rules = [rule("*", [&["u/%u", "c/%c", "%c/#"], &[], &[], &[]])];
        for bad in ["+", "#", "a/b", "/", "x+", ""] {
            let it = access(&rules, Some(bad), bad);
            let topics = ["u/+", "c/+", "u/x", "c/a/b", "u/a/b", "a/b", "c/#", "u/#", "x", "c", "u", "c/", "u/"];
            for topic in topics.into_iter().filter_map(|topic| Topic::new(topic).ok()) {
                assert!(!it.may_publish(&topic), "{bad} {topic}");
            }
        }
        assert!(!publishes(&access(&rules, None, "c"), "u/"), "an anonymous client has no name");
        assert!(!publishes(&access(&rules, None, "$SYS"), "$SYS/x"), "no client id reaches behind a `$`");
    }

    #[test]
    fn private_figures_are_for_this_machine_or_by_rule() {
        let far = |rules: &[Rule]| Access::new(rules, Subject { user: None, client_id: "c", local: false });
        let open = far(&[]);
        assert!(!subscribes(&open, "$SYS/weir/#") && !subscribes(&open, "$SYS/weir/clients/+"));
        assert!(subscribes(&open, "$SYS/#") && subscribes(&open, "#"));
        assert!(!receives(&open, "$SYS/weir/x") && receives(&open, "$SYS/broker/uptime"));
        assert!(subscribes(&access(&[], None, "c"), "$SYS/weir/#"));
        let ruled = far(&[rule("*", [&[], &["#"], &[], &[]])]);
        assert!(!receives(&ruled, "$SYS/weir/x") && !subscribes(&ruled, "$SYS/#"));
        let explicit = far(&[rule("*", [&[], &["$SYS/#"], &[], &[]])]);
        assert!(receives(&explicit, "$SYS/weir/x") && subscribes(&explicit, "$SYS/weir/#"));
    }
}
