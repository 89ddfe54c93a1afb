//! The topic tree: which filters match a topic, found level by level. Pure.

use std::collections::HashMap;

use super::settings::MAX_LEVELS;
use crate::model::Filter;

/// Values by topic filter.
#[derive(Debug)]
pub(crate) struct Tree<V> {
    root: Node<V>,
}

#[derive(Debug)]
struct Node<V> {
    children: HashMap<Box<str>, Node<V>>,
    /// Below `+`.
    any: Option<Box<Node<V>>>,
    /// Of the filter that ends here.
    here: Vec<V>,
    /// Of the filter that ends in `#` below here.
    all: Vec<V>,
}

impl<V> Default for Node<V> {
    fn default() -> Self {
        Self { children: HashMap::new(), any: None, here: Vec::new(), all: Vec::new() }
    }
}

impl<V> Default for Tree<V> {
    fn default() -> Self {
        Self { root: Node::default() }
    }
}

/// Whether `text` has no more levels than may ever be.
pub(crate) fn is_shallow(text: &str) -> bool {
    levels(text) <= MAX_LEVELS
}

/// How many levels a topic or filter has.
pub(crate) fn levels(text: &str) -> usize {
    1 + text.bytes().filter(|&byte| byte == b'/').count()
}

impl<V> Tree<V> {
    /// The values of exactly this filter, made when there are none yet. Callers have checked [`is_shallow`].
    pub(crate) fn at(&mut self, filter: &Filter) -> &mut Vec<V> {
        let mut node = &mut self.root;
        for level in filter.as_str().split('/') {
            node = match level {
                "#" => return &mut node.all,
                "+" => node.any.get_or_insert_default(),
                name => {
                    if !node.children.contains_key(name) {
                        node.children.insert(name.into(), Node::default());
                    }
                    node.children.get_mut(name).expect("inserted just now when it was missing")
                }
            };
        }
        &mut node.here
    }

    /// Keeps of this filter's values those that `keep` wants, and drops branches that have become empty.
    pub(crate) fn retain(&mut self, filter: &Filter, keep: impl FnMut(&V) -> bool) {
        self.root.retain(filter.as_str().split('/'), keep);
    }

    /// Shows the values of every filter that matches the topic name `topic`.
    pub(crate) fn matching<'a>(&'a self, topic: &str, mut see: impl FnMut(&'a V)) {
        // A leading wildcard does not match `$...` (MQTT-4.7.2-1).
        let see = &mut see;
        if topic.starts_with('$') {
            let (first, rest) = topic.split_once('/').map_or((topic, None), |(first, rest)| (first, Some(rest)));
            if let Some(child) = self.root.children.get(first) {
                child.matching(rest, see);
            }
        } else {
            self.root.matching(Some(topic), see);
        }
    }
}

impl<V> Node<V> {
    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.any.is_none() && self.here.is_empty() && self.all.is_empty()
    }

    fn retain<'a>(&mut self, mut levels: impl Iterator<Item = &'a str>, keep: impl FnMut(&V) -> bool) {
        match levels.next() {
            None => {
                let mut keep = keep;
                self.here.retain(&mut keep);
            }
            Some("#") => {
                let mut keep = keep;
                self.all.retain(&mut keep);
            }
            Some("+") => {
                if let Some(child) = &mut self.any {
                    child.retain(levels, keep);
                    self.any.take_if(|child| child.is_empty());
                }
            }
            Some(name) => {
                if let Some(child) = self.children.get_mut(name) {
                    child.retain(levels, keep);
                    if child.is_empty() {
                        self.children.remove(name);
                    }
                }
            }
        }
    }

    /// `rest` is what is left of the topic; nothing when all its levels are used up.
    fn matching<'a>(&'a self, rest: Option<&str>, see: &mut impl FnMut(&'a V)) {
        self.all.iter().for_each(&mut *see);
        let Some(rest) = rest else {
            self.here.iter().for_each(see);
            return;
        };
        let (level, rest) = rest.split_once('/').map_or((rest, None), |(level, rest)| (level, Some(rest)));
        if let Some(child) = self.children.get(level) {
            child.matching(rest, see);
        }
        if let Some(child) = &self.any {
            child.matching(rest, see);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Topic;

    fn level() -> impl Strategy<Value = String> {
        prop_oneof![Just(""), Just("a"), Just("b"), Just("é"), Just("$x")].prop_map(str::to_owned)
    }

    fn topic() -> impl Strategy<Value = Topic> {
        prop::collection::vec(level(), 1..5).prop_filter_map("empty", |levels| Topic::new(&levels.join("/")).ok())
    }

    fn filter() -> impl Strategy<Value = Filter> {
        let levels = prop::collection::vec(prop_oneof![3 => level(), 1 => Just("+".to_owned())], 0..5);
        (levels, any::<bool>()).prop_filter_map("empty", |(mut levels, all)| {
            if all {
                levels.push("#".to_owned());
            }
            Filter::new(&levels.join("/")).ok()
        })
    }

    proptest! {
        /// The tree finds what the naive matcher of the model finds, also after removals.
        #[test]
        fn the_tree_agrees_with_the_naive_matcher(
            filters in prop::collection::vec((filter(), any::<bool>()), 0..40),
            topics in prop::collection::vec(topic(), 1..20),
        ) {
            let mut tree = Tree::default();
            for (number, (filter, _)) in filters.iter().enumerate() {
                tree.at(filter).push(number);
            }
            for (number, (filter, _)) in filters.iter().enumerate().filter(|(_, (_, stays))| !stays) {
                tree.retain(filter, |&value| value != number);
            }
            for topic in topics {
                let naive: Vec<usize> = filters
                    .iter()
                    .enumerate()
                    .filter(|(_, (filter, stays))| *stays && filter.matches(&topic))
                    .map(|(number, _)| number)
                    .collect();
                let mut found = Vec::new();
                tree.matching(topic.as_str(), |&value| found.push(value));
                found.sort_unstable();
                prop_assert_eq!(found, naive, "{}", topic);
            }
        }

        /// Nothing is left behind when every filter is gone.
        #[test]
        fn an_emptied_tree_has_no_branches(filters in prop::collection::vec(filter(), 0..40)) {
            let mut tree = Tree::default();
            for filter in &filters {
                tree.at(filter).push(());
            }
            for filter in &filters {
                tree.retain(filter, |()| false);
            }
            prop_assert!(tree.root.is_empty());
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert!(is_shallow(&"/".repeat(MAX_LEVELS - 1)));
        assert!(!is_shallow(&"/".repeat(MAX_LEVELS)));
    }
}
