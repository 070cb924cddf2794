use super::{Algorithm, HostValidation, Number, SecretNumber, numbers};
use core::fmt;

/// The values on which client and server have agreed: K_c1, K_s1 and z.
pub(super) struct SessionSecret {
    algorithm: Algorithm,
    client_value: Number,
    server_value: Number,
    z: SecretNumber,
}

impl SessionSecret {
    /// Creates the values without z, which a side computes then.
    pub(super) fn new(algorithm: Algorithm, client_value: Number, server_value: Number) -> Self {
        Self {
            algorithm,
            client_value,
            server_value,
            z: SecretNumber::default(),
        }
    }

    /// Computes z at the client; `None` if K_s1 or z is out of range.
    pub(super) fn compute_at_client(
        &mut self,
        pi: &SecretNumber,
        secret: &SecretNumber,
    ) -> Option<()> {
        let values = (&self.client_value, &self.server_value);
        let suite = self.algorithm.suite();
        suite.client_z(pi, secret, values, &mut self.z)
    }

    /// Computes z at the server; `None` if K_c1 or z is out of range.
    pub(super) fn compute_at_server(&mut self, secret: &SecretNumber) -> Option<()> {
        let values = (&self.client_value, &self.server_value);
        let suite = self.algorithm.server_suite();
        suite.server_z(secret, values, &mut self.z)
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns VK_c (RFC 8120 section 12.2).
    pub(super) fn client_verification(&self, nc: u32, validation: &HostValidation) -> SecretNumber {
        self.hash(4, nc, validation)
    }

    /// Returns VK_s.
    pub(super) fn server_verification(&self, nc: u32, validation: &HostValidation) -> SecretNumber {
        self.hash(3, nc, validation)
    }

    #[inline(never)]
    fn hash(&self, tag: u8, nc: u32, validation: &HostValidation) -> SecretNumber {
        let fields = [
            &[tag][..],
            self.client_value.as_bytes(),
            self.server_value.as_bytes(),
            self.z.as_bytes(),
            &numbers::vi(nc),
        ];
        let mut hash = SecretNumber::default();
        self.algorithm
            .hash(fields, validation.as_bytes(), &mut hash);
        hash
    }

    /// Returns b_1, or with a nonce number b_2 (RFC 8120 section 13).
    pub(super) fn binding(
        &self,
        nc: Option<u32>,
        validation: &HostValidation,
        t: &[u8],
    ) -> SecretNumber {
        let tag = if nc.is_none() { 6 } else { 7 };
        let inner = self.hash(tag, nc.unwrap_or(0), validation);
        let fields = [inner.as_bytes(), &[], &[], &[], &[]];
        let mut binding = SecretNumber::default();
        self.algorithm.hash(fields, t, &mut binding);
        binding
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionSecret({}, hidden)", self.algorithm)
    }
}
