//! A TLS server in front of a broker that remembers what each client showed and asked for.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::common::authority::{Authority, Files};
use crate::harness::PATIENCE;

/// One handshake that went well.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) kind: HandshakeKind,
    pub(crate) alpn: Option<Vec<u8>>,
    /// The client's certificate.
    pub(crate) client: Option<Vec<u8>>,
}

/// A running front; it stops when dropped.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    seen: watch::Receiver<Vec<Seen>>,
    _alive: watch::Sender<()>,
}

impl Front {
    /// In front of `server`, with a certificate from `ca`; clients may have to show one too.
    pub(crate) async fn start(ca: &Authority, (cert, key): Files, clients: bool, server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config(ca, &cert, &key, clients)));
        let ((told, seen), (alive, mut gone)) = (watch::channel(Vec::new()), watch::channel(()));
        let told = Arc::new(told);
        tokio::spawn(async move {
            loop {
                let client = tokio::select! {
                    accepted = listener.accept() => accepted.unwrap().0,
                    _ = gone.changed() => return,
                };
                tokio::spawn(serve(acceptor.clone(), client, server, Arc::clone(&told)));
            }
        });
        Self { address, seen, _alive: alive }
    }

    /// Waits for so many handshakes.
    pub(crate) async fn until(&self, count: usize) -> Vec<Seen> {
        let mut seen = self.seen.clone();
        let waited = timeout(PATIENCE, seen.wait_for(|seen| seen.len() >= count)).await;
        waited.expect("handshakes in time").unwrap().clone()
    }
}

fn config(ca: &Authority, cert: &Path, key: &Path, clients: bool) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let chain = vec![CertificateDer::from_pem_file(cert).unwrap()];
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca.pem()).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match clients {
        true => builder.unwrap().with_client_cert_verifier(verifier.build().unwrap()),
        false => builder.unwrap().with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"other".to_vec(), b"mqtt".to_vec(), b"http/1.1".to_vec()];
    config
}

async fn serve(acceptor: TlsAcceptor, client: TcpStream, server: SocketAddr, told: Arc<watch::Sender<Vec<Seen>>>) {
    let Ok(mut client) = acceptor.accept(client).await else { return };
    let connection = client.get_ref().1;
    let seen = Seen {
        kind: connection.handshake_kind().expect("it is over"),
        alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
        client: connection.peer_certificates().and_then(|chain| chain.first()).map(|first| first.to_vec()),
    };
    told.send_modify(|all| all.push(seen));
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    // Either side may go; that ends both.
    drop(copy_bidirectional(&mut client, &mut server).await);
}
