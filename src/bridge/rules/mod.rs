//! Which message goes where, under which name: pure.
//!
//! Invariants: the first forward rule that matches wins, so a message goes to a bridge once; what a
//! receive rule of a bridge can produce is never forwarded by the same bridge, so no message circles;
//! what came in through a bridge does not leave through it.

mod findings;
mod produced;

use std::sync::Arc;

pub use findings::{Finding, Kind, findings};
pub use produced::produced;

use super::{Batch, Class, Forward, Receive, Settings};
use crate::model::{Filter, Message, Name, Origin, Qos, Topic};

/// The rules of one bridge, ready for use.
#[derive(Debug, Clone)]
pub struct Rules {
    gateway: Name,
    bridge: Arc<str>,
    status: Topic,
    gap: Topic,
    forward: Vec<Forward>,
    /// By forward rule: where its batches go.
    batch_topics: Vec<Option<Topic>>,
    receive: Vec<Receive>,
    produced: Vec<Filter>,
    live_first: bool,
}

/// Which records of its class a new one may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// None.
    Nothing,
    /// Those of other topics.
    Others,
    /// Those of its own topic too.
    Everything,
}

/// Where a message goes, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The topic at the cloud.
    pub topic: Topic,
    /// How many bytes of `topic` the rule put in front of the local one.
    pub prefix_len: usize,
    /// 0 or 1.
    pub qos: Qos,
    /// Which chain of the store.
    pub class: Class,
    /// The local publisher is acknowledged at once.
    pub ack_from_memory: bool,
    /// Which records of a backlog it may pass.
    pub pass: Pass,
}

/// Why a message of the cloud is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No receive rule matches, or the topic does not begin with what is to be stripped.
    NoRule,
    /// The local topic would be empty, too long or not a topic.
    NotATopic,
    /// The local topic would begin with `$`.
    System,
    /// The local topic would be one that only this gateway speaks on.
    Own,
}

/// The topic of a bridge's own state: `<gateway>/bridge/<bridge>/status`.
pub fn status_topic(gateway: &Name, bridge: &Name) -> Topic {
    Topic::new(&format!("{gateway}/bridge/{bridge}/status")).expect("names are safe topic levels")
}

/// The topic on which a bridge tells what is missing: `<gateway>/bridge/<bridge>/gap`.
fn gap_topic(gateway: &Name, bridge: &Name) -> Topic {
    Topic::new(&format!("{gateway}/bridge/{bridge}/gap")).expect("names are safe topic levels")
}

/// Where the batches of a forward rule go: `<prefix><gateway>/batch/<class>` unless it says something else.
pub fn batch_topic(gateway: &Name, rule: &Forward) -> Option<Topic> {
    let given = rule.batch.as_ref()?.topic.clone();
    given.or_else(|| Topic::new(&format!("{}{gateway}/batch/{}", rule.prefix, rule.class.word())).ok())
}

impl Rules {
    /// The rules in `settings` of a bridge of `gateway`.
    pub fn new(gateway: &Name, settings: &Settings) -> Self {
        Self {
            gateway: gateway.clone(),
            bridge: settings.name.as_str().into(),
            status: status_topic(gateway, &settings.name),
            gap: gap_topic(gateway, &settings.name),
            batch_topics: settings.forward.iter().map(|rule| batch_topic(gateway, rule)).collect(),
            forward: settings.forward.clone(),
            receive: settings.receive.clone(),
            produced: settings.receive.iter().flat_map(produced).collect(),
            live_first: settings.replay.live_first,
        }
    }

    /// What the hub has to hand to this bridge; more than is forwarded, never less.
    pub fn wanted(&self) -> Vec<Filter> {
        let mut wanted: Vec<Filter> = Vec::new();
        for filter in self.forward.iter().flat_map(|rule| &rule.topics) {
            if !wanted.iter().any(|known| known.covers(filter)) {
                wanted.push(filter.clone());
            }
        }
        wanted
    }

    /// Where `message` goes; nothing when it stays here.
    pub fn route(&self, message: &Message) -> Option<Route> {
        if matches!(&message.origin, Origin::Bridge(name) if *name == self.bridge) {
            return None;
        }
        self.route_topic(&message.topic)
    }

    /// Where messages on `topic` go, whoever published them.
    pub fn route_topic(&self, topic: &Topic) -> Option<Route> {
        if *topic == self.status || *topic == self.gap || any(&self.produced, topic) {
            return None;
        }
        let rule = self.rule_for(topic)?;
        let pass = match rule.fresh {
            true => Pass::Everything,
            false if self.live_first => Pass::Others,
            false => Pass::Nothing,
        };
        Some(Route {
            topic: Topic::new(&format!("{}{topic}", rule.prefix)).ok()?,
            prefix_len: rule.prefix.len(),
            qos: rule.qos.min(Qos::AtLeastOnce),
            class: rule.class,
            ack_from_memory: rule.ack_from_memory,
            pass,
        })
    }

    /// The first rule that forwards a local topic, counted from 0. The rules may have changed since a record was
    /// stored: then it may be another, or none.
    pub fn rule_of(&self, topic: &Topic) -> Option<usize> {
        self.forward.iter().position(|rule| any(&rule.topics, topic) && !any(&rule.except, topic))
    }

    /// As [`Rules::rule_of`], the rule itself.
    pub fn rule_for(&self, topic: &Topic) -> Option<&Forward> {
        self.forward.get(self.rule_of(topic)?)
    }

    /// Whether any rule has batches.
    pub fn batches(&self) -> bool {
        self.batch_topics.iter().any(Option::is_some)
    }

    /// How records of a rule travel together, and on which topic at the cloud.
    pub fn batch(&self, rule: usize) -> Option<(&Batch, &Topic)> {
        let topic = self.batch_topics.get(rule)?.as_ref()?;
        Some((self.forward[rule].batch.as_ref()?, topic))
    }

    /// The local topic of a message that came from the cloud on `topic`.
    ///
    /// # Errors
    /// Says why the message is not let in.
    pub fn receive(&self, topic: &Topic) -> Result<Topic, Refused> {
        let stripped = self.receive.iter().find_map(|rule| {
            let rest = topic.as_str().strip_prefix(rule.strip.as_str())?;
            rule.topics.iter().any(|filter| filter.matches(topic)).then_some((rule, rest))
        });
        let (rule, rest) = stripped.ok_or(Refused::NoRule)?;
        let text = format!("{}{rest}", rule.prefix);
        let local = Topic::new(&text).map_err(|_| Refused::NotATopic)?;
        match local {
            local if local.as_str().starts_with('$') => Err(Refused::System),
            local if is_own(&self.gateway, local.as_str()) => Err(Refused::Own),
            local => Ok(local),
        }
    }

    /// What to subscribe to at the cloud, with the QoS asked for: 0 or 1, because a repeat of the cloud
    /// is told from a new message by nobody here.
    pub fn subscriptions(&self) -> Vec<(Filter, Qos)> {
        let per_rule = |rule: &Receive| {
            let qos = rule.qos.min(Qos::AtLeastOnce);
            rule.topics.clone().into_iter().map(move |filter| (filter, qos))
        };
        self.receive.iter().flat_map(per_rule).collect()
    }

    /// The topic of this bridge's state, here.
    pub fn status(&self) -> &Topic {
        &self.status
    }

    /// The topic of this bridge's budget, here: `<gateway>/bridge/<bridge>/budget`.
    pub fn budget(&self) -> Topic {
        let (gateway, bridge) = (&self.gateway, &self.bridge);
        Topic::new(&format!("{gateway}/bridge/{bridge}/budget")).expect("names are safe topic levels")
    }

    /// The topic of this bridge's state at the cloud, behind the prefix of the first forward rule.
    pub fn cloud_status(&self) -> Topic {
        self.at_cloud(&self.status)
    }

    /// The topic of this bridge's gaps, here.
    pub fn gap(&self) -> &Topic {
        &self.gap
    }

    /// The topic of this bridge's gaps at the cloud, behind the prefix of the first forward rule.
    pub fn cloud_gap(&self) -> Topic {
        self.at_cloud(&self.gap)
    }

    fn at_cloud(&self, own: &Topic) -> Topic {
        let prefix = self.forward.first().map_or("", |rule| &rule.prefix);
        Topic::new(&format!("{prefix}{own}")).unwrap_or_else(|_| own.clone())
    }
}

fn any(filters: &[Filter], topic: &Topic) -> bool {
    filters.iter().any(|filter| filter.matches(topic))
}

/// Whether only the gateway itself speaks on `topic`: below `<gateway>/bridge` and `<gateway>/gateway`.
fn is_own(gateway: &Name, topic: &str) -> bool {
    let mut levels = topic.split('/');
    levels.next() == Some(gateway.as_str()) && matches!(levels.next(), Some("bridge" | "gateway"))
}

#[cfg(test)]
mod tests;
