//! Signed tokens as a peer sends them. The fuzzer does not know the key.
#![no_main]

use chanbind_core::otp::{OneTimeKey, Policy, TokenError, jws, scratch_len};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|token: &str| {
    let key = OneTimeKey::from_bytes([0x42; 32]);
    let mut scratch = vec![0; scratch_len(token.len())];
    let has_valid_header = jws::peek_header(token, &mut scratch).is_ok();
    match jws::verify(&key, token, &Policy::default(), &mut scratch) {
        // The seeds hold one token that is signed with this key.
        Ok(_) | Err(TokenError::Rejected) => assert!(has_valid_header),
        Err(error) => assert_ne!(error, TokenError::BufferTooSmall),
    }
});
