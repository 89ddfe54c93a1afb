//! The hub from inside the process: publish, subscribe, durable consumers.

use weir::model::{Qos, Verdict};

use crate::bench::{self, filters, message, soon};
use crate::shelf::Shelf;

#[tokio::test]
async fn a_subscription_gets_retained_then_live_messages() {
    let bench = bench::hub().await;
    for n in 0..300 {
        bench.hub.publish(message(&format!("r/{n:03}"), "old").retained()).await;
    }
    let mut subscription = bench.hub.subscribe(filters(&["r/#", "live"]), 10);
    bench.hub.publish(message("live", "new")).await;
    for n in 0..300 {
        let delivery = soon(subscription.recv()).await.unwrap();
        assert_eq!(delivery.message.topic.as_str(), format!("r/{n:03}"));
        assert!(delivery.retained);
    }
    let delivery = soon(subscription.recv()).await.unwrap();
    assert_eq!((&*delivery.message.payload, delivery.retained), (&b"new"[..], false));
}

#[tokio::test]
async fn a_full_subscription_drops_the_oldest_and_counts() {
    let bench = bench::hub().await;
    let mut subscription = bench.hub.subscribe(filters(&["t"]), 3);
    for n in 0..5 {
        bench.hub.publish(message("t", &n.to_string())).await;
    }
    assert_eq!(bench.hub.counters().dropped, 2);
    for n in 2..5 {
        assert_eq!(*soon(subscription.recv()).await.unwrap().message.payload, *n.to_string().as_bytes());
    }
}

#[tokio::test]
async fn a_receipt_is_safe_when_every_durable_consumer_has_settled() {
    let bench = bench::hub().await;
    let (a, b) = (Shelf::new(9), Shelf::new(9));
    let _a = bench.hub.attach(filters(&["t/#", "t/1"]), a.clone());
    let b_place = bench.hub.attach(filters(&["+/1"]), b.clone());
    let receipt = bench.hub.publish(message("t/1", "x").with_qos(Qos::AtLeastOnce)).await;
    assert_eq!((a.texts().len(), b.texts().len()), (1, 1), "one copy each, however many filters match");
    a.settle_all();
    assert_eq!(receipt.verdict(), None);
    b.settle_all();
    assert_eq!(receipt.verdict(), Some(Verdict::Safe));
    drop(b_place);
    let receipt = bench.hub.publish(message("t/1", "y").with_qos(Qos::AtLeastOnce)).await;
    assert_eq!((a.texts().len(), b.texts().len()), (2, 1), "a detached consumer gets nothing");
    a.settle_all();
    assert_eq!(receipt.verdict(), Some(Verdict::Safe));
}

#[tokio::test]
async fn publishing_waits_for_room_only() {
    let bench = bench::hub().await;
    let shelf = Shelf::new(1);
    let _place = bench.hub.attach(filters(&["t"]), shelf.clone());
    soon(bench.hub.publish(message("t", "1"))).await;
    let hub = bench.hub.clone();
    let mut second = tokio::spawn(async move {
        let receipt = hub.publish(message("t", "2").with_qos(Qos::AtLeastOnce)).await;
        (receipt.verdict(), receipt)
    });
    soon(bench.hub.publish(message("other", "x"))).await;
    assert!(!second.is_finished());
    shelf.add_places(1);
    let (verdict, receipt) = soon(&mut second).await.unwrap();
    assert_eq!(shelf.texts(), ["1", "2"]);
    assert_eq!(verdict, None);
    shelf.settle_all();
    assert_eq!(receipt.verdict(), Some(Verdict::Safe));
}
