//! Another broker as the cloud, written by other people than mosquitto: rumqttd, in this process.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use weir::gateway::{Gateway, Options};
use weir::runtime::Clock;
use weir::store::disk::sim::SimDisk;

use crate::cloud::collect;
use crate::common::mosquitto::free_address;
use crate::lan::Device;
use crate::powercut::{lost, plan};

/// A broker that lasts as long as this process: it has no way to stop.
async fn rumqttd() -> SocketAddr {
    let address = free_address();
    let connections = ConnectionSettings {
        connection_timeout_ms: 5000,
        max_payload_size: 1 << 20,
        max_inflight_count: 200,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let server =
        ServerSettings { name: "v5".into(), listen: address, tls: None, next_connection_delay_ms: 1, connections };
    let router = RouterConfig {
        max_connections: 20,
        max_outgoing_packet_count: 200,
        max_segment_size: 100 << 20,
        max_segment_count: 10,
        ..RouterConfig::default()
    };
    let v5 = Some(HashMap::from([("1".to_owned(), server)]));
    let mut broker = Broker::new(Config { v5, router, ..Config::default() });
    std::thread::spawn(move || drop(broker.start()));
    let listens = async {
        while TcpStream::connect(address).await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), listens).await.expect("rumqttd listens within 20 s");
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_arrives_at_a_second_kind_of_cloud() {
    let cloud = rumqttd().await;
    let (arrivals, collector) = collect(cloud, "site/#").await;
    let (hub, stop) = (free_address(), CancellationToken::new());
    let disk = Box::new(SimDisk::new(1));
    let gateway = Gateway::start(plan(hub, cloud), disk, Clock::system(), Options::default()).await.expect("it starts");
    let device = Device { name: "d0".into(), topics: 3, every: Duration::from_millis(2) };
    let publishing = tokio::spawn(device.run(hub, stop.clone()));
    let enough = async {
        while arrivals.lock().expect("no panic in there").values().map(Vec::len).sum::<usize>() < 500 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(30), enough).await.expect("messages arrive");
    stop.cancel();
    let acknowledged = publishing.await.expect("no panic");
    let all = async {
        while lost(&acknowledged, &arrivals) > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(30), all).await.expect("everything acknowledged arrives");
    collector.abort();
    gateway.stop().await.expect("it stops well");
}
