//! A client's half of a session, exactly as the specification asks of a client whose state outlives connections
//! (MQTT 5.0 sections 4.1, 4.3 and 4.4). No sockets: packets in, answers out.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::book::{Book, What};
use crate::wire::{self, PUBACK, PUBCOMP, PUBREC, PUBREL, Packet, Publish};

/// Sessions live longer than a round.
const EXPIRY_S: u32 = 3600;

/// A message of this client that is not done.
#[derive(Debug)]
struct Sent {
    publish: Publish,
    number: u64,
    /// PUBREC came: from now on only PUBREL is repeated.
    received: bool,
}

#[derive(Debug)]
pub(crate) struct Session {
    /// The client id.
    pub(crate) name: Arc<str>,
    /// Under which name it gets messages: members of a shared subscription have one.
    receiver: Arc<str>,
    pub(crate) v5: bool,
    pub(crate) book: Arc<Book>,
    last_id: u16,
    out: VecDeque<Sent>,
    /// QoS 2 messages from the hub between PUBREC and PUBREL.
    incoming: HashMap<u16, (String, u64)>,
    /// The hub has acknowledged something that it must remember.
    established: bool,
}

impl Session {
    pub(crate) fn new(name: &str, receiver: &str, v5: bool, book: &Arc<Book>) -> Self {
        let (name, receiver, book) = (name.into(), receiver.into(), Arc::clone(book));
        let (out, incoming) = (VecDeque::new(), HashMap::new());
        Self { name, receiver, v5, book, last_id: 0, out, incoming, established: false }
    }

    pub(crate) fn connect(&self) -> Vec<u8> {
        wire::connect(self.v5, &self.name, EXPIRY_S)
    }

    /// Messages that are not done.
    pub(crate) fn open(&self) -> usize {
        self.out.len()
    }

    /// Notes what must not be.
    pub(crate) fn wrong(&self, what: String) {
        self.book.wrong(&self.name, what);
    }

    /// CONNACK; gives what is to be sent again, in its old order (MQTT-4.4.0-1, MQTT-4.6.0-1).
    pub(crate) fn welcomed(&mut self, present: bool) -> Vec<u8> {
        if !present {
            if self.established {
                self.wrong("the session is gone".into());
            }
            // What was not acknowledged is new to the hub.
            self.out.retain(|sent| !sent.received);
            self.incoming.clear();
        }
        let mut bytes = Vec::new();
        for sent in &mut self.out {
            if sent.received {
                bytes.extend(wire::ack(PUBREL, sent.publish.id));
                continue;
            }
            sent.publish.dup = present;
            bytes.extend(wire::publish(self.v5, &sent.publish));
            let note = format!("id {}", sent.publish.id);
            self.book.write(&self.name, What::SentAgain, &sent.publish.topic, sent.number, note);
        }
        bytes
    }

    /// The bytes of a new message; an empty payload has no room for its number.
    pub(crate) fn publish(&mut self, topic: &str, number: u64, qos: u8, retain: bool, payload: Vec<u8>) -> Vec<u8> {
        let id = self.free_id();
        let publish = Publish { dup: false, qos, retain, id, topic: topic.into(), payload };
        let bytes = wire::publish(self.v5, &publish);
        self.book.write(&self.name, What::Sent, topic, number, format!("id {id}"));
        self.out.push_back(Sent { publish, number, received: false });
        bytes
    }

    /// An id that no packet of this client has now.
    pub(crate) fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.out.iter().any(|sent| sent.publish.id == self.last_id) {
                return self.last_id;
            }
        }
    }

    /// What the hub says; gives the answer.
    pub(crate) fn handle(&mut self, packet: &Packet) -> Vec<u8> {
        match packet {
            Packet::Publish(publish) => self.arrived(publish),
            Packet::Ack { kind: PUBREL, id, .. } => {
                // One that is not known was completed before: the hub has not heard it.
                self.incoming.remove(id);
                wire::ack(PUBCOMP, *id)
            }
            Packet::Ack { kind, id, code } => self.acknowledged(*kind, *id, *code),
            Packet::Granted { codes, .. } => {
                self.established = true;
                if codes.iter().any(|&code| code >= 0x80) {
                    self.wrong(format!("a subscription is refused: {codes:?}"));
                }
                Vec::new()
            }
            Packet::Disconnect { code } => {
                self.wrong(format!("the hub disconnects with reason {code:#x}"));
                Vec::new()
            }
            Packet::Pong => Vec::new(),
            Packet::Connack { .. } => panic!("a second CONNACK"),
        }
    }

    fn arrived(&mut self, publish: &Publish) -> Vec<u8> {
        let Some(number) = number(&publish.payload) else {
            self.wrong(format!("not a message of this test: {publish:?}"));
            return Vec::new();
        };
        let (id, topic) = (publish.id, &publish.topic);
        let held = self.incoming.get(&id);
        let what = match held {
            Some(_) if publish.qos == 2 => What::Repeated,
            _ => What::Got,
        };
        let note = format!("{} qos {} id {id} dup {}", self.name, publish.qos, publish.dup);
        self.book.write(&self.receiver, what, topic, number, note);
        match publish.qos {
            0 => Vec::new(),
            1 => wire::ack(PUBACK, id),
            _ => {
                if let Some((old, was)) = held.filter(|(old, was)| (old, *was) != (topic, number)) {
                    self.wrong(format!("id {id} is {old} {was}, which is not released, and now {topic} {number}"));
                }
                self.incoming.insert(id, (topic.clone(), number));
                wire::ack(PUBREC, id)
            }
        }
    }

    /// PUBACK, PUBREC or PUBCOMP.
    fn acknowledged(&mut self, kind: u8, id: u16, code: u8) -> Vec<u8> {
        let Some(at) = self.out.iter().position(|sent| sent.publish.id == id) else {
            self.wrong(format!("an acknowledgement of type {kind} for id {id}, which is not open"));
            return Vec::new();
        };
        let sent = &mut self.out[at];
        let (topic, number) = (sent.publish.topic.clone(), sent.number);
        let write = |what| self.book.write(&self.name, what, &topic, number, format!("id {id} code {code:#x}"));
        // A PUBREL that is repeated after PUBCOMP was lost is answered with 0x92.
        if code >= 0x80 && kind != PUBCOMP {
            self.book.wrong(&self.name, format!("{topic} {number} is refused with {code:#x}"));
        }
        match (kind, sent.publish.qos, sent.received) {
            (PUBACK, 1, _) => {
                write(What::Acknowledged);
                self.out.remove(at);
                Vec::new()
            }
            (PUBREC, 2, _) => {
                write(What::Acknowledged);
                (sent.received, self.established) = (true, true);
                wire::ack(PUBREL, id)
            }
            (PUBCOMP, 2, true) => {
                write(What::Completed);
                self.out.remove(at);
                Vec::new()
            }
            wrong => {
                self.book.wrong(&self.name, format!("{topic} {number}: {wrong:?} (type, QoS, PUBREC came)"));
                Vec::new()
            }
        }
    }
}

/// The payload of message `number`: digits, a blank, and so many bytes more.
pub(crate) fn payload(number: u64, more: usize) -> Vec<u8> {
    let mut bytes = format!("{number} ").into_bytes();
    bytes.resize(bytes.len() + more, b'.');
    bytes
}

/// The number in a payload.
pub(crate) fn number(payload: &[u8]) -> Option<u64> {
    let digits = payload.split(|&byte| byte == b' ').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
