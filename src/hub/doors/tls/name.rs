//! Who a client is by its certificate.

use std::sync::Arc;

use rustls::ServerConnection;
use x509_parser::prelude::{ASN1Time, FromDer as _, GeneralName, X509Certificate};

/// The longest name: longer ones are nobody's, and would be stored and logged.
const LONGEST: usize = 255;

/// The name in the certificate that the client has shown, which was verified in the handshake or, when the
/// session was resumed, in an earlier one.
pub(in super::super) fn name_of(connection: &ServerConnection) -> Option<Arc<str>> {
    let certificate = connection.peer_certificates()?.first()?;
    let name = name_in(certificate, ASN1Time::now());
    if name.is_none() {
        tracing::debug!("a client's certificate has expired meanwhile, or holds no usable name");
    }
    name
}

/// The first common name; without one, the first DNS name, e-mail address or URI among the alternative names
/// (RFC 5280 section 4.2.1.6). Nothing when the certificate has expired at `now`: resumption does not look.
pub(super) fn name_in(certificate: &[u8], now: ASN1Time) -> Option<Arc<str>> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    if now > certificate.validity().not_after {
        return None;
    }
    let common = certificate.subject().iter_common_name().next();
    if let Some(common) = common {
        return usable(common.as_str().ok()?);
    }
    let alternatives = certificate.subject_alternative_name().ok()??;
    alternatives.value.general_names.iter().find_map(|name| match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => usable(name),
        _ => None,
    })
}

/// A name that can be compared, stored and shown as it is.
fn usable(name: &str) -> Option<Arc<str>> {
    let fine = !name.is_empty() && name.len() <= LONGEST && !name.chars().any(char::is_control);
    fine.then(|| name.into())
}
