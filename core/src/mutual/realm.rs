use super::{Algorithm, MAX_ORIGIN_LEN, MutualError, Number, SecretNumber, numbers};
use crate::crypto::wipe;
use core::fmt;
use heapless::{String, Vec};

/// The longest realm, in bytes.
pub const MAX_REALM_LEN: usize = 128;

/// The longest user name, in bytes.
pub const MAX_USER_LEN: usize = 128;

/// The name of a user.
pub type UserName = String<MAX_USER_LEN>;

/// The longest password, in bytes.
pub const MAX_PASSWORD_LEN: usize = 256;

/// An authentication realm (RFC 8120 section 5): the triple for which one set of users and passwords is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realm {
    algorithm: Algorithm,
    auth_scope: String<MAX_ORIGIN_LEN>,
    name: String<MAX_REALM_LEN>,
}

/// The octets of the salt from which pi is derived.
type Salt = Vec<u8, { MAX_ORIGIN_LEN + MAX_REALM_LEN + MAX_USER_LEN + 32 }>;

impl Realm {
    /// Creates a realm. `auth_scope` is `scheme://host[:port]`, a host, or `*.` and a domain, in lower case; `name` is visible ASCII and
    /// spaces.
    ///
    /// # Errors
    /// [`MutualError::Realm`] if a text has another form, or is empty or too long.
    pub fn new(algorithm: Algorithm, auth_scope: &str, name: &str) -> Result<Self, MutualError> {
        let auth_scope = String::try_from(auth_scope).map_err(|_| MutualError::Realm)?;
        let name = String::try_from(name).map_err(|_| MutualError::Realm)?;
        Self::of(algorithm, auth_scope, name)
    }

    pub(super) fn of(
        algorithm: Algorithm,
        auth_scope: String<MAX_ORIGIN_LEN>,
        name: String<MAX_REALM_LEN>,
    ) -> Result<Self, MutualError> {
        let in_scope = |byte: u8| {
            let is_mark = matches!(byte, b':' | b'/' | b'.' | b'-' | b'_' | b'*' | b'[' | b']');
            is_mark || byte.is_ascii_lowercase() || byte.is_ascii_digit()
        };
        let in_name = |byte: u8| matches!(byte, b' '..=b'~');
        let is_scope = !auth_scope.is_empty() && auth_scope.bytes().all(in_scope);
        if !is_scope || name.is_empty() || !name.bytes().all(in_name) {
            return Err(MutualError::Realm);
        }
        Ok(Self {
            algorithm,
            auth_scope,
            name,
        })
    }

    /// Returns the algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the authentication scope.
    #[must_use]
    pub fn auth_scope(&self) -> &str {
        &self.auth_scope
    }

    /// Returns the name of the realm inside its scope.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Derives pi from a user's password by 16,384 iterations of PBKDF2 (RFC 8120 section 12.2): about 33,000 compressions of the hash. It is as
    /// secret as the password, and good for this realm and user alone.
    ///
    /// Both texts must be prepared as RFC 8265 says (UsernameCasePreserved, OpaqueString). A host does that with `chanbind::proof::mutual`;
    /// printable ASCII is prepared as it is.
    ///
    /// # Errors
    /// [`MutualError::UserName`] or [`MutualError::Password`] if the text is empty, too long, or certainly not prepared: it has control characters
    /// or a byte order mark.
    pub fn credential(&self, user: &str, password: &str) -> Result<SecretNumber, MutualError> {
        let mut pi = SecretNumber::default();
        self.write_credential(user, password, &mut pi)?;
        Ok(pi)
    }

    pub(super) fn write_credential(
        &self,
        user: &str,
        password: &str,
        pi: &mut SecretNumber,
    ) -> Result<(), MutualError> {
        if !is_prepared(password) || password.len() > MAX_PASSWORD_LEN {
            return Err(MutualError::Password);
        }
        let mut salt = Salt::new();
        self.write_salt(user, &mut salt)?;
        let suite = self.algorithm.suite();
        suite.stretch(password.as_bytes(), &salt, pi);
        Ok(())
    }

    /// Returns J(pi), which a server stores to verify the user (RFC 8121 section 3).
    ///
    /// # Errors
    /// [`MutualError::Value`] if pi has no J. That happens for no password that can be found.
    pub fn stored(&self, pi: &SecretNumber) -> Result<Number, MutualError> {
        self.algorithm.suite().stored(pi).ok_or(MutualError::Value)
    }

    /// Returns the first eight octets of the hash of the salt: they name realm and user in what a server stores, so that a change of either
    /// is noticed.
    pub(super) fn fingerprint(&self, user: &str) -> Result<[u8; 8], MutualError> {
        let mut salt = Salt::new();
        self.write_salt(user, &mut salt)?;
        let mut hash = SecretNumber::default();
        self.algorithm.suite().hash(&[&salt], &mut hash);
        let front = hash.as_bytes().first_chunk();
        front.copied().ok_or(MutualError::Value)
    }

    /// Writes VS(algorithm) | VS(auth-scope) | VS(realm) | VS(username).
    fn write_salt(&self, user: &str, salt: &mut Salt) -> Result<(), MutualError> {
        if !is_user_name(user) {
            return Err(MutualError::UserName);
        }
        for text in [self.algorithm.token(), &self.auth_scope, &self.name, user] {
            let len = numbers::vs_len(text.as_bytes());
            for part in [&len[..], text.as_bytes()] {
                let appended = salt.extend_from_slice(part);
                appended.map_err(|_| MutualError::UserName)?;
            }
        }
        Ok(())
    }
}

/// Returns true if the text may be the name of a user: it is not empty and at most [`MAX_USER_LEN`] bytes long, and may be prepared.
pub(super) fn is_user_name(text: &str) -> bool {
    text.len() <= MAX_USER_LEN && is_prepared(text)
}

/// Returns true unless the text is empty or is certainly not prepared by a profile of RFC 8265: it has control characters or a byte order mark.
#[must_use]
pub fn is_prepared(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_control() || c == '\u{feff}')
}

/// A password that is wiped when dropped.
pub struct Password(Vec<u8, MAX_PASSWORD_LEN>);

impl Password {
    /// Takes a password. The caller must wipe any other copy of it.
    ///
    /// # Errors
    /// [`MutualError::Password`] if it is empty or has more than [`MAX_PASSWORD_LEN`] bytes.
    pub fn new(password: &str) -> Result<Self, MutualError> {
        if password.is_empty() {
            return Err(MutualError::Password);
        }
        let bytes = Vec::from_slice(password.as_bytes());
        bytes.map(Self).map_err(|_| MutualError::Password)
    }

    pub(super) fn as_str(&self) -> &str {
        // Cannot fail: the bytes are those of a string.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}
