//! Certificates and keys in PEM files (RFC 7468), and what may be wrong with them.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{InconsistentKeys, RootCertStore};
use x509_parser::prelude::{ASN1Time, FromDer as _, X509Certificate};

use super::super::super::Tls;

/// A file named in `tls` that cannot be used, or should be looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {why}")]
pub struct TlsError {
    /// The key of `tls` that names the file.
    pub key: &'static str,
    /// The file and what is wrong with it.
    pub why: String,
    /// What would mend it.
    pub help: Option<String>,
}

impl TlsError {
    pub(super) fn new(key: &'static str, why: impl fmt::Display) -> Self {
        Self { key, why: why.to_string(), help: None }
    }
}

/// What the hub shows to prove who it is.
pub(super) struct KeyPair {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) warnings: Vec<TlsError>,
}

impl KeyPair {
    pub(super) fn read(tls: &Tls) -> Result<Self, TlsError> {
        let chain = certificates("cert", &tls.cert)?;
        let key = private_key(&tls.key)?;
        let mut warnings = Vec::new();
        warnings.extend(out_of_date(&chain[0], &tls.cert, ASN1Time::now())?);
        warnings.extend(readable_by_others(&tls.key));
        Ok(Self { chain, key, warnings })
    }

    /// Why rustls does not take what was read.
    pub(super) fn unfit(tls: &Tls, error: &rustls::Error) -> TlsError {
        let (cert, key) = (tls.cert.display(), tls.key.display());
        match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsError::new("key", format!("the key in {key} does not belong to the first certificate in {cert}"))
            }
            rustls::Error::InvalidCertificate(error) => {
                TlsError::new("cert", format!("{cert} cannot be used: {error}"))
            }
            _ => TlsError::new("key", format!("{key} cannot be used: {error}")),
        }
    }
}

/// The authorities in a file; each of them must be usable.
pub(super) fn authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates("client_ca", file)? {
        let useless = |error| TlsError::new("client_ca", format!("{} cannot be used: {error}", file.display()));
        roots.add(authority).map_err(useless)?;
    }
    Ok(roots)
}

/// At least one certificate.
fn certificates(key: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match all {
        Ok(all) if all.is_empty() => Err(unusable(key, file, "PEM certificate", &pem::Error::NoItemsFound)),
        Ok(all) => Ok(all),
        Err(error) => Err(unusable(key, file, "PEM certificate", &error)),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| {
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
        match (&error, std::fs::read_to_string(file)) {
            (pem::Error::NoItemsFound, Ok(text)) if text.contains(encrypted) => TlsError::new(
                "key",
                format!("the key in {} is locked with a pass phrase, which nobody could type in", file.display()),
            ),
            _ => unusable("key", file, "PEM private key", &error),
        }
    })
}

fn unusable(key: &'static str, file: &Path, what: &str, error: &pem::Error) -> TlsError {
    let file = file.display();
    match error {
        pem::Error::Io(error) => TlsError::new(key, format!("cannot read {file}: {error}")),
        pem::Error::NoItemsFound => TlsError::new(key, format!("there is no {what} in {file}")),
        error => TlsError::new(key, format!("{file} is damaged: {error}")),
    }
}

/// A certificate that is not valid now. Only a warning: the clock may not be set yet, and clients judge for themselves.
fn out_of_date(certificate: &[u8], file: &Path, now: ASN1Time) -> Result<Option<TlsError>, TlsError> {
    let file = file.display();
    let parsed = X509Certificate::from_der(certificate);
    let (_, parsed) = parsed.map_err(|error| TlsError::new("cert", format!("{file} cannot be used: {error}")))?;
    let validity = parsed.validity();
    let why = if now > validity.not_after {
        format!("the certificate in {file} has expired: it was valid until {}", validity.not_after)
    } else if now < validity.not_before {
        format!("the certificate in {file} is not valid yet: it begins {}", validity.not_before)
    } else {
        return Ok(None);
    };
    Ok(Some(TlsError::new("cert", why)))
}

fn readable_by_others(file: &Path) -> Option<TlsError> {
    let open = std::fs::metadata(file).ok()?.permissions().mode() & 0o004 != 0;
    let file = file.display();
    let why = format!("everybody on this machine can read {file}");
    open.then(|| TlsError { help: Some(format!("chmod o= {file}")), ..TlsError::new("key", why) })
}
