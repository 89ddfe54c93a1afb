//! Whom to trust, and who we are.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};

use crate::bridge::Tls;
use crate::runtime::Clock;

/// Why certificates or keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("cannot read {0}: {1}")]
    File(PathBuf, pem::Error),
    /// There is nobody to trust.
    #[error("no certificate authority: install ca-certificates, or name a file in `tls.ca`")]
    NoRoots,
    /// A certificate without a key, or a key without a certificate.
    #[error("`tls.cert` and `tls.key` belong together")]
    Half,
    /// They do not fit each other or the protocol.
    #[error(transparent)]
    Unfit(#[from] rustls::Error),
    /// The thread that read them is gone.
    #[error("the certificates could not be read")]
    Lost,
}

/// The gateway's clock, by which certificates are judged.
#[derive(Debug)]
struct Now(Clock);

impl TimeProvider for Now {
    fn current_time(&self) -> Option<UnixTime> {
        let since_1970_ms = u64::try_from(self.0.wall_ms()).unwrap_or(0);
        Some(UnixTime::since_unix_epoch(Duration::from_millis(since_1970_ms)))
    }
}

/// The client's side of TLS 1.2 and 1.3 for `tls`. Reads files: call it where blocking is allowed.
///
/// # Errors
/// Says which file is wrong, or what is missing.
pub(super) fn client_config(tls: &Tls, clock: &Clock) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_details(provider, Arc::new(Now(clock.clone())));
    let builder = builder.with_safe_default_protocol_versions()?;
    let builder = builder.with_root_certificates(roots(tls.ca.as_deref())?);
    let mut config = match (&tls.cert, &tls.key) {
        (Some(cert), Some(key)) => {
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::File(key.clone(), error))?;
            builder.with_client_auth_cert(certificates(cert)?, secret)?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => return Err(TlsError::Half),
    };
    config.alpn_protocols = tls.alpn.iter().map(|protocol| protocol.clone().into_bytes()).collect();
    Ok(config)
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let found = match ca {
        Some(file) => certificates(file)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found);
    if usable == 0 { Err(TlsError::NoRoots) } else { Ok(roots) }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    all.map_err(|error| TlsError::File(file.to_owned(), error))
}
