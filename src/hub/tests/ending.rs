//! The end of a sequence: everybody comes back and takes what there is; then nothing may be left.

use tokio::time::Instant;

use super::session::{Owed, Stage};
use super::steps::{CLIENTS, Join, TOPICS, WILLS};
use super::world::World;
use crate::model::{Filter, Topic};

impl World {
    pub(super) async fn finish(&mut self) -> Result<(), String> {
        let join = Join {
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
        for who in 0..CLIENTS.len() {
            self.wake(who).await?;
            self.answer_all(who).await?;
        }
        for who in 0..CLIENTS.len() {
            if self.model.clients[who].lives {
                self.come_back(who, &join).await?;
            }
        }
        for who in 0..CLIENTS.len() {
            self.answer_all(who).await?;
        }
        self.model.check_end()?;
        self.check_hub()?;
        for who in 0..CLIENTS.len() {
            self.come_back(who, &Join { clean: true, expiry_s: 0, ..join.clone() }).await?;
            self.leave_for_good(who).await?;
        }
        self.check_empty()
    }

    /// What the hub counts is what the model has.
    fn check_hub(&self) -> Result<(), String> {
        let lives = self.model.clients.iter().filter(|client| client.lives).count();
        let subscriptions: usize = self.model.clients.iter().map(|client| client.subs.len()).sum();
        let counted = self.hub.counters();
        let right = counted.sessions == lives as u64 && counted.subscriptions == subscriptions as u64;
        // One that was sent, and was too large for a later connection, has been given up.
        let given_up = |owed: &Owed| {
            let sent = matches!(owed.stage, Stage::Sent(_) | Stage::PerhapsReceived(_));
            sent && !owed.must && self.model.messages[owed.msg].big
        };
        let under_way = |owed: &&Owed| owed.stage != Stage::Waiting && !given_up(owed);
        let stuck = self.model.clients.iter().flat_map(|client| &client.owed).find(under_way);
        if !right || stuck.is_some() {
            return Err(format!("{lives} sessions, {subscriptions} subscriptions, {stuck:?}, but {counted:?}"));
        }
        let now = Instant::now();
        for topic in TOPICS.iter().chain(&WILLS) {
            let filter = Filter::new(topic).map_err(|error| error.to_string())?;
            let kept = self.hub.router.retained().some(&filter, None, 9, now).found;
            let text = kept.first().map(|kept| String::from_utf8_lossy(&kept.message.payload).into_owned());
            let number = text.and_then(|text| text.split(':').next()?.parse::<usize>().ok());
            let alive = |msg: &usize| self.model.messages[*msg].expires.is_none_or(|at| at > self.model.now);
            let possible = self.model.retained.get(topic);
            let right = possible.map_or(number.is_none(), |all| all.iter().any(|it| it.filter(alive) == number));
            if !right {
                return Err(format!("{topic} has {number:?} retained, not one of {possible:?}"));
            }
        }
        Ok(())
    }

    /// Without sessions nothing is left of them.
    fn check_empty(&self) -> Result<(), String> {
        let counted = self.hub.counters();
        let routes = TOPICS
            .iter()
            .chain(&WILLS)
            .any(|topic| !self.hub.router.routes(&Topic::new(topic).expect("a topic")).is_empty());
        if counted.sessions > 0 || counted.subscriptions > 0 || counted.clients > 0 || routes {
            return Err(format!("something is left: {counted:?}, routes {routes}"));
        }
        Ok(())
    }
}
