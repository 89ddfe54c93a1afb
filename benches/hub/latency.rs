//! From the publisher's write to the subscriber's read, at a steady rate.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use weir::model::Qos;

use crate::broker::Broker;
use crate::client::{Input, client, put, subscriber};

/// 1,000 messages per second.
const EVERY: Duration = Duration::from_millis(1);
const SILENCE: Duration = Duration::from_secs(3);
const SIZE: usize = 64;

/// The latencies of `count` messages with QoS 1, sorted, in microseconds.
pub(crate) async fn latencies(broker: &Broker, count: usize) -> Vec<f64> {
    let mut receiver = subscriber(broker.address, "subscriber", "bench/+", Qos::AtLeastOnce).await;
    let mut sender = client(broker.address, "publisher").await;
    let began = Instant::now();
    let publishing = tokio::spawn(async move {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut bytes, mut input) = (Vec::new(), Input::new());
        let mut sent = 0;
        while sent < count {
            tokio::select! {
                _ = ticks.tick() => {
                    let mut payload = [b'x'; SIZE];
                    payload[..8].copy_from_slice(&(began.elapsed().as_nanos() as u64).to_be_bytes());
                    bytes.clear();
                    put("bench/000", Qos::AtLeastOnce, false, (sent % 60_000) as u16 + 1, &payload, &mut bytes);
                    sender.write_all(&bytes).await.unwrap();
                    sent += 1;
                }
                open = input.read(&mut sender, |_, _| ()) => assert!(open, "the broker closed the connection"),
            }
        }
        sender
    });
    let (mut input, mut answers, mut found) = (Input::new(), Vec::new(), Vec::with_capacity(count));
    while found.len() < count {
        let read = input.read(&mut receiver, |_, packet| {
            let sent = u64::from_be_bytes(packet[packet.len() - SIZE..][..8].try_into().unwrap());
            found.push((began.elapsed().as_nanos() as u64 - sent) as f64 / 1000.0);
            answers.extend([0x40, 2, packet[13], packet[14]]);
        });
        let Ok(true) = timeout(SILENCE, read).await else { break };
        receiver.write_all(&answers).await.unwrap();
        answers.clear();
    }
    drop(publishing.await.unwrap());
    found.sort_by(f64::total_cmp);
    found
}
