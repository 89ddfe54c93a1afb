//! The cloud of a story: a broker that reads publishes and answers them, late, never, or with a refusal.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use fastrand::Rng;
use tokio::io::{AsyncRead as _, AsyncWrite as _, DuplexStream, ReadBuf};
use tokio::time::Instant;

use crate::bridge::uplink::codec::Codec;
use crate::format::batch;

/// How the cloud is at the moment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mood {
    /// An answer takes so long.
    pub(super) latency: Duration,
    /// It reads, and never answers.
    pub(super) mute: bool,
    /// It does not even read.
    pub(super) deaf: bool,
    /// Of so many publishes one is refused for now; 0 = none.
    pub(super) busy: u32,
}

/// One message: the topic's name and the number in it.
pub(super) type Message = (String, u64);

/// A connection's far end, and all that came over any of them.
pub(super) struct Cloud {
    codec: Codec,
    io: Option<DuplexStream>,
    inbox: BytesMut,
    answers: VecDeque<(Instant, [u8; 5])>,
    outbox: BytesMut,
    pub(super) mood: Mood,
    /// Publishes at QoS 1 that it takes before it answers one.
    receive_max: usize,
    unanswered: usize,
    /// How often it got one more.
    pub(super) flooded: usize,
    /// There are publishes on this connection that it will never answer.
    pub(super) owes: bool,
    /// In the order in which it was taken.
    pub(super) arrived: Vec<Message>,
    rng: Rng,
}

impl Cloud {
    pub(super) fn new(codec: Codec, seed: u64) -> Self {
        Self {
            codec,
            io: None,
            inbox: BytesMut::new(),
            answers: VecDeque::new(),
            outbox: BytesMut::new(),
            mood: Mood::default(),
            receive_max: 0,
            unanswered: 0,
            flooded: 0,
            owes: false,
            arrived: Vec::new(),
            rng: Rng::with_seed(seed),
        }
    }

    /// Begins a connection on which it takes so many publishes at once.
    pub(super) fn connect(&mut self, io: DuplexStream, receive_max: u16) {
        self.cut();
        (self.io, self.receive_max) = (Some(io), receive_max.into());
    }

    /// The connection is gone with all that was on its way.
    pub(super) fn cut(&mut self) {
        (self.io, self.inbox, self.outbox) = (None, BytesMut::new(), BytesMut::new());
        self.answers.clear();
        self.unanswered = 0;
        self.owes = false;
    }

    /// Reads and writes what can be; says whether there was anything.
    pub(super) fn turn(&mut self, context: &mut Context<'_>, now: Instant) -> bool {
        let mut any = false;
        while !self.mood.deaf && self.read(context) {
            any = true;
        }
        while let Some(packet) = self.packet() {
            self.take(&packet, now);
        }
        while self.answers.front().is_some_and(|(due, _)| *due <= now)
            && let Some((_, answer)) = self.answers.pop_front()
        {
            self.unanswered -= usize::from(answer[0] == 0x40);
            let len = 2 + usize::from(answer[1]);
            self.outbox.extend_from_slice(&answer[..len]);
        }
        while !self.outbox.is_empty() && self.write(context) {
            any = true;
        }
        any
    }

    fn read(&mut self, context: &mut Context<'_>) -> bool {
        let Some(io) = &mut self.io else { return false };
        let mut bytes = [0; 4096];
        let mut read = ReadBuf::new(&mut bytes);
        match Pin::new(io).poll_read(context, &mut read) {
            Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                self.inbox.extend_from_slice(read.filled());
                true
            }
            _ => false,
        }
    }

    fn write(&mut self, context: &mut Context<'_>) -> bool {
        let Some(io) = &mut self.io else { return false };
        match Pin::new(io).poll_write(context, &self.outbox) {
            Poll::Ready(Ok(written)) => {
                self.outbox.advance(written);
                written > 0
            }
            _ => false,
        }
    }

    /// A whole packet: section 2.1 in both versions.
    fn packet(&mut self) -> Option<BytesMut> {
        let (head, len) = varint(self.inbox.get(1..)?)?;
        let whole = 1 + head + len;
        (self.inbox.len() >= whole).then(|| self.inbox.split_to(whole))
    }

    fn take(&mut self, packet: &[u8], now: Instant) {
        match packet[0] >> 4 {
            3 => self.publish(packet, now),
            12 => self.answer([0xd0, 0, 0, 0, 0], now),
            _ => {}
        }
    }

    /// Section 3.3 in both versions.
    fn publish(&mut self, packet: &[u8], now: Instant) {
        let (head, _) = varint(&packet[1..]).expect("it is whole");
        let mut rest = &packet[1 + head..];
        let len = usize::from(rest.get_u16());
        let topic = String::from_utf8(rest[..len].to_vec()).expect("topics are UTF-8");
        rest.advance(len);
        let id = if packet[0] & 6 > 0 { rest.get_u16().to_be_bytes() } else { [0; 2] };
        if self.codec == Codec::V5 {
            let (head, len) = varint(rest).expect("it is whole");
            rest.advance(head + len);
        }
        let reason = match topic.ends_with("/bad") {
            true if self.codec == Codec::V4 => return self.cut(),
            true => 0x87,
            false if self.mood.busy > 0 && self.rng.u32(0..self.mood.busy) == 0 => 0x97,
            false => 0,
        };
        if reason == 0 {
            self.arrived.extend(messages(topic, rest));
        }
        if id != [0; 2] {
            self.unanswered += 1;
            self.flooded += usize::from(self.unanswered > self.receive_max);
            let len = if self.codec == Codec::V5 { 3 } else { 2 };
            self.answer([0x40, len, id[0], id[1], reason], now);
        }
    }

    fn answer(&mut self, answer: [u8; 5], now: Instant) {
        self.owes |= self.mood.mute;
        if !self.mood.mute {
            let before = self.answers.back().map_or(now, |(due, _)| *due);
            self.answers.push_back((before.max(now + self.mood.latency), answer));
        }
    }
}

/// How many bytes a number takes, and the number: MQTT 5 section 1.5.5.
fn varint(bytes: &[u8]) -> Option<(usize, usize)> {
    let end = bytes.iter().take(4).position(|byte| byte & 0x80 == 0)?;
    let number = bytes[..=end].iter().rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
    Some((end + 1, number))
}

/// What a publish holds; the bridge's own state is no message.
fn messages(topic: String, payload: &[u8]) -> Vec<Message> {
    let number = |payload: &[u8]| String::from_utf8_lossy(payload).trim_matches('.').parse().ok();
    if !topic.contains("/batch/") {
        return number(payload).map(|number| (topic, number)).into_iter().collect();
    }
    let entries = batch::decode(payload, None).expect("a whole batch");
    let message = |entry: batch::Entry| {
        let number = match entry.content {
            batch::Content::Payload(payload) => number(&payload)?,
            batch::Content::Reading { value, .. } => value as u64,
        };
        Some((entry.topic.to_string(), number))
    };
    entries.into_iter().filter_map(message).collect()
}
