//! Stories: everything that can happen, in any order, and the power fails.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

use super::compare;
use super::world::{Broken, World};

/// Stories per test run.
const SEEDS: u64 = 60;
const STEPS: usize = 90;

async fn step(world: &mut World) -> Result<(), Broken> {
    let at = world.rng.usize(0..world.clients.len());
    match world.rng.u8(0..100) {
        0..=9 => world.connect(at)?,
        10..=13 => world.disconnect(at),
        14..=18 => world.subscribe(at).await,
        19..=38 => {
            let qos = world.rng.u8(0..3);
            world.publish(qos);
        }
        39..=45 => world.retain(),
        46..=60 => drop(world.take(at, 4)),
        61..=78 => drop(world.answer(at)),
        79..=86 => world.step_sender()?,
        87..=90 => world.settle().await,
        91..=93 => drop(world.journal().step().await),
        94..=96 => quiet(world).await?,
        _ => crash(world).await?,
    }
    tokio::task::yield_now().await;
    world.look();
    Ok(())
}

/// Nothing is on its way: memory and log are compared.
async fn quiet(world: &mut World) -> Result<(), Broken> {
    world.settle().await;
    let journal = world.journal();
    // Everything is handed over, and a step of cleaning waits behind it.
    journal.finish();
    journal.step().await;
    compare(&journal, &world.store).await
}

async fn crash(world: &mut World) -> Result<(), Broken> {
    world.look();
    world.crash().await;
    for (topic, (values, last)) in &world.values {
        let kept = world.hub.router.retained();
        let filter = crate::model::Filter::new(&format!("r/{topic}")).unwrap();
        let some = kept.some(&filter, None, 1, tokio::time::Instant::now());
        let number = some.found.first().map(|it| usize::from_be_bytes(it.message.payload[..].try_into().unwrap()));
        let good = match number {
            // One that was emptied, or nothing was promised yet.
            None => last.is_none_or(|last| values[last..].iter().any(|value| value % 4 == 3)),
            Some(number) => last.is_none_or(|last| number >= last),
        };
        if !good {
            return Err(format!("topic {topic} has {number:?} after {last:?} was acknowledged"));
        }
    }
    Ok(())
}

/// Everybody connects and takes everything.
async fn end(world: &mut World) -> Result<(), Broken> {
    world.settle().await;
    for at in 0..world.clients.len() {
        world.connect(at)?;
        let mut idle = 0;
        while idle < 3 {
            let moved = world.take(at, 9) + usize::from(world.answer(at));
            idle = if moved > 0 { 0 } else { idle + 1 };
            if moved == 0 {
                // Somebody may wait for the disk: what a step of cleaning waits for is behind all that.
                world.journal().step().await;
            }
        }
    }
    check(world)
}

fn check(world: &World) -> Result<(), Broken> {
    for client in &world.clients {
        let mut times: HashMap<usize, usize> = HashMap::new();
        client.got.iter().for_each(|number| *times.entry(*number).or_default() += 1);
        for (number, &qos) in world.published.iter().enumerate() {
            let (level, times) = (qos.min(client.qos), times.get(&number).copied().unwrap_or(0));
            let promised = client.since.is_some_and(|since| number >= since) && world.acknowledged.contains(&number);
            if level > 0 && promised && times == 0 {
                return Err(format!("{} has lost {number} (QoS {level})", client.name));
            }
            if level == 2 && times > 1 {
                return Err(format!("{} has {number} {times} times", client.name));
            }
        }
    }
    Ok(())
}

async fn story(seed: u64, prepare: impl FnOnce(&World)) -> Result<(), Broken> {
    let mut world = World::new(seed).await;
    prepare(&world);
    for at in 0..STEPS {
        step(&mut world).await.map_err(|broken| format!("seed {seed} step {at}: {broken}"))?;
    }
    crash(&mut world).await?;
    end(&mut world).await.map_err(|broken| format!("seed {seed} at the end: {broken}"))?;
    quiet(&mut world).await.map_err(|broken| format!("seed {seed}, quiet at the end: {broken}"))
}

#[tokio::test(start_paused = true)]
async fn nothing_acknowledged_is_lost_and_no_qos2_message_comes_twice() {
    for seed in 0..SEEDS {
        story(seed, |_| {}).await.unwrap();
    }
}

/// The stories would notice: on a disk that never flushes, some of them end badly.
#[tokio::test(start_paused = true)]
async fn a_disk_that_cheats_is_found_out() {
    for seed in 0..SEEDS {
        // What it gives back may be such nonsense that something else trips over it first.
        let told = AssertUnwindSafe(story(seed, |world| world.disk.never_sync())).catch_unwind().await;
        if !matches!(told, Ok(Ok(()))) {
            return;
        }
    }
    panic!("no story ends badly on a disk that keeps nothing");
}
