use super::{Algorithm, HostValidation, MutualError, Number, SecretNumber, numbers};
use core::fmt;

/// The values on which client and server have agreed: K_c1, K_s1 and z.
pub(super) struct SessionSecret {
    algorithm: Algorithm,
    client_value: Number,
    server_value: Number,
    z: SecretNumber,
}

impl SessionSecret {
    pub(super) fn new(
        algorithm: Algorithm,
        (client_value, server_value): (Number, Number),
        z: SecretNumber,
    ) -> Self {
        Self {
            algorithm,
            client_value,
            server_value,
            z,
        }
    }

    /// Returns VK_c (RFC 8120 section 12.2).
    pub(super) fn client_verification(
        &self,
        nc: u64,
        validation: &HostValidation,
    ) -> Result<SecretNumber, MutualError> {
        self.hash(4, nc, validation)
    }

    /// Returns VK_s.
    pub(super) fn server_verification(
        &self,
        nc: u64,
        validation: &HostValidation,
    ) -> Result<SecretNumber, MutualError> {
        self.hash(3, nc, validation)
    }

    fn hash(
        &self,
        tag: u8,
        nc: u64,
        validation: &HostValidation,
    ) -> Result<SecretNumber, MutualError> {
        let fields = [
            &[tag][..],
            self.client_value.as_bytes(),
            self.server_value.as_bytes(),
            self.z.as_bytes(),
            &numbers::vi(nc),
        ];
        let hash = self.algorithm.hash(&fields, validation.as_bytes());
        hash.ok_or(MutualError::Value)
    }

    /// Returns b_1, or with a nonce number b_2 (RFC 8120 section 13).
    pub(super) fn binding(
        &self,
        nc: Option<u64>,
        validation: &HostValidation,
        t: &[u8],
    ) -> Result<SecretNumber, MutualError> {
        let tag = if nc.is_none() { 6 } else { 7 };
        let inner = self.hash(tag, nc.unwrap_or(0), validation)?;
        let outer = self.algorithm.hash(&[inner.as_bytes()], t);
        outer.ok_or(MutualError::Value)
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionSecret({}, hidden)", self.algorithm)
    }
}
