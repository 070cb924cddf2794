use super::TpmError;
use std::fmt;
use tss_esapi::structures::Auth as TssAuth;

/// The password of a key or hierarchy, of at most [`Auth::MAX_LEN`] bytes. It is zeroized when dropped.
pub struct Auth(TssAuth);

impl Auth {
    /// The maximum length of a password, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Creates a password from its bytes. Trailing zero bytes are removed.
    ///
    /// # Errors
    /// Returns [`TpmError::AuthLength`] if the password is longer than [`Auth::MAX_LEN`] bytes.
    pub fn new(password: &[u8]) -> Result<Self, TpmError> {
        let too_long = TpmError::AuthLength {
            actual: password.len(),
            max: Self::MAX_LEN,
        };
        if password.len() > Self::MAX_LEN {
            return Err(too_long);
        }
        // A TPM removes trailing zeroes from a password (TPM 2.0 Part 1 section 19.6.4.3). Do the same here, to compute the same
        // HMAC.
        let mut password = password;
        while let [start @ .., 0] = password {
            password = start;
        }
        TssAuth::try_from(password).map(Self).map_err(|_| too_long)
    }

    pub(super) fn into_inner(self) -> TssAuth {
        self.0
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auth(hidden)")
    }
}
