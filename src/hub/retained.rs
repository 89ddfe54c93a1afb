//! The last value of each topic. Pure; sorted, so that a receiver can take them in steps.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use tokio::time::Instant;

use super::memory::{Level, Memory, Share};
use super::sys;
use crate::model::{Filter, Message, Topic};

/// What a retained message takes beside its own bytes: itself, its place in the set, reference counts.
const OVERHEAD: usize = size_of::<Message>() + size_of::<Kept>() + 80;

/// Messages looked at in one step, whether they match or not: whoever reads holds up no writer for longer.
const LOOKS: usize = 1024;

/// A part of the retained messages that match a filter.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) found: Vec<Kept>,
    /// The topic behind which to go on; nothing at the end.
    pub(crate) next: Option<Topic>,
}

/// A retained message and when it is worth nothing any more.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) message: Arc<Message>,
    pub(crate) expires: Option<Instant>,
}

impl Kept {
    fn weight(&self) -> usize {
        self.message.weight()
    }

    fn is_figure(&self) -> bool {
        sys::is_below(self.message.topic.as_str())
    }

    fn is_alive(&self, now: Instant) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// A retained message that stands where its topic does: the name is not there a second time.
#[derive(Debug)]
struct ByTopic(Kept);

impl ByTopic {
    fn topic(&self) -> &Topic {
        &self.0.message.topic
    }
}

impl Borrow<str> for ByTopic {
    fn borrow(&self) -> &str {
        self.topic().as_str()
    }
}

impl Ord for ByTopic {
    fn cmp(&self, other: &Self) -> Ordering {
        self.topic().as_str().cmp(other.topic().as_str())
    }
}

impl PartialOrd for ByTopic {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByTopic {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ByTopic {}

/// All retained messages.
#[derive(Debug)]
pub(crate) struct Retained {
    by_topic: BTreeSet<ByTopic>,
    bytes: usize,
    /// How many of them are the hub's own figures, which count against no bound: the hub has a fixed number.
    figures: usize,
    max_messages: usize,
    max_bytes: usize,
    share: Share,
}

impl Retained {
    /// Without bounds of its own.
    pub(crate) fn new(memory: &Arc<Memory>) -> Self {
        let (by_topic, bytes, figures, share) = (BTreeSet::new(), 0, 0, Share::new(memory));
        Self { by_topic, bytes, figures, max_messages: usize::MAX, max_bytes: usize::MAX, share }
    }

    /// New bounds; what is there already may stay above them.
    pub(crate) fn bound(&mut self, max_messages: usize, max_bytes: usize) {
        (self.max_messages, self.max_bytes) = (max_messages, max_bytes);
    }

    /// Whether this message would be kept.
    pub(crate) fn has_room(&self, message: &Message) -> bool {
        if message.payload.is_empty() || sys::is_below(message.topic.as_str()) {
            return true;
        }
        let old = self.by_topic.get(message.topic.as_str()).map(|old| old.0.weight());
        let weight = message.weight();
        let fits = self.len() + usize::from(old.is_none()) <= self.max_messages
            && self.bytes - old.unwrap_or(0) + weight <= self.max_bytes;
        // A value that does not grow is kept, however little is left for others.
        fits && (old.is_some_and(|old| weight <= old) || self.share.memory().level() < Level::Full)
    }

    fn settle(&mut self) {
        self.share.set(self.bytes + self.by_topic.len() * OVERHEAD);
    }

    /// How many there are, without the hub's own figures.
    pub(crate) fn len(&self) -> usize {
        self.by_topic.len() - self.figures
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps `message` as its topic's last value; an empty payload deletes it (MQTT-3.3.1-6).
    /// False when there is no room.
    pub(crate) fn keep(&mut self, message: &Arc<Message>, expires: Option<Instant>) -> bool {
        let fits = self.has_room(message);
        if let Some(ByTopic(old)) = self.by_topic.take(message.topic.as_str()) {
            self.forget(&old);
        }
        if fits && !message.payload.is_empty() {
            let kept = Kept { message: Arc::clone(message), expires };
            if kept.is_figure() {
                self.figures += 1;
            } else {
                self.bytes += kept.weight();
            }
            self.by_topic.insert(ByTopic(kept));
        }
        self.settle();
        fits
    }

    /// Takes over what an earlier run has kept, as far as there is room; says how much was left out.
    /// Nothing is kept yet.
    ///
    /// All at once, in about the order of topics, is much faster than one by one, and fills the set's nodes.
    pub(crate) fn restore(&mut self, values: Vec<Kept>) -> usize {
        debug_assert!(self.by_topic.is_empty(), "only a new hub takes over");
        let (count, mut fitting) = (values.len(), Vec::with_capacity(values.len()));
        for kept in values {
            let bytes = self.bytes + kept.weight();
            // The hub's own figures are made anew.
            let fits = fitting.len() < self.max_messages && bytes <= self.max_bytes && !kept.is_figure();
            if fits && self.share.memory().level() < Level::Full {
                self.bytes = bytes;
                fitting.push(ByTopic(kept));
                self.share.set(self.bytes + fitting.len() * OVERHEAD);
            }
        }
        let refused = count - fitting.len();
        self.by_topic = fitting.into_iter().collect();
        refused
    }

    fn forget(&mut self, kept: &Kept) {
        if kept.is_figure() {
            self.figures -= 1;
        } else {
            self.bytes -= kept.weight();
        }
    }

    /// Up to `count` living messages that match `filter`, in the order of their topics, behind the topic `after`.
    /// Not more than [`LOOKS`] are looked at: the caller goes on from where this ends.
    pub(crate) fn some(&self, filter: &Filter, after: Option<&Topic>, count: usize, now: Instant) -> Step {
        let prefix = literal_prefix(filter.as_str());
        let from = match after {
            Some(topic) => Bound::Excluded(topic.as_str()),
            None => Bound::Included(prefix),
        };
        let all = self.by_topic.range::<str, _>((from, Bound::Unbounded));
        let mut found = Vec::new();
        for (looked, at) in all.take_while(|it| it.topic().as_str().starts_with(prefix)).enumerate() {
            if filter.matches(at.topic()) && at.0.is_alive(now) {
                found.push(at.0.clone());
            }
            if found.len() == count || looked + 1 == LOOKS {
                return Step { found, next: Some(at.topic().clone()) };
            }
        }
        Step { found, next: None }
    }

    /// Forgets what has expired; says what that was.
    pub(crate) fn sweep(&mut self, now: Instant) -> Vec<Topic> {
        let (bytes, mut expired) = (&mut self.bytes, Vec::new());
        self.by_topic.retain(|it| {
            let alive = it.0.is_alive(now);
            if !alive {
                *bytes -= it.0.weight();
                expired.push(it.topic().clone());
            }
            alive
        });
        self.settle();
        expired
    }
}

/// What every matching topic starts with.
fn literal_prefix(filter: &str) -> &str {
    match filter.find(['+', '#']) {
        // `a/#` matches `a` too.
        Some(at) if filter.ends_with("/#") && at + 1 == filter.len() => &filter[..at - 1],
        Some(at) => &filter[..at],
        None => filter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn message(topic: &str, payload: &str) -> Arc<Message> {
        Arc::new(Message::own(Topic::new(topic).unwrap(), payload.as_bytes()).retained())
    }

    fn topics(retained: &Retained, filter: &str, after: Option<&str>, count: usize) -> Vec<String> {
        let after = after.map(|topic| Topic::new(topic).unwrap());
        let some = retained.some(&Filter::new(filter).unwrap(), after.as_ref(), count, Instant::now());
        some.found.iter().map(|kept| kept.message.topic.to_string()).collect()
    }

    #[tokio::test]
    async fn messages_are_found_by_filter_in_steps() {
        let mut retained = Retained::new(&Arc::default());
        for topic in ["a", "a/b", "a/b/c", "a.x", "b/b", "é/t", "$SYS/x"] {
            assert!(retained.keep(&message(topic, "1"), None));
        }
        assert_eq!(topics(&retained, "a/#", None, 9), ["a", "a/b", "a/b/c"]);
        assert_eq!(topics(&retained, "+/b", None, 9), ["a/b", "b/b"]);
        assert_eq!(topics(&retained, "#", None, 2), ["a", "a.x"]);
        assert_eq!(topics(&retained, "#", Some("a.x"), 9), ["a/b", "a/b/c", "b/b", "é/t"]);
        assert_eq!(topics(&retained, "$SYS/#", None, 9), ["$SYS/x"]);
        assert_eq!(topics(&retained, "a/b", None, 9), ["a/b"]);
    }

    #[tokio::test]
    async fn the_figures_of_the_hub_are_not_counted() {
        let mut retained = Retained::new(&Arc::default());
        for topic in ["a", "$SYS/x", "$SYS/x", "$SYS", "$SYSTEM"] {
            assert!(retained.keep(&message(topic, "1"), None));
        }
        assert_eq!((retained.len(), retained.bytes()), (2, 10));
        for topic in ["$SYS/x", "$SYS", "$SYSTEM", "a"] {
            retained.keep(&message(topic, ""), None);
        }
        assert_eq!((retained.len(), retained.bytes(), retained.figures), (0, 0, 0));
    }

    #[tokio::test]
    async fn a_step_looks_at_a_bounded_number_of_messages() {
        let mut retained = Retained::new(&Arc::default());
        for number in 0..3 * LOOKS {
            retained.keep(&message(&format!("t/{number:05}"), "1"), None);
        }
        retained.keep(&message("z/last", "1"), None);
        let (filter, mut after, mut steps) = (Filter::new("+/last").unwrap(), None, 0);
        loop {
            let step = retained.some(&filter, after.as_ref(), 64, Instant::now());
            steps += 1;
            after = step.next;
            if after.is_none() {
                assert_eq!(step.found.len(), 1);
                break;
            }
            assert!(step.found.is_empty());
        }
        assert_eq!(steps, 4);
    }

    #[tokio::test]
    async fn what_an_earlier_run_kept_is_taken_over_within_the_bounds() {
        let memory = Arc::default();
        let mut retained = Retained::new(&memory);
        retained.bound(3, 4);
        let kept = |(topic, payload)| Kept { message: message(topic, payload), expires: None };
        let refused = retained.restore([("c", "1"), ("b", "12"), ("a", "1"), ("d", "1")].map(kept).into());
        assert_eq!(refused, 2, "neither b nor d fits beside a and c");
        assert_eq!((topics(&retained, "#", None, 9), retained.bytes()), (vec!["a".into(), "c".into()], 4));
        assert!(memory.used() >= 4 + 2 * OVERHEAD);
        assert!(retained.keep(&message("a", "2"), None));
        assert!(!retained.keep(&message("b", "1"), None));
    }

    #[tokio::test(start_paused = true)]
    async fn empty_payloads_delete_and_time_passes() {
        let mut retained = Retained::new(&Arc::default());
        retained.keep(&message("a", "1"), None);
        retained.keep(&message("a", ""), None);
        assert_eq!((retained.len(), retained.bytes()), (0, 0));
        retained.keep(&message("b", "1"), Some(Instant::now() + Duration::from_secs(5)));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(topics(&retained, "#", None, 9), [""; 0]);
        retained.sweep(Instant::now());
        assert_eq!((retained.len(), retained.bytes()), (0, 0));
    }
}
