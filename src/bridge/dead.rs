//! Dead letters: what the cloud refuses for good, kept in a chain of its own until somebody has looked.
//!
//! Layout of a letter (integers are LEB128 varints unless a width is given, texts are length and UTF-8):
//! ```text
//! version u8 = 1 | class u8 | dedupe key | why | record to the end
//! ```
//! A bounded number is kept; the oldest goes for a new one, and is told as a gap of the chain of letters.

use tokio::sync::oneshot;

use super::lanes::{CLASSES, topic_hash};
use super::outbox::Outbox;
use super::record::Record;
use super::rules::Pass;
use crate::model::bytes::{Damaged, Reader, Writer};
use crate::store::{Cause, Chain, Full, ReadError, Refused, Settle, Settled};

/// Letters that a bridge keeps.
const MOST: u64 = 1000;

/// Bytes of letters that are read at once.
const READ_BYTES: usize = 64 * 1024;

const VERSION: u8 = 1;

/// A record that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter {
    /// 0 to 3, alarms first.
    pub(super) class: usize,
    /// Under which it was sent.
    pub(super) key: String,
    /// Why it was set aside.
    pub(super) why: String,
    /// As it was stored.
    pub(super) record: Vec<u8>,
}

impl Letter {
    fn encode(&self) -> Vec<u8> {
        let mut to = Writer::with_capacity(16 + self.key.len() + self.why.len() + self.record.len());
        to.u8(VERSION);
        to.u8(self.class as u8);
        to.text(&self.key);
        to.text(&self.why);
        to.raw(&self.record);
        to.done()
    }

    fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut from = Reader::new(bytes);
        if from.u8("version")? != VERSION {
            return Err(Damaged("version"));
        }
        let class = usize::from(from.u8("class")?);
        if class >= CLASSES {
            return Err(Damaged("class"));
        }
        let (key, why) = (from.text("key")?.to_owned(), from.text("why")?.to_owned());
        Ok(Self { class, key, why, record: from.rest().to_vec() })
    }
}

/// What one is told about a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number among the dead letters of its bridge.
    pub number: u64,
    /// The topic at the cloud; nothing when the record is damaged.
    pub topic: Option<String>,
    /// When it was taken or came in, by the wall clock, in milliseconds since 1970.
    pub taken_ms: Option<i64>,
    /// Under which it was sent.
    pub key: String,
    /// Why it was set aside.
    pub why: String,
}

/// The dead letters of one bridge.
#[derive(Clone)]
pub(super) struct DeadLetters {
    pub(super) chain: Chain,
    most: u64,
}

/// What the store says to an offer, awaited.
fn promise() -> (Settle, oneshot::Receiver<Settled>) {
    let (send, settled) = oneshot::channel();
    // Whoever asked may be gone.
    let settle = move |word| {
        send.send(word).ok();
    };
    (Box::new(settle), settled)
}

/// Whether the record is on the disk; offers it again as long as that may help.
async fn until_durable(chain: &Chain, mut offer: impl FnMut(Settle) -> Result<u64, Full>) -> bool {
    loop {
        let (settle, settled) = promise();
        match offer(settle) {
            Ok(_) => match settled.await {
                Ok(Settled::Durable | Settled::Acked) => return true,
                Ok(Settled::Refused(Refused::NoRoom | Refused::Disk)) => {}
                Ok(Settled::Refused(_)) | Err(_) => return false,
            },
            Err(Full { why: Refused::NoRoom | Refused::Disk, .. }) => chain.room().await,
            Err(_) => return false,
        }
    }
}

impl DeadLetters {
    pub(super) fn new(chain: Chain) -> Self {
        Self { chain, most: MOST }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.chain.next_sequence().saturating_sub(self.chain.first_unacked())
    }

    /// Keeps a letter; false when the store cannot.
    pub(super) async fn keep(&self, letter: &Letter) -> bool {
        until_durable(&self.chain, |settle| {
            while self.count() >= self.most {
                let oldest = self.chain.first_unacked();
                self.chain.give_up(oldest, oldest, Cause::Quota, None);
                self.chain.ack(oldest);
            }
            self.chain.offer(letter.encode(), Some(settle))
        })
        .await
    }

    /// All of them, oldest first.
    pub(super) async fn list(&self) -> Result<Vec<DeadLetter>, ReadError> {
        let mut all = Vec::new();
        let end = self.chain.next_sequence();
        let mut from = self.chain.first_unacked();
        while from < end {
            let records = self.chain.read(from, READ_BYTES).await?;
            let Some(last) = records.last() else { break };
            from = last.sequence + 1;
            all.extend(records.iter().filter_map(|stored| told(stored.sequence, &stored.bytes)));
        }
        Ok(all)
    }

    /// Sends them again as new messages, or forgets them; those that there are now, oldest first. How many it were.
    pub(super) async fn empty(&self, outbox: &Outbox, forget: bool) -> Result<u64, ReadError> {
        let (mut count, end) = (0, self.chain.next_sequence());
        loop {
            let records = self.chain.read(self.chain.first_unacked(), READ_BYTES).await?;
            let records: Vec<_> = records.into_iter().take_while(|stored| stored.sequence < end).collect();
            if records.is_empty() {
                return Ok(count);
            }
            for stored in records {
                let letter = Letter::decode(&stored.bytes).ok().filter(|_| !forget);
                match letter {
                    Some(letter) if !send_again(outbox, &letter).await => return Ok(count),
                    Some(_) => {}
                    None => self.chain.give_up(stored.sequence, stored.sequence, Cause::ByHand, None),
                }
                self.chain.ack(stored.sequence);
                count += 1;
            }
        }
    }
}

fn told(number: u64, bytes: &[u8]) -> Option<DeadLetter> {
    let Letter { key, why, record, .. } = Letter::decode(bytes).ok()?;
    let record = Record::decode(&record).ok();
    let topic = record.as_ref().map(|record| record.topic.to_string());
    Some(DeadLetter { number, topic, taken_ms: record.map(|record| record.stamp.wall_ms), key, why })
}

/// Whether the store has it again. What is damaged is not worth another try.
async fn send_again(outbox: &Outbox, letter: &Letter) -> bool {
    let Ok(record) = Record::decode(&letter.record) else { return true };
    let topic = topic_hash(record.topic.as_str());
    let chain = &outbox.chains[super::lanes::main(letter.class)];
    until_durable(chain, |settle| {
        outbox.put(letter.class, Pass::Nothing, topic, letter.record.clone(), Some(settle)).map_err(|(_, full)| full)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store;

    #[test]
    fn letters_come_back_and_damage_does_not_panic() {
        let letter = Letter { class: 2, key: "a/1/cloud.2/7".into(), why: "refused".into(), record: vec![1, 2, 3] };
        let bytes = letter.encode();
        assert_eq!(Letter::decode(&bytes), Ok(letter));
        for end in 0..bytes.len() - 3 {
            assert!(Letter::decode(&bytes[..end]).is_err());
        }
        let changed = |at: usize, byte| {
            let mut changed = bytes.clone();
            changed[at] = byte;
            Letter::decode(&changed).is_err()
        };
        assert!(changed(0, 2) && changed(1, 4));
    }

    #[tokio::test]
    async fn the_oldest_goes_for_a_new_one_and_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let settings = store::Settings {
            dir: dir.path().into(),
            max_size: 4 << 20,
            segment_size: 1 << 20,
            max_loss: std::time::Duration::from_millis(1),
            when_full: store::WhenFull::DropOldest,
            max_commits_per_s: 1000,
        };
        let disk = store::disk::sim::SimDisk::new(1);
        let store = store::Store::open(Box::new(disk), settings).unwrap();
        let key = super::super::lanes::dead_letters(&crate::model::Name::new("cloud").unwrap());
        let dead = DeadLetters { chain: store.chain(key), most: 2 };
        for number in 1..=3 {
            let letter = Letter { class: 0, key: number.to_string(), why: "refused".into(), record: vec![] };
            assert!(dead.keep(&letter).await);
        }
        let keys: Vec<String> = dead.list().await.unwrap().into_iter().map(|letter| letter.key).collect();
        assert_eq!((keys, dead.count()), (vec!["2".to_owned(), "3".to_owned()], 2));
        dead.chain.new_gap(0).await;
        let gap = dead.chain.untold()[0];
        assert_eq!((gap.first, gap.last, gap.cause), (1, 1, Cause::Quota));
    }
}
