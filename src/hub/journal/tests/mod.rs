//! The journal against power cuts and a model, on the simulated disk. One seed is one story.

mod story;
mod wear;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fold::Fold;
use super::index::Index;
use super::record::Record;
use super::{Journal, key};
use crate::model::{Message, Origin, Qos, Topic, Verdict};
use crate::store::Store;
use world::World;

/// Everything that lives, as text, without the places of records.
fn summary(index: &Index) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (number, session) in &index.sessions {
        all.insert(format!("session {number}"), format!("{:?}", session.head));
        for (filter, (grant, _)) in &session.subscriptions {
            all.insert(format!("session {number} {filter}"), format!("{grant:?}"));
        }
        let mut releases: Vec<_> = session.releases.iter().map(|(id, (mid, _))| (*id, *mid)).collect();
        releases.sort_unstable();
        let mut inbound: Vec<_> = session.inbound.keys().copied().collect();
        inbound.sort_unstable();
        all.insert(format!("session {number}: owed and taken"), format!("{releases:?} {inbound:?}"));
    }
    for (mid, entry) in &index.messages {
        let mut deliveries = entry.deliveries();
        deliveries.sort_by_key(|delivery| delivery.session);
        all.insert(format!("message {mid}"), format!("{:?} {deliveries:?}", entry.message.payload));
    }
    all.extend(index.retained.keys().map(|topic| (format!("retained {topic}"), String::new())));
    all
}

/// Reads the log as a start does.
async fn fold(store: &Store) -> Fold {
    let chain = store.pinned(key());
    let mut fold = Fold::default();
    let mut from = chain.first_unacked();
    loop {
        let records = chain.read(from, 1 << 20).await.unwrap();
        let Some(last) = records.last() else { break };
        from = last.sequence + 1;
        records.iter().for_each(|record| fold.take(record.sequence, &record.bytes));
    }
    fold.finish();
    fold
}

/// With nothing on its way, the log and the living state say the same; also what they weigh.
async fn compare(journal: &Arc<Journal>, store: &Store) -> Result<(), String> {
    let fold = fold(store).await;
    let inner = journal.lock();
    let (live, log) = (summary(&inner.index), summary(&fold.index));
    if live != log {
        let of = |one: &BTreeMap<String, String>, other: &BTreeMap<String, String>| -> Vec<String> {
            one.iter().filter(|(key, value)| other.get(*key) != Some(value)).map(|it| format!("{it:?}")).collect()
        };
        return Err(format!("lives: {:#?}, in the log: {:#?}", of(&live, &log), of(&log, &live)));
    }
    let (live, log) = (inner.index.live, fold.index.live);
    if live == log { Ok(()) } else { Err(format!("{live} bytes live, {log} in the log")) }
}

/// After a power cut between the two the client's repetition must be routed, or the value be there.
#[tokio::test(start_paused = true)]
async fn a_retained_qos2_publish_is_on_the_disk_before_its_packet_id() {
    let mut world = World::new(1).await;
    world.connect(0).unwrap();
    let number = world.clients[0].connection.as_ref().unwrap().0.lock().place.as_ref().unwrap().number;
    let message = Message { origin: Origin::Client("p".into()), ..Message::own(Topic::new("r").unwrap(), *b"x") };
    let receipt = world.send(message.with_qos(Qos::ExactlyOnce).retained(), Some((number, 7)));
    assert_eq!(receipt.await, Verdict::Safe);
    let records = world.store.pinned(key()).read(1, 1 << 20).await.unwrap();
    let place = |is_it: fn(&Record) -> bool| records.iter().position(|it| is_it(&Record::decode(&it.bytes).unwrap()));
    let retain = place(|record| matches!(record, Record::Retain(..))).unwrap();
    let inbound = place(|record| matches!(record, Record::Message(it) if it.inbound.is_some())).unwrap();
    assert!(retain < inbound);
}
