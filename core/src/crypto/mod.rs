//! Cryptographic primitives that this crate implements itself, because the implementation in a library is too slow or cannot be
//! wiped. The crates for TPMs and boards use them too, so that a firmware image links each primitive once.

pub mod ecdsa;
mod equal;
mod hash_algorithm;
mod hmac_sha256;
mod secret_bytes;
mod signature_scheme;
mod tpm_kdf;

pub use equal::equal;
pub use hash_algorithm::{HashAlgorithm, MAX_HASH_LEN};
pub use hmac_sha256::{HmacSha256State, sha256, sha256_of_parts};
pub use secret_bytes::{SecretBytes, wipe};
pub use signature_scheme::SignatureScheme;
pub use tpm_kdf::{kdfa, kdfe};

#[cfg(feature = "authenticator")]
pub(crate) use hash_algorithm::HashOutput;
#[cfg(feature = "blessing")]
pub(crate) use hmac_sha256::Sha256State;
pub(crate) use hmac_sha256::hkdf_expand;
