//! Receivers: each with a persistent session and a temper of its own.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, sleep, sleep_until};

use crate::session::Session;
use crate::wire::{self, Link, Packet};
use crate::world::{Phase, World};

/// How a receiver behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Temper {
    /// Answers at once.
    Quick,
    /// Answers late, many at once.
    Slow,
    /// Comes and goes without a word.
    Fickle,
}

#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) session: Session,
    pub(crate) filter: &'static str,
    pub(crate) qos: u8,
    pub(crate) temper: Temper,
    pub(crate) chance: Rng,
}

impl Receiver {
    /// Subscribes, and is there until the hub has said so.
    pub(crate) async fn begin(mut self, world: Arc<World>) -> Self {
        while self.subscribe(&world).await.is_none() {}
        self
    }

    async fn subscribe(&mut self, world: &World) -> Option<()> {
        let mut link = world.connect(&mut self.session).await;
        let id = self.session.free_id();
        link.send(&wire::subscribe(self.session.v5, id, self.filter, self.qos)).await?;
        loop {
            let packet = link.next().await?;
            link.send(&self.session.handle(&packet)).await?;
            if matches!(packet, Packet::Granted { .. }) {
                return Some(());
            }
        }
    }

    /// Receives until the round ends.
    pub(crate) async fn live(mut self, world: Arc<World>) -> Self {
        while world.phase() < Phase::End {
            let mut link = world.connect(&mut self.session).await;
            let fickle = self.temper == Temper::Fickle && world.phase() == Phase::Work;
            let stays = if fickle { Duration::from_millis(self.chance.u64(1..150)) } else { Duration::from_secs(3600) };
            tokio::select! {
                _ = self.receive(&mut link) => {}
                () = sleep(stays) => {}
                () = world.until(Phase::End) => {}
            }
            drop(link);
            if fickle {
                sleep(Duration::from_millis(self.chance.u64(0..200))).await;
            }
        }
        self
    }

    /// Until the connection ends. An answer is sent whole or, when this is dropped, perhaps not at all: as if it
    /// had been lost.
    async fn receive(&mut self, link: &mut Link) -> Option<()> {
        let mut answers = Vec::new();
        loop {
            let packet = link.next().await?;
            answers.extend(self.session.handle(&packet));
            if self.temper == Temper::Slow {
                self.dawdle(link, &mut answers).await?;
            }
            link.send(&answers).await?;
            answers.clear();
        }
    }

    /// Gathers answers for a while.
    async fn dawdle(&mut self, link: &mut Link, answers: &mut Vec<u8>) -> Option<()> {
        let until = Instant::now() + Duration::from_millis(self.chance.u64(5..80));
        loop {
            tokio::select! {
                packet = link.next() => answers.extend(self.session.handle(&packet?)),
                () = sleep_until(until) => return Some(()),
            }
        }
    }

    /// Comes once more and takes what the hub still has for it.
    pub(crate) async fn look(mut self, world: Arc<World>) {
        while self.take_rest(&world).await.is_none() {}
    }

    async fn take_rest(&mut self, world: &World) -> Option<()> {
        let mut link = world.connect(&mut self.session).await;
        // The first answer may overtake what was read from the disk; what comes before the second cannot.
        for _ in 0..2 {
            link.send(&wire::PING).await?;
            loop {
                let packet = link.next().await?;
                link.send(&self.session.handle(&packet)).await?;
                if packet == Packet::Pong {
                    break;
                }
            }
        }
        link.send(&wire::DISCONNECT).await
    }
}
