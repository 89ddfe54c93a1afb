//! What one connection remembers of the topics it published to, until the topic tree changes.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::access::Access;
use super::super::router::Router;
use super::super::routes::Routes;
use super::super::settings::Settings;
use super::super::tree::levels;
use super::message::is_open;
use crate::model::Topic;

/// Topics remembered at once.
const MOST: usize = 64;
/// The longest of them, in bytes: what a client can make the hub remember is bounded.
const LONGEST: usize = 512;

/// A topic that was looked up.
#[derive(Debug, Clone)]
pub(super) struct Looked {
    pub(super) topic: Topic,
    pub(super) routes: Arc<Routes>,
    /// This client may publish to it.
    pub(super) open: bool,
}

#[derive(Debug, Default)]
pub(super) struct Cache {
    generation: u64,
    topics: HashMap<Topic, Looked>,
}

impl Cache {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.topics.clear();
    }

    /// Who gets the messages of `name`; nothing when it is not a topic name.
    pub(super) fn look_up(
        &mut self,
        name: &str,
        router: &Router,
        settings: &Settings,
        access: &Access,
    ) -> Option<Looked> {
        // Read before the tree: what is found may be newer than this number, never older.
        let generation = router.generation();
        if generation != self.generation {
            self.topics.clear();
            self.generation = generation;
        }
        if let Some(looked) = self.topics.get(name) {
            return Some(looked.clone());
        }
        let topic = Topic::new(name).ok().filter(|_| levels(name) <= settings.limits.topic_levels)?;
        let routes = Arc::new(router.routes(&topic));
        let open = is_open(name, settings) && access.may_publish(&topic);
        let looked = Looked { topic: topic.clone(), routes, open };
        if self.topics.len() == MOST {
            self.topics.clear();
        }
        if name.len() <= LONGEST {
            self.topics.insert(topic, looked.clone());
        }
        Some(looked)
    }
}
