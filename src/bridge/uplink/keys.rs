//! Certificates and keys in use, read again when their files change.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::tls::{TlsError, client_config};
use crate::bridge::Tls;
use crate::runtime::Clock;

/// What tells one content of a file from another: inode, size, and when it changed, in seconds and nanoseconds.
type Stamp = Option<(u64, u64, i64, i64)>;

/// By `ca`, `cert` and `key`.
type Stamps = [Stamp; 3];

/// What one bridge shows and whom it trusts.
pub(super) struct Keys {
    tls: Tls,
    clock: Clock,
    /// The last good configuration, with the tickets for resumed sessions in it.
    used: Mutex<Option<Used>>,
}

struct Used {
    stamps: Stamps,
    config: Arc<ClientConfig>,
    /// Read the files again although they look the same: the authorities of the system have no stamp.
    doubtful: bool,
}

impl Keys {
    pub(super) fn new(tls: Tls, clock: Clock) -> Self {
        Self { tls, clock, used: Mutex::default() }
    }

    /// The configuration for the next connection. Files that have changed and cannot be used, for example because
    /// only one of two was written yet, are told in the log; the ones from before stay in use.
    ///
    /// # Errors
    /// When there are none from before.
    pub(super) async fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let mut used = self.used.lock().await;
        let known = used.as_ref().filter(|used| !used.doubtful).map(|used| used.stamps);
        let (tls, clock) = (self.tls.clone(), self.clock.clone());
        let read = spawn_blocking(move || {
            // The stamps come first: what changes while it is read is read again next time.
            let stamps = stamps(&tls);
            (known != Some(stamps)).then(|| client_config(&tls, &clock).map(|config| (stamps, Arc::new(config))))
        });
        match (read.await.map_err(|_| TlsError::Lost)?, &mut *used) {
            (None, Some(used)) => Ok(Arc::clone(&used.config)),
            (None, None) => Err(TlsError::Lost),
            (Some(Ok((stamps, config))), used) => {
                *used = Some(Used { stamps, config: Arc::clone(&config), doubtful: false });
                Ok(config)
            }
            (Some(Err(error)), Some(used)) => {
                tracing::warn!(%error, "the bridge goes on with the certificates it had");
                Ok(Arc::clone(&used.config))
            }
            (Some(Err(error)), None) => Err(error),
        }
    }

    /// A handshake has failed on the certificates: they are read again.
    pub(super) async fn doubt(&self) {
        if let Some(used) = &mut *self.used.lock().await {
            used.doubtful = true;
        }
    }

    /// Whether the files are others than those in use.
    pub(super) async fn have_changed(&self) -> bool {
        let Some(known) = self.used.lock().await.as_ref().map(|used| used.stamps) else { return false };
        let tls = self.tls.clone();
        spawn_blocking(move || stamps(&tls) != known).await.unwrap_or(false)
    }
}

fn stamps(tls: &Tls) -> Stamps {
    [&tls.ca, &tls.cert, &tls.key].map(|file| file.as_deref().and_then(stamp))
}

fn stamp(file: &Path) -> Stamp {
    let meta = std::fs::metadata(file).ok()?;
    Some((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
}
