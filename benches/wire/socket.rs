//! The real bridge over TLS to a real broker; everything that crosses the wire is counted where the kernel counts it.
//!
//! `scripts/bench/wire` gives this program a network of its own, so that the octets of its IP packets, both ways, are
//! those of this one connection: payload, MQTT, TLS, TCP and IP with every acknowledgement.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use weir::bridge::Settings;
use weir::config::Sources;
use weir::format::batch::{Compress, Encoding};
use weir::model::{BootId, Format, Measure, Message, Name, Qos, Quality, Sample, Source, Stamp, TimeQuality, Topic};

use crate::common::authority::Authority;
use crate::common::mosquitto::{Mosquitto, free_address_on};
use crate::harness::{Gateway, quick};
use crate::world::{Reading, World};

/// How readings leave.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// Each by itself.
    Single(Format),
    /// So many together.
    Batch(Encoding, Compress, usize),
}

/// A broker with a certificate.
pub(crate) struct Cloud {
    authority: Authority,
    /// Where it speaks TLS.
    address: SocketAddr,
    _broker: Mosquitto,
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        let authority = Authority::new();
        let (cert, key) = authority.server("cloud");
        let address = free_address_on(Ipv4Addr::LOCALHOST);
        let listener = format!("listener {} {}", address.port(), address.ip());
        let lines = format!("{listener}\ncertfile {}\nkeyfile {}\n", cert.display(), key.display());
        Self { _broker: Mosquitto::start_with(&lines).await, address, authority }
    }

    fn settings(&self, way: Way) -> Settings {
        let (address, ca) = (self.address, self.authority.pem());
        let batch = match way {
            Way::Single(_) => String::new(),
            Way::Batch(encoding, compress, count) => format!(
                "batch = {{ max_count = {count}, max_bytes = \"256KiB\", max_age = \"1h\", format = \"{}\", compress = \"{}\" }}\n",
                encoding.name(),
                compress.name()
            ),
        };
        let text = format!(
            "[gateway]\nname = \"shed\"\n[[bridge]]\nname = \"cloud\"\nurl = \"mqtts://{address}\"\nclient_id = \"shed-gw\"\n\
             keepalive = \"12h\"\ntls = {{ ca = \"{}\" }}\n[[bridge.forward]]\ntopics = [\"north/#\"]\n{batch}",
            ca.display()
        );
        let (mut plan, _) =
            weir::plan::check(Sources::from_text("wire.toml", &text)).map_err(|it| it.to_string()).unwrap();
        plan.bridges.remove(0)
    }
}

/// Bytes of one reading, up and down, all counted; those of connecting are not in it.
pub(crate) async fn measure(cloud: &Cloud, way: Way, rounds: usize) -> f64 {
    let gateway = Gateway::start(cloud.settings(way), quick()).await;
    gateway.until_up().await;
    let (count, format) = match way {
        Way::Single(format) => (1, format),
        Way::Batch(_, _, count) => (count, Format::Json),
    };
    let mut world = World::measured(count as u64 + 1000);
    // Of the first round, some belongs to the beginning: the bridge tells that it is up.
    round(&gateway, &mut world, count, format).await;
    let before = octets();
    for _ in 0..rounds {
        round(&gateway, &mut world, count, format).await;
    }
    let bytes = octets() - before;
    gateway.stop().await;
    bytes as f64 / (rounds * count) as f64
}

/// Publishes `count` readings and waits until the cloud has acknowledged them, and a little more for the bare
/// acknowledgement of TCP that a link without other traffic sends after 40 ms.
async fn round(gateway: &Gateway, world: &mut World, count: usize, format: Format) {
    let delivered = || gateway.bridge.status().counters.delivered;
    let wanted = delivered() + count as u64;
    for reading in world.readings(count) {
        drop(gateway.hub.publish(message(reading, format)).await);
    }
    let arrived = async {
        while delivered() < wanted {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(20), arrived).await.expect("the cloud acknowledges");
    sleep(Duration::from_millis(60)).await;
}

fn message(reading: Reading, format: Format) -> Message {
    let (boot, quality) = (BootId([7; 16]), TimeQuality::Synced);
    let mut levels = reading.topic.rsplit('/');
    let (measure, sensor) = (levels.next().unwrap(), levels.next().unwrap());
    let sample = Sample {
        sensor: Name::new(sensor).unwrap(),
        reading: Measure::named(measure, reading.unit, reading.decimals).is(reading.value),
        // Later than now, so that no record is older than `max_age`: a batch leaves when it is full.
        stamp: Stamp { wall_ms: reading.time_ms + 630_720_000_000, mono_ms: 1, boot, quality },
        quality: Quality::Ok,
        sequence: reading.number,
    };
    let source = Source { sample, format };
    let payload = weir::format::payload(&source, &reading.topic);
    let message = Message::own(Topic::new(&reading.topic).unwrap(), payload).with_qos(Qos::AtLeastOnce);
    Message { source: Some(Arc::new(source)), ..message }
}

/// All octets of IP packets sent in this network so far; what loopback sends, it also receives.
fn octets() -> u64 {
    let text = std::fs::read_to_string("/proc/self/net/netstat").unwrap();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("IpExt: "));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let place = names.split(' ').position(|name| name == "OutOctets").unwrap();
    values.split(' ').nth(place).unwrap().parse().unwrap()
}
