//! The key derivation functions of TPM 2.0 Part 1 section 11.4.10 with SHA-256, for outputs of at most 32 bytes.

use super::{HmacSha256State, SecretBytes, sha256_of_parts};

const COUNTER: [u8; 4] = 1u32.to_be_bytes();
const SEPARATOR: [u8; 1] = [0];

/// Computes KDFa (TPM 2.0 Part 1 section 11.4.10.2): SP 800-108 counter mode with HMAC-SHA-256.
///
/// `bits` is the length of the derived key, at most 256. It is part of the hashed input. A caller that needs fewer than 256 bits
/// must pass the length it needs and use the first bytes of the result. `label` has no terminating zero byte.
#[must_use]
pub fn kdfa(
    key: &HmacSha256State,
    label: &[u8],
    context_u: &[u8],
    context_v: &[u8],
    bits: u32,
) -> SecretBytes<32> {
    SecretBytes::new(key.mac_of_parts(&[
        COUNTER.as_slice(),
        label,
        &SEPARATOR,
        context_u,
        context_v,
        &bits.to_be_bytes(),
    ]))
}

/// Computes KDFe (TPM 2.0 Part 1 section 11.4.10.3): the one-step derivation of SP 800-56A with SHA-256, for 256 bits.
///
/// `shared` is the x coordinate of the shared point. `party_u` and `party_v` are the x coordinates of the ephemeral and the static
/// public key. `label` has no terminating zero byte.
#[must_use]
pub fn kdfe(shared: &[u8], label: &[u8], party_u: &[u8], party_v: &[u8]) -> SecretBytes<32> {
    SecretBytes::new(sha256_of_parts(&[
        COUNTER.as_slice(),
        shared,
        label,
        &SEPARATOR,
        party_u,
        party_v,
    ]))
}
