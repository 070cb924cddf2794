//! API keys as a peer sends them: only the one valid encoding is accepted.
#![no_main]

use chanbind_core::otp::{OneTimeKey, api_key};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|presented: &str| {
    let key = OneTimeKey::from_bytes([0x42; 32]);
    let mut out = [0; api_key::ENCODED_LEN];
    let expected = api_key::encode(&key, &mut out);
    assert_eq!(
        api_key::verify(&key, presented).is_ok(),
        presented == expected
    );
});
