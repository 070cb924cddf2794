//! Encrypted tokens as a peer sends them.
#![no_main]

use chanbind_core::otp::{OneTimeKey, TokenError, jwe, scratch_len};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|token: &str| {
    let key = OneTimeKey::from_bytes([0x42; 32]);
    let mut scratch = vec![0; scratch_len(token.len())];
    let has_valid_header = jwe::peek_header(token, &mut scratch).is_ok();
    match jwe::decrypt(&key, token, &mut scratch) {
        Ok(_) | Err(TokenError::Rejected) => assert!(has_valid_header),
        Err(error) => assert_ne!(error, TokenError::BufferTooSmall),
    }
});
