use chanbind_core::crypto::SecretBytes;
use core::fmt;

/// An authValue: the password of an entity, at most [`AuthValue::MAX_LEN`] bytes. Wiped when dropped.
pub struct AuthValue {
    bytes: SecretBytes<{ Self::MAX_LEN }>,
    len: usize,
}

impl AuthValue {
    /// Maximum length in bytes that TPMs accept for an entity whose nameAlg is SHA-256.
    pub const MAX_LEN: usize = 32;

    /// Creates an empty password.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            bytes: SecretBytes::new([0; Self::MAX_LEN]),
            len: 0,
        }
    }

    /// Creates a password from its bytes. Removes trailing zeroes, as TPMs do (Part 1 section 19.6.4.3).
    ///
    /// # Errors
    /// [`AuthValueTooLong`] if more than [`AuthValue::MAX_LEN`] bytes are left.
    pub fn new(password: &[u8]) -> Result<Self, AuthValueTooLong> {
        let mut value = Self::empty();
        value.len = password
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last.saturating_add(1));
        let password = password.get(..value.len).unwrap_or_default();
        value
            .bytes
            .get_mut(..value.len)
            .ok_or(AuthValueTooLong)?
            .copy_from_slice(password);
        Ok(value)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl fmt::Debug for AuthValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthValue(hidden)")
    }
}

/// The error for a password that is longer than [`AuthValue::MAX_LEN`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AuthValueTooLong;

impl fmt::Display for AuthValueTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the password is too long: a TPM accepts at most {} bytes",
            AuthValue::MAX_LEN
        )
    }
}

impl core::error::Error for AuthValueTooLong {}
