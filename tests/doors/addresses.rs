//! Where the hub can listen.

use tokio::net::TcpStream;
use weir::hub::{Hub, Settings};

use crate::bench::{self, soon};
use crate::client::Client;
use crate::common::mosquitto::free_address;

#[tokio::test]
async fn all_of_ipv4_and_all_of_ipv6_on_one_port() {
    let port = free_address().port();
    let listen = vec![format!("0.0.0.0:{port}").parse().unwrap(), format!("[::]:{port}").parse().unwrap()];
    let _bench = bench::start(Settings { listen, ..bench::settings() }).await;
    // In a container without IPv6 addresses the hub can listen all the same.
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    for host in ["127.0.0.1", "::1"].into_iter().take(1 + usize::from(has_ipv6)) {
        let stream = soon(TcpStream::connect((host, port))).await.unwrap();
        Client::welcomed(stream, host).await.ping().await;
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let bench = bench::hub().await;
    let settings = Settings { listen: vec![bench.address], ..bench::settings() };
    let error = Hub::start(settings, Default::default()).await.unwrap_err();
    assert!(error.to_string().starts_with(&bench.address.to_string()), "{error}");
}
