//! Password hashes: argon2id in the PHC string format.

use std::sync::Arc;

use argon2::password_hash::{Ident, Output, ParamsString, PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

/// What new hashes cost: 19 MiB, 2 passes, one lane, the first choice of OWASP's password storage sheet.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// The most a hash in the file may cost: every login pays it.
const MOST_MEMORY_KIB: u32 = 64 * 1024;
const MOST_PASSES: u32 = 10;
const MOST_LANES: u32 = 4;
/// Bytes of salt and of hash.
const SALT: usize = 16;
const HASH: usize = 32;

/// A hash that can be verified, and what that costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hash {
    pub(super) text: Arc<str>,
    params: (u32, u32, u32),
}

/// Hashes a new password.
///
/// # Errors
/// The system has no random numbers, or the memory is not there.
pub(super) fn make(password: &[u8]) -> Result<String, String> {
    let argon = argon(MEMORY_KIB, PASSES, LANES)?;
    let salt = SaltString::encode_b64(&random::<SALT>()?).map_err(|error| error.to_string())?;
    Ok(argon.hash_password(password, &salt).map_err(|error| error.to_string())?.to_string())
}

/// As many random bytes, from the kernel.
pub(super) fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())
            .map_err(|error| format!("no random numbers: {error}"))?;
    }
    Ok(bytes)
}

fn argon(memory: u32, passes: u32, lanes: u32) -> Result<Argon2<'static>, String> {
    let params = Params::new(memory, passes, lanes, Some(HASH)).map_err(|error| error.to_string())?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

impl Hash {
    /// Reads `$argon2id$v=19$m=...,t=...,p=...$SALT$HASH`.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if !text.starts_with("$argon2id$") {
            return Err("not an argon2id hash".into());
        }
        let hash = PasswordHash::new(text).map_err(|_| "a damaged argon2id hash")?;
        let params = Params::try_from(&hash).map_err(|_| "argon2id parameters that do not exist")?;
        let params = (params.m_cost(), params.t_cost(), params.p_cost());
        if params.0 > MOST_MEMORY_KIB || params.1 > MOST_PASSES || params.2 > MOST_LANES {
            return Err(format!("a hash that costs more than m={MOST_MEMORY_KIB},t={MOST_PASSES},p={MOST_LANES}"));
        }
        if hash.version != Some(19) || hash.salt.is_none() || hash.hash.is_none_or(|hash| hash.len() < 16) {
            return Err("a damaged argon2id hash".into());
        }
        Ok(Self { text: text.into(), params })
    }

    /// Whether this is the hash of `password`. It takes as long as the parameters say, whatever the answer.
    pub(super) fn verify(&self, password: &[u8]) -> bool {
        let hash = PasswordHash::new(&self.text).expect("it was parsed when it was read");
        Argon2::default().verify_password(password, &hash).is_ok()
    }

    /// What verifying costs, to compare.
    pub(super) fn cost(&self) -> u64 {
        u64::from(self.params.0) * u64::from(self.params.1)
    }

    /// A hash of nothing that costs the same.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(super) fn decoy(like: Option<&Self>) -> Result<Self, String> {
        let params = like.map_or((MEMORY_KIB, PASSES, LANES), |hash| hash.params);
        let salt = SaltString::encode_b64(&random::<SALT>()?).map_err(|error| error.to_string())?;
        let argon = argon(params.0, params.1, params.2)?;
        let hash = PasswordHash {
            algorithm: Ident::new_unwrap("argon2id"),
            version: Some(19),
            params: ParamsString::try_from(argon.params()).map_err(|error| error.to_string())?,
            salt: Some(salt.as_salt()),
            hash: Some(Output::new(&random::<HASH>()?).map_err(|error| error.to_string())?),
        };
        Self::parse(&hash.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_hash_has_the_promised_parameters_and_its_own_salt() {
        let (one, two) = (make(b"secret").unwrap(), make(b"secret").unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, two);
        let hash = Hash::parse(&one).unwrap();
        assert!(hash.verify(b"secret") && !hash.verify(b"Secret") && !hash.verify(b""));
    }

    /// A vector of the reference implementation (phc-winner-argon2, src/test.c).
    #[test]
    fn hashes_of_other_programs_are_verified() {
        let text = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let hash = Hash::parse(text).unwrap();
        assert!(hash.verify(b"password") && !hash.verify(b"passwort"));
    }

    #[test]
    fn what_cannot_be_a_hash_is_refused_with_a_reason() {
        let good = make(b"x").unwrap();
        for (bad, why) in [
            (String::new(), "not an argon2id"),
            ("secret".into(), "not an argon2id"),
            (good.replace("argon2id", "argon2i"), "not an argon2id"),
            (good.replace("v=19", "v=16"), "damaged"),
            (good.replace("m=19456", "m=4194304"), "costs more"),
            (good.replace("t=2", "t=2000"), "costs more"),
            (good.replace("p=1", "p=0"), "do not exist"),
            (good[..good.len() - 40].into(), "damaged"),
            (good.rsplit_once('$').unwrap().0.into(), "damaged"),
        ] {
            let said = Hash::parse(&bad).unwrap_err();
            assert!(said.contains(why), "{bad}: {said}");
        }
    }

    #[test]
    fn a_decoy_costs_what_the_others_do() {
        let hash = Hash::parse(&make(b"x").unwrap().replace("t=2", "t=3")).unwrap();
        let decoy = Hash::decoy(Some(&hash)).unwrap();
        assert_eq!(decoy.params, hash.params);
        assert!(!decoy.verify(b"x"));
        assert_eq!(Hash::decoy(None).unwrap().params, (19_456, 2, 1));
    }
}
