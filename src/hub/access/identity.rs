//! Who a client is, by its certificate, its password, or not at all.

use std::net::IpAddr;
use std::sync::Arc;

use super::gate::{Gate, Login};
use super::users::Users;
use super::{Access, Subject, Visitor};
use crate::hub::codec::{Connect, Reason};
use crate::hub::settings::{Anonymous, Rule, Settings};

/// Who a client says it is.
#[derive(Debug, Default)]
pub(crate) struct Claim {
    user: Option<Box<str>>,
    password: Box<[u8]>,
}

/// Who a client is, and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The name that was verified; nothing for an anonymous client.
    pub(crate) user: Option<Arc<str>>,
    /// It is on this machine.
    pub(crate) local: bool,
    proof: Proof,
}

/// By what a name was verified.
#[derive(Debug, Clone)]
enum Proof {
    /// There is no name.
    None,
    Certificate,
    /// The hash of the password, as it stood in the users file.
    Password(Arc<str>),
}

/// Why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) reason: Reason,
    pub(crate) why: &'static str,
}

fn refuse<T>(reason: Reason, why: &'static str) -> Result<T, Refused> {
    Err(Refused { reason, why })
}

impl Claim {
    pub(crate) fn of(connect: &Connect<'_>) -> Self {
        Self { user: connect.user.map(Into::into), password: connect.password.unwrap_or_default().into() }
    }
}

impl Identity {
    fn anonymous(local: bool) -> Self {
        Self { user: None, local, proof: Proof::None }
    }

    /// What this client may do under `rules`.
    pub(crate) fn access(&self, rules: &[Rule], client_id: &str) -> Arc<Access> {
        Access::shared(rules, Subject { user: self.user.as_deref(), client_id, local: self.local })
    }

    /// Whether this client would be let in today.
    pub(crate) fn is_welcome(&self, settings: &Settings, users: Option<&Users>) -> bool {
        match (&self.proof, &self.user) {
            (Proof::Password(proof), Some(user)) => {
                users.is_some_and(|users| users.proof(user).as_ref() == Some(proof))
            }
            (Proof::Certificate, _) => true,
            _ => admits(settings.allow_anonymous, self.local),
        }
    }
}

fn admits(anonymous: Anonymous, local: bool) -> bool {
    match anonymous {
        Anonymous::Everywhere => true,
        Anonymous::Loopback => local,
        Anonymous::Never => false,
    }
}

/// Finds out who a client is. With a users file a name counts only with its password; without one it counts for
/// nothing. A certificate's name needs no other, and another one its password.
///
/// # Errors
/// The name or password is wrong, or the client has no name and those without one are not welcome from there.
pub(crate) async fn identify(
    gate: &Gate,
    settings: &Settings,
    users: Option<&Arc<Users>>,
    visitor: &Visitor,
    claim: Claim,
) -> Result<Identity, Refused> {
    let local = visitor.is_local();
    let certified = visitor.certified.as_ref();
    let other = claim.user.as_deref().filter(|name| certified.is_none_or(|certified| **certified != **name));
    match (certified, other, users) {
        (Some(name), None, _) => Ok(Identity { user: Some(Arc::clone(name)), local, proof: Proof::Certificate }),
        (_, Some(name), Some(users)) => {
            let address = (!local).then(|| visitor.peer.ip());
            let proof = prove(gate, users, name, &claim.password, address).await?;
            Ok(Identity { user: Some(name.into()), local, proof })
        }
        (Some(_), Some(_), None) => refuse(Reason::BAD_CREDENTIALS, "the user name is not the certificate's"),
        (None, ..) if admits(settings.allow_anonymous, local) => Ok(Identity::anonymous(local)),
        (None, ..) => refuse(Reason::NOT_AUTHORIZED, "anonymous clients are not welcome from there"),
    }
}

async fn prove(
    gate: &Gate,
    users: &Arc<Users>,
    name: &str,
    password: &[u8],
    address: Option<IpAddr>,
) -> Result<Proof, Refused> {
    match gate.login(users, name, password, address).await {
        Login::Right => Ok(Proof::Password(users.proof(name).expect("a password that is right is somebody's"))),
        Login::Wrong => refuse(Reason::BAD_CREDENTIALS, "user name or password is wrong"),
        Login::TooOften => refuse(Reason::CONNECTION_RATE_EXCEEDED, "too many failed logins from there: wait"),
        Login::Busy => refuse(Reason::SERVER_BUSY, "too many logins at once: try again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::access::users;
    use crate::model::Name;

    /// Who a client turns out to be: its user, or the refusal.
    async fn who(
        settings: &Settings,
        users: Option<&Arc<Users>>,
        visitor: &Visitor,
        claim: Claim,
    ) -> Result<Identity, u8> {
        identify(&Gate::default(), settings, users, visitor, claim).await.map_err(|refused| refused.reason.0)
    }

    fn settings(allow_anonymous: Anonymous) -> Settings {
        Settings { allow_anonymous, ..Settings::new(Name::new("shed").unwrap()) }
    }

    fn ann() -> Arc<Users> {
        let dir = tempfile::tempdir().unwrap();
        users::add(&dir.path().join("users"), "ann", b"secret", dir.path()).unwrap();
        Arc::new(Users::read(&dir.path().join("users")).unwrap().0)
    }

    fn claim(user: &str, password: &str) -> Claim {
        Claim { user: Some(user.into()), password: password.as_bytes().into() }
    }

    fn at(address: &str) -> Visitor {
        Visitor::plain(address.parse().unwrap())
    }

    fn named(result: Result<Identity, u8>) -> Result<Option<String>, u8> {
        result.map(|identity| identity.user.map(|user| user.to_string()))
    }

    #[tokio::test]
    async fn anonymous_from_where_it_is_allowed() {
        let loopback = ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "[::ffff:127.255.0.1]:1"];
        let beyond = ["192.0.2.1:1", "[::2]:1", "[::ffff:192.0.2.1]:1", "[fe80::1]:1", "[::127.0.0.1]:1"];
        for (allow, here, there) in [
            (Anonymous::Loopback, Ok(None), Err(0x87)),
            (Anonymous::Never, Err(0x87), Err(0x87)),
            (Anonymous::Everywhere, Ok(None), Ok(None)),
        ] {
            let settings = settings(allow);
            for (addresses, wanted) in [(&loopback, &here), (&beyond, &there)] {
                for address in addresses {
                    let found = who(&settings, None, &at(address), Claim::default()).await;
                    assert_eq!(&named(found), wanted, "{allow:?} {address}");
                    // Without a users file a name counts for nothing.
                    let found = who(&settings, None, &at(address), claim("ann", "secret")).await;
                    assert_eq!(&named(found), wanted, "{allow:?} {address}");
                }
            }
        }
    }

    #[tokio::test]
    async fn with_a_users_file_a_name_needs_its_password_on_this_machine_too() {
        let (users, far, here) = (ann(), at("192.0.2.1:1"), at("127.0.0.1:1"));
        for visitor in [&far, &here] {
            for allow in [Anonymous::Loopback, Anonymous::Never, Anonymous::Everywhere] {
                let settings = settings(allow);
                let found = who(&settings, Some(&users), visitor, claim("ann", "secret")).await;
                assert_eq!(named(found), Ok(Some("ann".into())));
                for (user, password) in [("ann", "x"), ("ann", ""), ("eve", "secret"), ("", "secret")] {
                    let found = who(&settings, Some(&users), visitor, claim(user, password)).await;
                    assert_eq!(named(found), Err(0x86), "{user}");
                }
            }
            let only_a_password = Claim { user: None, password: b"secret"[..].into() };
            let found = who(&settings(Anonymous::Never), Some(&users), visitor, only_a_password).await;
            assert_eq!(named(found), Err(0x87));
        }
    }

    #[tokio::test]
    async fn a_certificate_is_a_name_and_another_name_needs_its_password() {
        let (users, settings) = (ann(), settings(Anonymous::Never));
        let visitor = Visitor { certified: Some("dev".into()), ..at("192.0.2.1:1") };
        for (claim, wanted) in [
            (Claim::default(), Ok(Some("dev".to_owned()))),
            (claim("dev", "anything"), Ok(Some("dev".into()))),
            (claim("ann", "secret"), Ok(Some("ann".into()))),
            (claim("ann", "x"), Err(0x86)),
            (claim("eve", "x"), Err(0x86)),
        ] {
            let said = format!("{claim:?}");
            assert_eq!(named(who(&settings, Some(&users), &visitor, claim).await), wanted, "{said}");
        }
        assert_eq!(named(who(&settings, None, &visitor, claim("ann", "secret")).await), Err(0x86));
    }

    #[tokio::test]
    async fn who_is_welcome_today() {
        let (users, never) = (ann(), settings(Anonymous::Never));
        let visitor = at("127.0.0.1:1");
        let anonymous = who(&settings(Anonymous::Loopback), None, &visitor, Claim::default()).await.unwrap();
        assert!(
            anonymous.is_welcome(&settings(Anonymous::Loopback), Some(&users)) && !anonymous.is_welcome(&never, None)
        );
        let named = who(&never, Some(&users), &visitor, claim("ann", "secret")).await.unwrap();
        assert!(named.is_welcome(&never, Some(&users)));
        assert!(!named.is_welcome(&never, Some(&ann())), "the same password, set anew, has another salt");
        assert!(!named.is_welcome(&settings(Anonymous::Everywhere), None), "its name cannot be verified any more");
        let visitor = Visitor { certified: Some("dev".into()), ..visitor };
        assert!(who(&never, None, &visitor, Claim::default()).await.unwrap().is_welcome(&never, None));
    }
}
