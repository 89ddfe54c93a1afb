//! The hub's certificates, and who its clients are by theirs.

mod files;
mod name;
#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::server::{ServerSessionMemoryCache, WebPkiClientVerifier};

use super::super::Tls;
use files::{KeyPair, authorities};

pub use files::TlsError;
pub(super) use name::name_of;

/// Sessions of TLS 1.2 clients that take no tickets, at most.
const REMEMBERED: usize = 256;
/// Bytes that one connection may have encrypted and not sent; more waits unencrypted.
pub(super) const MOST_UNSENT: usize = 32 << 10;

/// What TLS connections are made with. It can be exchanged while connections go on with what they were made with.
#[derive(Debug, Default)]
pub(super) struct Certificates(RwLock<Option<Arc<ServerConfig>>>);

impl Certificates {
    /// What a new connection is made with; nothing while there is no certificate.
    pub(super) fn current(&self) -> Option<Arc<ServerConfig>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the files, and uses them from now on. What cannot be used changes nothing. Clients resume
    /// sessions only with what these were made with: an authority that is gone is gone.
    pub(super) fn load(&self, tls: &Tls) -> Result<(), TlsError> {
        let (config, warnings) = server_config(tls)?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(config));
        Ok(())
    }
}

impl Tls {
    /// Reads the files as the hub would. Gives what its owner should look at.
    ///
    /// # Errors
    /// The first thing that makes them useless.
    pub fn examine(&self) -> Result<Vec<TlsError>, TlsError> {
        server_config(self).map(|(_, warnings)| warnings)
    }
}

fn server_config(tls: &Tls) -> Result<(ServerConfig, Vec<TlsError>), TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let KeyPair { chain, key, warnings } = KeyPair::read(tls)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| TlsError::new("cert", error.to_string()))?;
    let builder = match &tls.client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(file)?), provider);
            let verifier = if tls.client_cert_required { verifier } else { verifier.allow_unauthenticated() };
            let useless = |error| TlsError::new("client_ca", format!("{} cannot be used: {error}", file.display()));
            builder.with_client_cert_verifier(verifier.build().map_err(useless)?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| KeyPair::unfit(tls, &error))?;
    config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(|error| TlsError::new("key", error.to_string()))?;
    config.session_storage = ServerSessionMemoryCache::new(REMEMBERED);
    // A device that resumes gets the next ticket then; one is enough.
    config.send_tls13_tickets = 1;
    Ok((config, warnings))
}
