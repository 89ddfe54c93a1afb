//! What the journal costs on the disk.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Journal;
use super::world::{Client, World};
use crate::hub::session::Outgoing;
use crate::model::Qos;

const LOOKS: u32 = 20_000;
const SESSIONS: usize = 1000;
const MESSAGES: usize = 300;
/// Sessions that answer only when their messages have been written.
const SLOW: usize = 5;

fn used(world: &World) -> u64 {
    world.disk.sizes().iter().filter(|(name, _)| name.starts_with("hub~")).map(|(_, size)| size).sum()
}

fn acknowledge(member: &crate::hub::routes::Member) {
    let mut out = Vec::new();
    let mut session = member.lock();
    session.take(usize::MAX, tokio::time::Instant::now(), &mut out);
    for outgoing in out {
        if let Outgoing::Publish { id, parcel, .. } = outgoing
            && parcel.qos != Qos::AtMostOnce
        {
            session.acknowledged(id);
        }
    }
}

async fn publish(world: &mut World, members: &[Arc<crate::hub::routes::Member>]) {
    for number in 0..MESSAGES {
        world.publish(1);
        members[SLOW + 1..].iter().for_each(|member| acknowledge(member));
        if number % 20 == 19 {
            world.settle().await;
            members[1..=SLOW].iter().for_each(|member| acknowledge(member));
        }
    }
    world.settle().await;
}

/// 1,000 sessions, one of them offline for all the time: the disk holds at most twice what lives, and some
/// segments.
#[tokio::test(start_paused = true)]
async fn one_session_offline_among_a_thousand_costs_what_it_keeps() {
    let mut world = World::new(1).await;
    world.clients = (0..SESSIONS).map(|at| Client::new(format!("s{at}"), 1)).collect();
    for at in 0..SESSIONS {
        world.connect(at).unwrap();
        world.subscribe(at).await;
    }
    let members: Vec<_> = world.clients.iter().map(|it| Arc::clone(&it.connection.as_ref().unwrap().0)).collect();
    world.disconnect(0);
    let stop = CancellationToken::new();
    let cleaning = tokio::spawn(Journal::keep_short(world.journal(), stop.clone()));
    world.filler = 1000;
    publish(&mut world, &members).await;
    // The log grows by the sessions' own news too: it is cleaned until that is gone. The store's thread needs real time
    // for its part, while the hours of this runtime pass at once.
    let (journal, segment) = (world.journal(), 16 << 10);
    let measure = || (used(&world), journal.extent().live as u64);
    for _ in 0..LOOKS {
        tokio::time::sleep(Duration::from_secs(60)).await;
        let (used, live) = measure();
        if used <= 2 * live + 5 * segment {
            break;
        }
        // A word with that thread, which so gets its turn.
        journal.chain.read(journal.chain.first_unacked(), 1).await.unwrap();
    }
    stop.cancel();
    cleaning.await.unwrap();
    let (used, live) = measure();
    assert!(live > MESSAGES as u64 * 1000, "the offline session's messages live: {live} bytes");
    assert!(used <= 2 * live + 5 * segment, "{used} bytes on the disk for {live}");
}
