//! Publishers: bursts of numbered messages on topics of their own, repeated until they are done.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::sleep;

use crate::session::{Session, payload};
use crate::wire::{self, Link};
use crate::world::{Phase, World};

/// Messages of one publisher that are not done.
const WINDOW: usize = 16;
/// First levels: what quick receivers want, what slow and absent ones want, what a group shares, what is retained.
const KINDS: [&str; 4] = ["quick", "slow", "team", "keep"];

#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) session: Session,
    /// How many messages each of its topics has had.
    counts: [u64; 2 * KINDS.len()],
    chance: Rng,
}

/// Whether message `number` of a `keep/` topic deletes the value.
pub(crate) fn deletes(number: u64) -> bool {
    number.is_multiple_of(5)
}

impl Publisher {
    pub(crate) fn new(session: Session, chance: Rng) -> Self {
        Self { session, counts: [0; 2 * KINDS.len()], chance }
    }

    /// Publishes until the round drains, then until everything is done.
    pub(crate) async fn live(mut self, world: Arc<World>) {
        while world.phase() == Phase::Work || self.session.open() > 0 {
            let mut link = world.connect(&mut self.session).await;
            let ended = self.exchange(&world, &mut link).await;
            // An end of the connection is no fault while something is left to do.
            debug_assert!(ended.is_none() || self.session.open() == 0, "it leaves when all is done");
        }
    }

    async fn exchange(&mut self, world: &World, link: &mut Link) -> Option<()> {
        loop {
            let works = world.phase() == Phase::Work;
            if !works && self.session.open() == 0 {
                return link.send(&wire::DISCONNECT).await;
            }
            let pause = Duration::from_micros(self.chance.u64(0..12_000));
            tokio::select! {
                packet = link.next() => {
                    let answer = self.session.handle(&packet?);
                    link.send(&answer).await?;
                }
                () = sleep(pause), if works && self.session.open() < WINDOW => {
                    let burst = self.burst();
                    link.send(&burst).await?;
                }
                () = world.until(Phase::Drain), if works => {}
            }
        }
    }

    /// Some messages on some topics.
    fn burst(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..self.chance.usize(1..=4) {
            let which = self.chance.usize(..self.counts.len());
            let (kind, qos) = (KINDS[which / 2], which as u8 % 2 + 1);
            self.counts[which] += 1;
            let number = self.counts[which];
            let topic = format!("{kind}/{}/{qos}", self.session.name);
            let retain = kind == "keep";
            let more = if self.chance.u8(..10) == 0 { 3000 } else { self.chance.usize(..100) };
            let payload = if retain && deletes(number) { Vec::new() } else { payload(number, more) };
            bytes.extend(self.session.publish(&topic, number, qos, retain, payload));
        }
        bytes
    }
}
