//! A hub with a TLS listener, and clients that trust it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use weir::hub::{Settings, Tls};

use crate::bench::{self, Bench, soon};
use crate::common::authority::{Authority, Files};

/// Settings with a TLS listener alone, and a certificate of this authority.
pub(crate) fn settings(authority: &Authority) -> Settings {
    let (cert, key) = authority.server("hub");
    let tls = Tls { cert, key, client_ca: None, client_cert_required: false };
    let any = vec!["127.0.0.1:0".parse().unwrap()];
    Settings { listen: vec![], listen_tls: any, tls: Some(tls), ..bench::settings() }
}

/// The same, asking for certificates of `clients`.
pub(crate) fn asking(authority: &Authority, clients: &Authority, required: bool) -> Settings {
    let settings = settings(authority);
    let tls = settings.tls.clone().unwrap();
    let tls = Tls { client_ca: Some(clients.pem()), client_cert_required: required, ..tls };
    Settings { tls: Some(tls), ..settings }
}

/// What a client trusts and shows. Sessions are resumed between connections with the same one.
pub(crate) fn trust(authority: &Path, shown: Option<&Files>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(authority));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let key = PrivateKeyDer::from_pem_file(key).unwrap();
            builder.with_client_auth_cert(certificates(cert), key).unwrap()
        }
    };
    config.resumption = Resumption::in_memory_sessions(8);
    Arc::new(config)
}

fn certificates(file: &Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(file).unwrap().map(Result::unwrap).collect()
}

/// A TLS connection to the hub's first listener.
pub(crate) async fn encrypt(bench: &Bench, config: &Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    let tcp = soon(TcpStream::connect(bench.address)).await?;
    let name = ServerName::try_from("localhost").unwrap();
    soon(TlsConnector::from(Arc::clone(config)).connect(name, tcp)).await
}
