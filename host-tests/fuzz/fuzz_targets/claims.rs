//! Payloads of tokens with a valid signature: the JSON reader, the claims and the policy. Accepted claims are encoded and
//! verified again.
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
    let token =
        jws::sign(&key, &Header::default(), payload, &mut out).expect("the token fits the buffer");
    let mut scratch = vec![0; scratch_len(token.len())];
    let Ok(first) = jws::verify(&key, token, &policy, &mut scratch) else {
        return;
    };
    let mut json = vec![0; 256 + payload.len() * 8];
    let json = first
        .claims
        .encode(&mut json)
        .expect("the claims fit the buffer");
    let mut out = vec![0; 256 + json.len() * 2];
    let token =
        jws::sign(&key, &Header::default(), json, &mut out).expect("the token fits the buffer");
    let mut scratch = vec![0; scratch_len(token.len())];
    let second = jws::verify(&key, token, &policy, &mut scratch)
        .expect("claims that were accepted are accepted again");
    assert_eq!(second.claims, first.claims);
});
