//! What a record will be like, from those before it: the same on both sides.

/// Which stream comes next.
pub(super) struct Order {
    /// By stream: what followed it last time.
    followers: Vec<Option<usize>>,
    /// The first stream of which there was no record yet.
    unseen: usize,
    last: Option<usize>,
}

impl Order {
    pub(super) fn new(streams: usize) -> Self {
        Self { followers: vec![None; streams], unseen: 0, last: None }
    }

    pub(super) fn predicted(&self) -> usize {
        self.last.and_then(|last| self.followers[last]).unwrap_or(self.unseen)
    }

    /// Streams are numbered as they first appear, so that at most one is new.
    pub(super) fn learn(&mut self, stream: usize) {
        if let Some(last) = self.last.replace(stream) {
            self.followers[last] = Some(stream);
        }
        self.unseen = self.unseen.max(stream + 1);
    }
}

/// When the next record was taken. Milliseconds.
pub(super) struct Times {
    /// By stream: its last time and interval.
    streams: Vec<Option<(i64, Option<i64>)>>,
    /// The time of the record before, and what its stream was like before it.
    before: (i64, Option<(i64, Option<i64>)>),
    /// The interval that was learnt last.
    interval: i64,
}

impl Times {
    pub(super) fn new(streams: usize, base: i64) -> Self {
        Self { streams: vec![None; streams], before: (base, None), interval: 0 }
    }

    pub(super) fn predicted(&self, stream: usize) -> i64 {
        let (time, was) = self.before;
        match self.streams[stream] {
            None => time,
            same if same == was => time,
            Some((last, interval)) => last.wrapping_add(interval.unwrap_or(self.interval)),
        }
    }

    pub(super) fn learn(&mut self, stream: usize, time: i64) {
        let was = self.streams[stream];
        let interval = was.map(|(last, _)| time.wrapping_sub(last));
        self.interval = interval.unwrap_or(self.interval);
        self.streams[stream] = Some((time, interval));
        self.before = (time, was);
    }
}

/// The number of the next reading.
pub(super) struct Numbers {
    /// By stream.
    streams: Vec<Option<u64>>,
    last: u64,
}

impl Numbers {
    pub(super) fn new(streams: usize) -> Self {
        Self { streams: vec![None; streams], last: 0 }
    }

    pub(super) fn predicted(&self, stream: usize) -> u64 {
        self.streams[stream].map_or(self.last, |last| last.wrapping_add(1))
    }

    pub(super) fn learn(&mut self, stream: usize, number: u64) {
        self.streams[stream] = Some(number);
        self.last = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_robin_is_foreseen_from_the_start() {
        let mut order = Order::new(3);
        for stream in [0, 1, 2, 0, 1, 2, 0].into_iter().enumerate() {
            let foreseen = order.predicted();
            // Only the first return to the beginning is a surprise.
            assert_eq!(foreseen == stream.1, stream.0 != 3, "{stream:?}");
            order.learn(stream.1);
        }
    }

    #[test]
    fn intervals_go_on_and_a_round_shares_its_time() {
        let mut times = Times::new(3, 1000);
        let mut misses = Vec::new();
        for (stream, time) in
            [(0, 1000), (1, 1000), (2, 1700), (0, 11_003), (1, 11_003), (2, 11_702), (0, 21_001), (1, 21_001)]
        {
            misses.push(time - times.predicted(stream));
            times.learn(stream, time);
        }
        assert_eq!(misses, [0, 0, 700, 10_003, 0, -1, -5, 0]);
    }

    #[test]
    fn numbers_go_on_by_one() {
        let mut numbers = Numbers::new(2);
        for (stream, number, foreseen) in [(0, 7, 0), (1, 7, 7), (0, 8, 8), (1, 8, 8), (0, u64::MAX, 9), (0, 0, 0)] {
            assert_eq!(numbers.predicted(stream), foreseen);
            numbers.learn(stream, number);
        }
    }
}
