//! A hub without sockets on a disk that loses power, its clients, and what was promised to them.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio_util::sync::CancellationToken;

use crate::hub::access::{Access, Subject};
use crate::hub::codec::Options;
use crate::hub::journal::{Grant, Journal, Number};
use crate::hub::router::{Publisher, Target, Wakes};
use crate::hub::routes::{Member, Subscription};
use crate::hub::session::{Answer, Arrival, Known, Outgoing};
use crate::hub::sessions::Wish;
use crate::hub::{Limits, Settings, Shared};
use crate::model::{Message, Name, Origin, Qos, Receipt, Topic, Verdict};
use crate::runtime::Clock;
use crate::store::disk::sim::SimDisk;
use crate::store::{self, Store, WhenFull};

/// How a story ends that breaks a promise.
pub(super) type Broken = String;

/// One client with a kept session: what it remembers survives the hub.
#[derive(Default)]
pub(super) struct Client {
    pub(super) name: String,
    pub(super) qos: u8,
    pub(super) connection: Option<(Arc<Member>, u64)>,
    /// Since which message it is subscribed, once that was acknowledged.
    pub(super) since: Option<usize>,
    /// QoS 2 packet ids between PUBLISH and PUBREL.
    open: HashSet<u16>,
    pub(super) got: Vec<usize>,
    answers: VecDeque<Out>,
}

impl Client {
    pub(super) fn new(name: String, qos: u8) -> Self {
        Self { name, qos, ..Self::default() }
    }
}

/// What a client is about to send.
enum Out {
    Puback(u16),
    Pubrec(u16),
    Pubcomp(u16),
    /// The hub owes it PUBREL.
    Pubrel(u16, Receipt),
}

/// A QoS 2 publisher with a kept session, as far as it has come with its message.
pub(super) struct Sender {
    client: Client,
    number: usize,
    id: u16,
    stage: Stage,
}

enum Stage {
    Publish(Option<Receipt>),
    Release(Option<Receipt>),
}

pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) disk: SimDisk,
    pub(super) store: Store,
    pub(super) hub: Arc<Shared>,
    pub(super) clients: Vec<Client>,
    sender: Option<Sender>,
    /// QoS of each message published.
    pub(super) published: Vec<u8>,
    /// Receipts of QoS 1 messages.
    waiting: Vec<(usize, Receipt)>,
    pub(super) acknowledged: HashSet<usize>,
    /// Per topic: values published, and the last one that was acknowledged.
    pub(super) values: BTreeMap<u8, (Vec<usize>, Option<usize>)>,
    retaining: Vec<(u8, usize, Receipt)>,
    /// Bytes behind each message's number.
    pub(super) filler: usize,
    stop: CancellationToken,
}

fn store_settings() -> store::Settings {
    store::Settings {
        dir: std::path::PathBuf::new(),
        max_size: 8 << 20,
        segment_size: 16 << 10,
        max_loss: Duration::from_millis(20),
        when_full: WhenFull::DropOldest,
        max_commits_per_s: 100_000,
    }
}

impl World {
    pub(super) async fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let disk = SimDisk::new(rng.u64(..));
        let (store, hub, stop) = open(&disk).await;
        let client = |at: u8| Client::new(format!("c{at}"), at % 2 + 1);
        let clients = (0..4).map(client).collect();
        let (sender, published, waiting, acknowledged) = (None, Vec::new(), Vec::new(), HashSet::new());
        let (values, retaining) = (BTreeMap::new(), Vec::new());
        Self {
            rng,
            disk,
            store,
            hub,
            clients,
            sender,
            published,
            waiting,
            acknowledged,
            values,
            retaining,
            filler: 0,
            stop,
        }
    }

    pub(super) fn journal(&self) -> Arc<Journal> {
        Arc::clone(self.hub.router.journal().expect("the hub has a store"))
    }

    /// The power fails; what the store holds in memory is gone.
    pub(super) async fn crash(&mut self) {
        let disk = self.disk.crash(self.rng.u64(..));
        self.stop.cancel();
        // It cannot write any more: that is no matter.
        drop(self.store.clone().close().await);
        self.disk = disk;
        (self.store, self.hub, self.stop) = open(&self.disk).await;
        self.waiting.clear();
        self.retaining.clear();
        let sender = self.sender.iter_mut().map(|sender| &mut sender.client);
        for client in self.clients.iter_mut().chain(sender) {
            client.connection = None;
            client.answers.clear();
        }
        if let Some(sender) = &mut self.sender {
            sender.forget_receipts();
        }
    }

    pub(super) fn connect(&mut self, at: usize) -> Result<(), Broken> {
        attach(&self.hub, &mut self.clients[at])?;
        self.clients[at].answers.clear();
        Ok(())
    }

    pub(super) fn disconnect(&mut self, at: usize) {
        let client = &mut self.clients[at];
        client.answers.clear();
        if let Some((member, epoch)) = client.connection.take() {
            self.hub.sessions.detach(&self.hub.router, &member, epoch, None);
        }
    }

    /// Subscribes and waits for what a SUBACK waits for.
    pub(super) async fn subscribe(&mut self, at: usize) {
        let client = &mut self.clients[at];
        let Some((member, _)) = &client.connection else { return };
        let receipt = Receipt::new();
        let options = Options::plain(Qos::from_level(client.qos).unwrap());
        let place = {
            let mut session = member.lock();
            session.subscribe("m/#");
            session.place.clone().unwrap()
        };
        place.subscribe("m/#", Grant::new(options, None), || receipt.ticket()).unwrap();
        let target = Target::parse("m/#").unwrap();
        self.hub.router.subscribe(&target, Subscription { member: Arc::clone(member), options, id: None });
        assert_eq!(receipt.await, Verdict::Safe);
        client.since.get_or_insert(self.published.len());
    }

    pub(super) fn publish(&mut self, qos: u8) {
        let number = self.published.len();
        self.published.push(qos);
        let receipt = self.route(number, qos, None);
        if qos > 0 {
            self.waiting.push((number, receipt));
        }
    }

    fn route(&self, number: usize, qos: u8, inbound: Option<(Number, u16)>) -> Receipt {
        let topic = Topic::new(&format!("m/{}", number % 3)).unwrap();
        let payload = [&number.to_be_bytes()[..], &vec![0; self.filler]].concat();
        let message = Message { origin: Origin::Client("p".into()), ..Message::own(topic, payload) };
        self.send(message.with_qos(Qos::from_level(qos).unwrap()), inbound)
    }

    pub(super) fn send(&self, message: Message, inbound: Option<(Number, u16)>) -> Receipt {
        let routes = self.hub.router.routes(&message.topic);
        let mut wakes = Wakes::default();
        let publisher = inbound.map_or(Publisher::Waits, |(number, id)| Publisher::Once(number, id));
        let offered = self.hub.router.route(&Arc::new(message), &routes, publisher, &mut wakes);
        offered.receipt.unwrap_or_default()
    }

    pub(super) fn retain(&mut self) {
        let topic = self.rng.u8(0..3);
        let (values, _) = self.values.entry(topic).or_default();
        let number = values.len();
        values.push(number);
        let name = Topic::new(&format!("r/{topic}")).unwrap();
        // Now and then the topic is emptied.
        let payload = if number % 4 == 3 { Vec::new() } else { number.to_be_bytes().to_vec() };
        let message = Message { origin: Origin::Client("p".into()), ..Message::own(name, payload) };
        let receipt = self.send(message.with_qos(Qos::AtLeastOnce).retained(), None);
        self.retaining.push((topic, number, receipt));
    }

    /// Notes what has been acknowledged meanwhile.
    pub(super) fn look(&mut self) {
        let safe = |receipt: &Receipt| receipt.verdict() == Some(Verdict::Safe);
        let (done, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|(_, receipt)| safe(receipt));
        self.waiting = waiting;
        self.acknowledged.extend(Vec::into_iter(done).map(|(number, _): (usize, Receipt)| number));
        for (topic, number, receipt) in std::mem::take(&mut self.retaining) {
            if safe(&receipt) {
                let last = &mut self.values.get_mut(&topic).unwrap().1;
                *last = (*last).max(Some(number));
            } else {
                self.retaining.push((topic, number, receipt));
            }
        }
    }

    /// Waits until everything that was published is acknowledged.
    pub(super) async fn settle(&mut self) {
        for (number, receipt) in std::mem::take(&mut self.waiting) {
            if receipt.await == Verdict::Safe {
                self.acknowledged.insert(number);
            }
        }
        for (topic, number, receipt) in std::mem::take(&mut self.retaining) {
            assert_eq!(receipt.await, Verdict::Safe);
            let last = &mut self.values.get_mut(&topic).unwrap().1;
            *last = (*last).max(Some(number));
        }
    }

    /// A client takes some messages; returns how many packets.
    pub(super) fn take(&mut self, at: usize, count: usize) -> usize {
        let client = &mut self.clients[at];
        let Some((member, _)) = &client.connection else { return 0 };
        let mut out = Vec::new();
        member.lock().take(count, tokio::time::Instant::now(), &mut out);
        let took = out.len();
        for outgoing in out {
            match outgoing {
                Outgoing::Publish { id, parcel, .. } => {
                    let number = usize::from_be_bytes(parcel.message.payload[..8].try_into().unwrap());
                    match parcel.qos {
                        Qos::AtMostOnce => {}
                        Qos::AtLeastOnce => {
                            client.got.push(number);
                            client.answers.push_back(Out::Puback(id));
                        }
                        Qos::ExactlyOnce => {
                            if client.open.insert(id) {
                                client.got.push(number);
                            }
                            client.answers.push_back(Out::Pubrec(id));
                        }
                    }
                }
                Outgoing::Release { id } => {
                    client.open.remove(&id);
                    client.answers.push_back(Out::Pubcomp(id));
                }
            }
        }
        took
    }

    /// A client sends its oldest answer, or gets the PUBREL that is owed; false when there is nothing to do now.
    pub(super) fn answer(&mut self, at: usize) -> bool {
        let client = &mut self.clients[at];
        let Some((member, _)) = &client.connection else { return false };
        match client.answers.pop_front() {
            None => return false,
            Some(Out::Puback(id)) => drop(member.lock().acknowledged(id)),
            Some(Out::Pubcomp(id)) => drop(member.lock().completed(id)),
            Some(Out::Pubrec(id)) => match member.lock().received_by_client(id, false) {
                Answer::When(receipt) => client.answers.push_back(Out::Pubrel(id, receipt)),
                Answer::Now(_) => {
                    client.open.remove(&id);
                    client.answers.push_back(Out::Pubcomp(id));
                }
                Answer::UnderWay => {}
            },
            Some(Out::Pubrel(id, receipt)) => match receipt.verdict() {
                Some(Verdict::Safe) => {
                    client.open.remove(&id);
                    client.answers.push_back(Out::Pubcomp(id));
                }
                _ => {
                    client.answers.push_front(Out::Pubrel(id, receipt));
                    return false;
                }
            },
        }
        true
    }

    /// The QoS 2 publisher goes one step on.
    pub(super) fn step_sender(&mut self) -> Result<(), Broken> {
        let mut sender = match self.sender.take() {
            Some(sender) => sender,
            None => {
                let client = Client::new("sender".into(), 0);
                self.published.push(2);
                let number = self.published.len() - 1;
                Sender { client, number, id: 1, stage: Stage::Publish(None) }
            }
        };
        if sender.client.connection.is_none() {
            attach(&self.hub, &mut sender.client)?;
            sender.forget_receipts();
        }
        let stage = std::mem::replace(&mut sender.stage, Stage::Publish(None));
        sender.stage = match stage {
            Stage::Publish(None) => Stage::Publish(self.publish_twice(&sender)),
            Stage::Publish(Some(receipt)) if receipt.verdict() == Some(Verdict::Safe) => {
                sender.session(|session| session.answered(sender.id, None));
                self.acknowledged.insert(sender.number);
                Stage::Release(None)
            }
            Stage::Release(None) => match sender.session(|session| session.released_by_client(sender.id)) {
                Answer::When(receipt) => Stage::Release(Some(receipt)),
                Answer::Now(Known::Yes | Known::No) => Stage::Release(Some(Receipt::new())),
                Answer::UnderWay => Stage::Release(None),
            },
            Stage::Release(Some(receipt)) if receipt.verdict() == Some(Verdict::Safe) => {
                self.published.push(2);
                sender.number = self.published.len() - 1;
                sender.id = sender.id % 3 + 1;
                Stage::Publish(None)
            }
            waiting => waiting,
        };
        self.sender = Some(sender);
        Ok(())
    }

    /// The sender's PUBLISH, first time or repeated: what PUBREC waits for.
    fn publish_twice(&self, sender: &Sender) -> Option<Receipt> {
        let arrival = sender.session(|session| session.arrived(sender.id));
        match arrival {
            Arrival::New => {
                let inbound = sender.session(|session| session.place.as_ref().map(|place| (place.number, sender.id)));
                Some(self.route(sender.number, 2, inbound))
            }
            Arrival::Left(receipt) => Some(receipt),
            Arrival::Answered => Some(Receipt::new()),
            Arrival::UnderWay | Arrival::Elsewhere => None,
        }
    }
}

impl Sender {
    fn session<T>(&self, act: impl FnOnce(&mut crate::hub::session::Session) -> T) -> T {
        let (member, _) = self.client.connection.as_ref().expect("it is connected");
        act(&mut member.lock())
    }

    /// What it was waiting for is asked again.
    fn forget_receipts(&mut self) {
        self.stage = match self.stage {
            Stage::Publish(_) => Stage::Publish(None),
            Stage::Release(_) => Stage::Release(None),
        };
    }
}

async fn open(disk: &SimDisk) -> (Store, Arc<Shared>, CancellationToken) {
    let store = Store::open(Box::new(disk.clone()), store_settings()).unwrap();
    let (journal, values) = Journal::resume(&store, Clock::system()).await.unwrap();
    let stop = CancellationToken::new();
    let limits = Limits { session_expiry: Duration::from_secs(1 << 40), ..Limits::default() };
    let settings = Settings { limits, ..Settings::new(Name::new("shed").unwrap()) };
    let hub = Arc::new(Shared::new(settings, Some(Arc::clone(&journal)), stop.clone()));
    hub.restore(values);
    tokio::spawn(journal.run(stop.clone()));
    (store, hub, stop)
}

/// Connects; a session that was subscribed must be there.
fn attach(hub: &Shared, client: &mut Client) -> Result<(), Broken> {
    let client_id: Arc<str> = client.name.as_str().into();
    let subject = Subject { user: None, client_id: &client_id, local: true };
    let wish = Wish {
        peer: "127.0.0.1:1".parse().unwrap(),
        access: Access::shared(&[], subject),
        client_id: Arc::clone(&client_id),
        user: None,
        local: true,
        clean_start: false,
        bell: Arc::default(),
        window: 5,
        expiry: Duration::from_secs(1 << 40),
    };
    let attached = hub.sessions.attach(&hub.router, &hub.settings().limits, wish).unwrap();
    if client.since.is_some() && !attached.present {
        return Err(format!("the session of {} is lost", client.name));
    }
    client.connection = Some((attached.member, attached.epoch));
    Ok(())
}
