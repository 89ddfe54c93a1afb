//! A client that subscribes and unsubscribes all the time: what the hub has acknowledged of it must hold.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::{sleep, timeout};

use crate::book::What;
use crate::session::{Session, number, payload};
use crate::wire::{self, Link, Packet};
use crate::world::{PATIENCE, Phase, World};

/// Topics it changes its mind about.
const TOPICS: usize = 6;
/// What it always wants: it shows that the others had their chance.
const LAST: &str = "churn/last";

/// What the hub has said of one subscription; nothing while a change is not acknowledged.
type Mind = Option<bool>;

#[derive(Debug)]
pub(crate) struct Churner {
    session: Session,
    minds: [Mind; TOPICS],
    settled: bool,
    probes: u64,
    chance: Rng,
}

fn topic(at: usize) -> String {
    format!("churn/{at}")
}

impl Churner {
    pub(crate) fn new(session: Session, chance: Rng) -> Self {
        Self { session, minds: [Some(false); TOPICS], settled: false, probes: 0, chance }
    }

    pub(crate) async fn live(mut self, world: Arc<World>) -> Self {
        while world.phase() < Phase::End {
            let mut link = world.connect(&mut self.session).await;
            tokio::select! {
                _ = self.work(&mut link) => {}
                () = world.until(Phase::End) => {}
            }
        }
        self
    }

    async fn work(&mut self, link: &mut Link) -> Option<()> {
        loop {
            self.probe(link).await?;
            sleep(Duration::from_millis(self.chance.u64(1..15))).await;
            for _ in 0..self.chance.usize(1..4) {
                self.change(link).await?;
            }
        }
    }

    /// Sees what it still gets, after everything.
    pub(crate) async fn look(mut self, world: Arc<World>) {
        let attempts = async {
            loop {
                let mut link = world.connect(&mut self.session).await;
                if self.probe(&mut link).await.is_some() {
                    return;
                }
            }
        };
        if timeout(PATIENCE / 6, attempts).await.is_err() {
            self.session.wrong(format!("{LAST} does not come: its subscription is LOST"));
        }
    }

    /// Subscribes to a topic or unsubscribes from it, and waits for the hub's word.
    async fn change(&mut self, link: &mut Link) -> Option<()> {
        let (at, wanted) = (self.chance.usize(..TOPICS), self.chance.bool());
        let (id, v5) = (self.session.free_id(), self.session.v5);
        let (book, name) = (Arc::clone(&self.session.book), Arc::clone(&self.session.name));
        self.minds[at] = None;
        let request =
            if wanted { wire::subscribe(v5, id, &topic(at), 1) } else { wire::unsubscribe(v5, id, &topic(at)) };
        let write = |what| book.write(&name, what, &topic(at), 0, format!("subscribed: {wanted}"));
        write(What::Asked);
        link.send(&request).await?;
        self.granted(link).await?;
        write(What::Granted);
        self.minds[at] = Some(wanted);
        Some(())
    }

    async fn granted(&mut self, link: &mut Link) -> Option<()> {
        loop {
            let packet = link.next().await?;
            link.send(&self.session.handle(&packet)).await?;
            if matches!(packet, Packet::Granted { .. }) {
                return Some(());
            }
        }
    }

    /// Publishes to every topic and compares what comes back with what the hub has acknowledged.
    async fn probe(&mut self, link: &mut Link) -> Option<()> {
        if !self.settled {
            let id = self.session.free_id();
            link.send(&wire::subscribe(self.session.v5, id, LAST, 1)).await?;
            self.granted(link).await?;
            self.settled = true;
        }
        self.probes += 1;
        for topic in (0..TOPICS).map(topic).chain([LAST.to_owned()]) {
            let bytes = self.session.publish(&topic, self.probes, 1, false, payload(self.probes, 10));
            link.send(&bytes).await?;
        }
        let mut came = [false; TOPICS];
        loop {
            let packet = link.next().await?;
            link.send(&self.session.handle(&packet)).await?;
            let Packet::Publish(publish) = packet else { continue };
            if number(&publish.payload) != Some(self.probes) {
                continue;
            }
            match (0..TOPICS).find(|&at| topic(at) == publish.topic) {
                Some(at) => came[at] = true,
                None => break,
            }
        }
        self.compare(&came);
        Some(())
    }

    fn compare(&self, came: &[bool; TOPICS]) {
        for (at, (mind, came)) in self.minds.iter().zip(came).enumerate() {
            if mind.is_some_and(|mind| mind != *came) {
                let what = format!("probe {}: subscribed {mind:?}, came {came}", self.probes);
                self.session.book.write(&self.session.name, What::Wrong, &topic(at), 0, what);
            }
        }
    }
}
