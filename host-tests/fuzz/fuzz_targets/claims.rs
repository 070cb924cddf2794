//! Payloads of tokens that are rightly signed: the JSON reader, the claims and the policy. What was read is written and read
//! again.
#![no_main]

use chanbind_core::otp::{Header, OneTimeKey, Policy, jws, scratch_len};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    let key = OneTimeKey::from_bytes([0x42; 32]);
    let policy = Policy {
        now: Some(1_700_000_000),
        audience: None,
        ..Policy::default()
    };
    let mut out = vec![0; 256 + payload.len() * 2];
    let token = jws::sign(&key, &Header::default(), payload, &mut out).expect("room for the token");
    let mut scratch = vec![0; scratch_len(token.len())];
    let Ok(read) = jws::verify(&key, token, &policy, &mut scratch) else {
        return;
    };
    let mut json = vec![0; 256 + payload.len() * 8];
    let json = read.claims.encode(&mut json).expect("room for the claims");
    let mut out = vec![0; 256 + json.len() * 2];
    let token = jws::sign(&key, &Header::default(), json, &mut out).expect("room for the token");
    let mut scratch = vec![0; scratch_len(token.len())];
    let again = jws::verify(&key, token, &policy, &mut scratch).expect("what was accepted before");
    assert_eq!(again.claims, read.claims);
});
