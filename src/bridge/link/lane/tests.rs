use super::*;

fn lane(records: std::ops::RangeInclusive<u64>) -> Lane<()> {
    let mut lane = Lane::new(*records.start());
    lane.feed(records.map(|sequence| (sequence, ())));
    lane
}

/// Sends the next record under the packet id that equals its number.
fn send(lane: &mut Lane<()>, topic: u64) -> u64 {
    let (sequence, ()) = lane.take().unwrap();
    lane.sent(sequence, topic, sequence as u16);
    sequence
}

#[test]
fn only_a_prefix_is_told_to_the_store() {
    let mut lane = lane(1..=3);
    assert_eq!([send(&mut lane, 0), send(&mut lane, 0), send(&mut lane, 0)], [1, 2, 3]);
    lane.acknowledged(2, 2);
    lane.acknowledged(3, 3);
    assert_eq!(lane.newly_done(), None);
    lane.acknowledged(1, 1);
    assert_eq!(lane.newly_done(), Some(3));
    assert_eq!(lane.newly_done(), None);
    assert_eq!(lane.hungry(), Some(4));
}

#[test]
fn a_refused_record_goes_again_before_later_ones_of_its_topic() {
    let mut lane = lane(1..=4);
    for topic in [7, 8, 7, 8] {
        send(&mut lane, topic);
    }
    lane.acknowledged(2, 2);
    lane.acknowledged(3, 3);
    assert_eq!(lane.refused(1, 1, true), Some(1));
    lane.again(&[1]);
    assert_eq!(lane.hungry(), Some(1));
    lane.feed((1..=4).map(|sequence| (sequence, ())));
    assert_eq!([lane.take(), lane.take(), lane.take()], [Some((1, ())), Some((3, ())), None], "2 is done, 4 flies");
    lane.sent(1, 7, 11);
    lane.sent(3, 7, 13);
    lane.acknowledged(3, 3);
    lane.acknowledged(1, 11);
    lane.acknowledged(4, 4);
    assert_eq!(lane.newly_done(), Some(2), "3 was acknowledged under its old packet id");
    lane.acknowledged(3, 13);
    assert_eq!(lane.newly_done(), Some(4));
}

#[test]
fn what_is_set_aside_or_gone_from_the_store_holds_nothing_up() {
    let mut lane = lane(1..=3);
    for _ in 0..3 {
        send(&mut lane, 0);
    }
    assert_eq!(lane.refused(1, 1, true), Some(1));
    assert_eq!(lane.refused(1, 9, true), None, "not the packet id it flies under");
    lane.set_aside(1);
    assert_eq!(lane.newly_done(), Some(1));
    lane.again(&[2]);
    lane.feed([(3, ())]);
    assert_eq!(lane.newly_done(), Some(2), "2 was dropped by the quota");
    assert_eq!(lane.next(), Some(3));
}

#[test]
fn what_is_missing_at_the_end_is_passed() {
    let mut lane = lane(1..=3);
    for _ in 0..3 {
        send(&mut lane, 0);
    }
    assert!(lane.acknowledged(1, 1));
    lane.again(&[2]);
    lane.pass(7);
    assert_eq!((lane.newly_done(), lane.hungry(), lane.next()), (Some(7), Some(8), None), "2 and 3 were dropped too");
    lane.feed([(8, ())]);
    send(&mut lane, 0);
    lane.pass(9);
    assert_eq!(lane.newly_done(), None, "8 is on its way");
    assert!(lane.acknowledged(8, 8));
    assert_eq!(lane.newly_done(), Some(9));
}

#[test]
fn what_is_held_is_read_again_also_when_the_refused_ones_are_done() {
    let mut lane = lane(1..=2);
    send(&mut lane, 7);
    assert!(lane.acknowledged(1, 1));
    let (held, ()) = lane.take().unwrap();
    lane.hold(held, 5);
    lane.again(&[1]);
    assert_eq!(lane.hungry(), Some(2));
    lane.feed([(2, ())]);
    assert_eq!(lane.take(), Some((2, ())));
}

#[test]
fn several_refusals_go_back_to_the_first() {
    let mut lane = lane(1..=4);
    for topic in 1..=4 {
        send(&mut lane, topic);
    }
    lane.again(&[2]);
    lane.again(&[3]);
    assert_eq!(lane.hungry(), Some(2));
    lane.feed((2..=4).map(|sequence| (sequence, ())));
    lane.again(&[4]);
    assert_eq!(lane.hungry(), Some(2), "2 and 3 were waiting");
    lane.feed((2..=4).map(|sequence| (sequence, ())));
    assert_eq!([2, 3, 4].map(|_| lane.take()), [Some((2, ())), Some((3, ())), Some((4, ()))]);
}

#[test]
fn a_refused_batch_goes_again_with_what_is_held_and_later_records_of_its_topics() {
    let mut lane = lane(1..=7);
    for topic in [7, 8, 7] {
        let (sequence, ()) = lane.take().unwrap();
        lane.sent(sequence, topic, 1);
    }
    for topic in [9, 8, 9] {
        send(&mut lane, topic);
    }
    let (held, ()) = lane.take().unwrap();
    lane.hold(held, 5);
    lane.acknowledged(5, 5);
    assert_eq!((lane.hungry(), lane.next()), (Some(8), None));
    lane.part(&[1, 2, 3]);
    lane.again(&[1, 2, 3]);
    assert_eq!(lane.hungry(), Some(1));
    lane.feed((1..=7).map(|sequence| (sequence, ())));
    let taken: Vec<u64> = std::iter::from_fn(|| lane.take()).map(|(sequence, ())| sequence).collect();
    assert_eq!(taken, [1, 2, 3, 5, 7], "4 and 6 are on their way, 5 is a later one of topic 8, 7 was held");
    assert_eq!([1, 3, 5, 7].map(|sequence| lane.is_alone(sequence)), [true, true, false, false]);
}

#[test]
fn gaps_in_the_numbers_are_no_obstacle() {
    let mut lane = Lane::new(1);
    lane.feed([(5, ()), (9, ())]);
    send(&mut lane, 0);
    send(&mut lane, 0);
    lane.acknowledged(5, 5);
    lane.acknowledged(9, 9);
    assert_eq!(lane.newly_done(), Some(9));
}

#[test]
fn what_is_leaving_is_neither_sent_again_nor_passed_by_the_acknowledgement() {
    let mut lane = lane(1..=3);
    assert_eq!([send(&mut lane, 7), send(&mut lane, 7), send(&mut lane, 7)], [1, 2, 3]);
    lane.leave(2);
    lane.again(&[1]);
    lane.feed((1..=3).map(|sequence| (sequence, ())));
    assert_eq!([send(&mut lane, 7), send(&mut lane, 7)], [1, 3]);
    assert!([1, 3].into_iter().all(|sequence| lane.acknowledged(sequence, sequence as u16)));
    assert_eq!(lane.newly_done(), Some(1));
    lane.set_aside(2);
    assert_eq!(lane.newly_done(), Some(3));
}

#[test]
fn what_is_put_aside_lets_others_pass_and_comes_back_in_order() {
    let mut lane = lane(1..=4);
    for sequence in [1, 2] {
        let (taken, ()) = lane.take().unwrap();
        assert_eq!(taken, sequence);
        lane.park(sequence, 7, 100 + sequence, ());
    }
    assert_eq!((lane.parked_until(7), lane.parked_until(8)), (Some(101), None));
    assert_eq!(send(&mut lane, 8), 3);
    lane.acknowledged(3, 3);
    assert_eq!(lane.newly_done(), None);
    lane.unpark(|until| until <= 101);
    assert_eq!([send(&mut lane, 7), send(&mut lane, 8)], [1, 4]);
    lane.unpark(|_| true);
    assert!(!lane.has_parked());
    assert_eq!(send(&mut lane, 7), 2);
    assert!([1, 2, 4].into_iter().all(|sequence| lane.acknowledged(sequence, sequence as u16)));
    assert_eq!(lane.newly_done(), Some(4));
}

#[test]
fn what_is_put_aside_behind_a_refused_record_of_its_topic_is_read_again() {
    let mut lane = lane(1..=3);
    send(&mut lane, 7);
    lane.take().unwrap();
    lane.park(2, 7, 0, ());
    lane.take().unwrap();
    lane.park(3, 8, 0, ());
    lane.again(&[1]);
    assert_eq!(lane.hungry(), Some(1));
    lane.feed((1..=3).map(|sequence| (sequence, ())));
    assert_eq!([send(&mut lane, 7), send(&mut lane, 7)], [1, 2]);
    assert_eq!(lane.next(), None, "3 is put aside still");
    lane.unpark(|_| true);
    assert_eq!(lane.next(), Some(3));
}

#[test]
fn a_record_that_is_not_done_bounds_what_is_remembered() {
    let mut lane = lane(1..=2 * SPAN as u64);
    let mut sent = 0;
    while let Some((sequence, ())) = lane.take() {
        lane.sent(sequence, 0, 1);
        if sequence > 1 {
            lane.acknowledged(sequence, 1);
        }
        sent += 1;
    }
    assert_eq!(sent, SPAN);
    lane.acknowledged(1, 1);
    assert_eq!(lane.newly_done(), Some(SPAN as u64));
    assert!(lane.next().is_some());
}
