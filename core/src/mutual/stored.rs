use super::{Algorithm, MutualError, Number, Realm, SecretNumber};
use crate::http_auth::hex_digit;
use core::fmt;
use heapless::String;

/// The longest text of a [`StoredCredential`], in bytes.
pub const MAX_STORED_LEN: usize = 8 + 24 + 17 + 2 * super::MAX_ELEMENT_LEN;

/// The prefix of the text: the version of the form.
const VERSION: &str = "mutual1";

/// The value that a server keeps of a user: J(pi), with the algorithm and with eight octets that name scope, realm and user.
///
/// Its text is `mutual1:ALGORITHM:NAMES:J`: `NAMES` are the first eight octets of H over the salt of pi, `J` the octets of its natural length,
/// both in lower-case hexadecimal. A thief of it cannot log in as the user, but can try passwords at home, and can play the server to
/// this user: keep it as secret as a private key.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredCredential {
    algorithm: Algorithm,
    names: [u8; 8],
    j: Number,
}

impl StoredCredential {
    /// Registers a user: derives J from a password. Takes as long as [`Realm::credential`].
    ///
    /// # Errors
    /// As [`Realm::credential`].
    pub fn register(realm: &Realm, user: &str, password: &str) -> Result<Self, MutualError> {
        let pi: SecretNumber = realm.credential(user, password)?;
        Ok(Self {
            algorithm: realm.algorithm(),
            names: realm.fingerprint(user)?,
            j: realm.stored(&pi)?,
        })
    }

    /// Returns J for a user of a realm.
    ///
    /// # Errors
    /// [`MutualError::Reregister`] if the password was registered for another algorithm, scope, realm or user: pi depends on all of them.
    pub fn j(&self, realm: &Realm, user: &str) -> Result<&Number, MutualError> {
        let is_this =
            self.algorithm == realm.algorithm() && self.names == realm.fingerprint(user)?;
        is_this.then_some(&self.j).ok_or(MutualError::Reregister)
    }

    /// Returns the text.
    #[must_use]
    pub fn to_text(&self) -> String<MAX_STORED_LEN> {
        use fmt::Write;
        let mut text = String::new();
        // Cannot fail: the parts have their limits.
        let _ = write!(text, "{VERSION}:{}:", self.algorithm);
        for byte in self.names {
            let _ = write!(text, "{byte:02x}");
        }
        let _ = text.push(':');
        for byte in self.j.as_bytes() {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// Parses a text.
    ///
    /// # Errors
    /// [`MutualError::Stored`] if it has another form or version, if this build does not have the algorithm, or if J is no element of the group.
    pub fn parse(text: &str) -> Result<Self, MutualError> {
        let mut parts = text.split(':');
        let mut part = || parts.next().ok_or(MutualError::Stored);
        let [version, token, names, j] = [part()?, part()?, part()?, part()?];
        let mut all = Algorithm::ALL.iter();
        let algorithm = all.find(|one| one.token() == token);
        let (Some(&algorithm), VERSION, None) = (algorithm, version, parts.next()) else {
            return Err(MutualError::Stored);
        };
        let mut octets = [0; super::MAX_ELEMENT_LEN];
        let octets = octets
            .get_mut(..algorithm.element_len())
            .ok_or(MutualError::Stored)?;
        decode_hex(j, octets)?;
        let j = Number::new(octets).ok_or(MutualError::Stored)?;
        if !algorithm.server_suite().is_stored(&j) {
            return Err(MutualError::Stored);
        }
        let mut fingerprint = [0; 8];
        decode_hex(names, &mut fingerprint)?;
        Ok(Self {
            algorithm,
            names: fingerprint,
            j,
        })
    }
}

fn decode_hex(text: &str, out: &mut [u8]) -> Result<(), MutualError> {
    let (digits, rest) = text.as_bytes().as_chunks::<2>();
    if digits.len() != out.len() || !rest.is_empty() {
        return Err(MutualError::Stored);
    }
    for (place, [high, low]) in out.iter_mut().zip(digits) {
        let digits = hex_digit(*high).zip(hex_digit(*low));
        *place = digits
            .map(|(high, low)| (high << 4) | low)
            .ok_or(MutualError::Stored)?;
    }
    Ok(())
}

impl fmt::Debug for StoredCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredCredential({}, hidden)", self.algorithm)
    }
}
