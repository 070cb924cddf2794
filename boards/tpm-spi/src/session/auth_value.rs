use chanbind_core::crypto::SecretBytes;
use core::fmt;

/// An authValue: the password of an entity, at most [`AuthValue::MAX_LEN`] bytes. SecretBytes when dropped.
pub struct AuthValue {
    bytes: SecretBytes<{ Self::MAX_LEN }>,
    len: usize,
}

impl AuthValue {
    /// The longest that TPMs take for an entity whose nameAlg is SHA-256.
    pub const MAX_LEN: usize = 32;

    /// No password.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            bytes: SecretBytes::new([0; Self::MAX_LEN]),
            len: 0,
        }
    }

    /// A password from its bytes. A TPM takes zeroes off its end (Part 1 section 19.6.4.3), and so does this.
    ///
    /// # Errors
    /// [`AuthValueTooLong`]
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

/// The password is longer than [`AuthValue::MAX_LEN`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AuthValueTooLong;

impl fmt::Display for AuthValueTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a TPM takes passwords of at most {} bytes",
            AuthValue::MAX_LEN
        )
    }
}

impl core::error::Error for AuthValueTooLong {}
