//! Settings that can change while the hub runs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::settings::Settings;

/// The settings of now. A connection takes them once and asks for the generation, which costs no lock,
/// to learn that there are new ones.
#[derive(Debug)]
pub(crate) struct Live {
    settings: RwLock<Arc<Settings>>,
    generation: AtomicU64,
}

impl Live {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings: RwLock::new(Arc::new(settings)), generation: AtomicU64::new(0) }
    }

    /// What is in force now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Rises with every [`replace`](Self::replace). Read it before the settings: they may be newer, never older.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// New settings for everybody. Where the hub listens stays as it was; says whether that was to change.
    pub(crate) fn replace(&self, new: Settings) -> bool {
        let mut settings = self.settings.write().unwrap_or_else(PoisonError::into_inner);
        let kept = new.listening_as(&settings);
        let moved = kept != new;
        *settings = Arc::new(kept);
        self.generation.fetch_add(1, Ordering::Release);
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;

    #[test]
    fn everything_changes_but_where_the_hub_listens() {
        let old = Settings { listen: vec!["127.0.0.1:1".parse().unwrap()], ..Settings::new(Name::new("a").unwrap()) };
        let live = Live::new(old.clone());
        let new = Settings { own: vec![Name::new("b").unwrap()], ..old.clone() };
        assert!(!live.replace(new.clone()));
        assert_eq!((*live.settings() == new, live.generation()), (true, 1));
        assert!(live.replace(Settings { listen_ws: vec!["127.0.0.1:2".parse().unwrap()], ..new.clone() }));
        assert_eq!((*live.settings() == new, live.generation()), (true, 2));
    }
}
