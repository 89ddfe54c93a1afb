//! What is wrong, or worth knowing, about rules that touch each other; for the check of a configuration.

use std::fmt;

use super::batch_topic;
use super::produced::produced_by;
use crate::bridge::{Forward, Receive};
use crate::model::{Filter, Name, Topic};

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// All that a forward topic matches comes from the same bridge: nothing would ever be forwarded.
    Echo,
    /// Part of what a forward topic matches comes from the same bridge, and is therefore not forwarded.
    Overlap,
    /// What is forwarded matches a subscription at the cloud, and comes back under another name.
    Returns,
    /// No topic of a subscription begins with what is to be stripped: nothing would ever be received.
    NeverStrips,
    /// All that a subscription brings would land on topics that it may not produce.
    Forbidden,
    /// An earlier rule takes all that a forward topic matches.
    Shadowed,
    /// The prefix does not make a topic.
    BadPrefix,
    /// A rule's batches match a subscription at the cloud, and come back.
    BatchReturns,
}

/// One thing found; its `Display` says it in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// The forward rule it is about, counted from 0.
    pub forward: Option<usize>,
    /// The receive rule it is about, counted from 0.
    pub receive: Option<usize>,
    text: String,
}

impl Finding {
    /// Whether the configuration is wrong, and not only worth a warning.
    pub fn is_error(&self) -> bool {
        matches!(self.kind, Kind::Echo | Kind::NeverStrips | Kind::Forbidden | Kind::BadPrefix | Kind::BatchReturns)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Everything found about the rules of one bridge of `gateway`.
pub fn findings(gateway: &Name, forward: &[Forward], receive: &[Receive]) -> Vec<Finding> {
    let of_forward = forward.iter().enumerate().flat_map(|(index, rule)| {
        let found = alone(index, rule, forward).into_iter().chain(beside(rule, receive));
        let found = found.chain(batch_returns(gateway, rule, receive));
        found.map(move |finding| Finding { forward: Some(index), ..finding }).collect::<Vec<_>>()
    });
    let of_receive = receive.iter().enumerate().flat_map(|(index, rule)| {
        let found = rule.topics.iter().filter_map(|subscription| useless(gateway, rule, subscription));
        found.map(move |finding| Finding { receive: Some(index), ..finding }).collect::<Vec<_>>()
    });
    of_forward.chain(of_receive).collect()
}

fn found(kind: Kind, text: String) -> Finding {
    Finding { kind, forward: None, receive: None, text }
}

/// What is found about a forward rule without looking at what is received.
fn alone(index: usize, rule: &Forward, all: &[Forward]) -> Vec<Finding> {
    let prefix = &rule.prefix;
    let bad = Topic::new(&format!("{prefix}x")).is_err();
    let bad = bad.then(|| found(Kind::BadPrefix, format!("{prefix:?} in front of a topic does not make a topic")));
    let shadowed = rule.topics.iter().filter_map(|topic| {
        let takes_all = |other: &Forward| other.except.is_empty() && other.topics.iter().any(|t| t.covers(topic));
        let by = all[..index].iter().position(takes_all)? + 1;
        Some(found(Kind::Shadowed, format!("forward rule {by} of this bridge takes all of \"{topic}\" already")))
    });
    bad.into_iter().chain(shadowed).collect()
}

/// What is found about a forward rule beside all receive rules.
fn beside(rule: &Forward, receive: &[Receive]) -> Vec<Finding> {
    let mut all = Vec::new();
    for topic in &rule.topics {
        for (index, from) in receive.iter().enumerate() {
            let found = from.topics.iter().filter_map(|subscription| touching(rule, topic, from, subscription));
            all.extend(found.map(|finding| Finding { receive: Some(index), ..finding }));
        }
    }
    all
}

/// What is found about the topic of a rule's batches beside all receive rules.
fn batch_returns(gateway: &Name, rule: &Forward, receive: &[Receive]) -> Option<Finding> {
    let topic = batch_topic(gateway, rule)?;
    let receives = |from: &Receive| from.topics.iter().any(|subscription| subscription.matches(&topic));
    let index = receive.iter().position(receives)?;
    let text = format!("batches go to \"{topic}\", which this bridge receives: they would come back");
    Some(Finding { receive: Some(index), ..found(Kind::BatchReturns, text) })
}

fn touching(rule: &Forward, topic: &Filter, from: &Receive, subscription: &Filter) -> Option<Finding> {
    if let Some(produced) = produced_by(subscription, &from.strip, &from.prefix) {
        if produced.covers(topic) {
            let text = format!(
                "all of \"{topic}\" comes from this bridge itself, which receives \"{produced}\": nothing would be forwarded"
            );
            return Some(found(Kind::Echo, text));
        }
        if produced.overlaps(topic) && !rule.except.iter().any(|except| except.covers(&produced)) {
            let text = format!(
                "\"{produced}\" is received from this bridge, so that part of \"{topic}\" is not forwarded to it"
            );
            return Some(found(Kind::Overlap, text));
        }
    }
    let at_cloud = |filter: &Filter| Filter::new(&format!("{}{filter}", rule.prefix)).ok();
    let excepted = rule.except.iter().filter_map(at_cloud).any(|except| except.covers(subscription));
    let returns = at_cloud(topic)?.overlaps(subscription) && !excepted;
    returns.then(|| {
        let text = format!(
            "what is forwarded from \"{topic}\" matches the subscription \"{subscription}\" and comes back under another name"
        );
        found(Kind::Returns, text)
    })
}

/// What is found about a subscription that brings nothing.
fn useless(gateway: &Name, rule: &Receive, subscription: &Filter) -> Option<Finding> {
    let Some(produced) = produced_by(subscription, &rule.strip, &rule.prefix) else {
        let text = format!("no topic of \"{subscription}\" begins with {:?}, which `strip` takes off", rule.strip);
        return Some(found(Kind::NeverStrips, text));
    };
    let own = |level| Filter::new(&format!("{gateway}/{level}/#")).is_ok_and(|own| own.covers(&produced));
    let forbidden = produced.as_str().starts_with('$') || own("bridge") || own("gateway");
    let text = || format!("this would publish on \"{produced}\", where only the gateway itself may");
    forbidden.then(|| found(Kind::Forbidden, text()))
}
