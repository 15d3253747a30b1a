//! Passwords as Argon2 hashes in PHC form, `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Argon2, Params};

/// Kilobytes that checking a password may take.
const MOST_MEMORY: u32 = 1 << 20;
/// Rounds over that memory.
const MOST_ROUNDS: u32 = 100;
const MOST_LANES: u32 = 64;
/// Bytes of a password.
pub const MAX_PASSWORD: usize = 1024;

/// Why there is no hash.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("a password has 1 to {MAX_PASSWORD} bytes")]
    Length,
    #[error("it can't be hashed: {0}")]
    Hash(argon2::password_hash::Error),
}

/// The hash of a password, for the configuration.
///
/// # Errors
/// An empty or very long password.
pub fn hash_password(password: &str) -> Result<String, PasswordError> {
    if password.is_empty() || password.len() > MAX_PASSWORD {
        return Err(PasswordError::Length);
    }
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>()).map_err(PasswordError::Hash)?;
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
    Ok(hash.map_err(PasswordError::Hash)?.to_string())
}

/// Whether a hash is one that passwords can be checked with.
///
/// # Errors
/// What is wrong with it.
pub fn check_password_hash(text: &str) -> Result<(), String> {
    let what = "an Argon2 hash as `playhouse password` makes it";
    let hash = PasswordHash::new(text).map_err(|error| format!("{what}: {error}"))?;
    let known = ["argon2id", "argon2i", "argon2d"].contains(&hash.algorithm.as_str());
    if !known || hash.salt.is_none() || hash.hash.is_none() {
        return Err(what.to_owned());
    }
    let params = Params::try_from(&hash).map_err(|error| format!("{what}: {error}"))?;
    if params.m_cost() > MOST_MEMORY
        || params.t_cost() > MOST_ROUNDS
        || params.p_cost() > MOST_LANES
    {
        return Err(format!(
            "{what}: at most m={MOST_MEMORY}, t={MOST_ROUNDS}, p={MOST_LANES}"
        ));
    }
    Ok(())
}

/// Whether `password` is the one of `hash`. Takes tens of milliseconds by design.
pub fn is_password(password: &[u8], hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_its_hash_and_no_other_does() {
        let hash = hash_password("open sesame").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$"), "{hash}");
        check_password_hash(&hash).unwrap();
        assert!(is_password(b"open sesame", &hash));
        assert!(!is_password(b"open barley", &hash));
        assert_ne!(hash_password("open sesame").unwrap(), hash);
        hash_password("").unwrap_err();
        hash_password(&"x".repeat(MAX_PASSWORD + 1)).unwrap_err();
    }

    #[test]
    fn what_is_no_hash_is_told() {
        for text in [
            "secret",
            "",
            "$2b$12$abcdefghijklmnopqrstuv",
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ",
            "$argon2id$v=19$m=4000000000,t=2,p=1$c2FsdHNhbHRzYWx0$hJ3QwXyxjVvWvZzFV3Xz7w",
            "$pbkdf2-sha256$i=600000$c2FsdHNhbHRzYWx0$hJ3QwXyxjVvWvZzFV3Xz7w",
        ] {
            let error = check_password_hash(text).unwrap_err();
            assert!(error.contains("playhouse password"), "{text}: {error}");
        }
    }
}
