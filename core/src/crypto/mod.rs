//! The few primitives that this crate has of its own, where a library's is too slow or cannot be wiped.

mod equal;
mod hmac_sha256;
mod wiped;

pub(crate) use equal::equal;
pub(crate) use hmac_sha256::{HmacSha256State, hkdf_expand, sha256};
pub(crate) use wiped::{Wiped, wipe};
