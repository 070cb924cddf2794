//! Nested tokens. The payload is also encrypted with the right key, so that the inner parser is reached.
#![no_main]

use chanbind_core::otp::{Header, OneTimeKey, Policy, TokenError, nested, scratch_len};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &[u8])| {
    let (outer, payload) = input;
    let (signing, encryption) = (
        OneTimeKey::from_bytes([0x42; 32]),
        OneTimeKey::from_bytes([0x24; 32]),
    );
    let keys = nested::NestedKeys {
        signing: &signing,
        encryption: &encryption,
    };
    let mut scratch = vec![0; scratch_len(outer.len())];
    if let Err(error) = nested::open(&keys, outer, &Policy::default(), &mut scratch) {
        assert_ne!(error, TokenError::BufferTooSmall);
    }
    let (mut signed, mut out) = (
        vec![0; 512 + payload.len() * 4],
        vec![0; 1024 + payload.len() * 8],
    );
    let headers = (
        &Header::default(),
        &Header {
            key_id: Some("client1"),
            typ: true,
        },
    );
    let token = nested::seal(&keys, &[7; 12], headers, payload, &mut signed, &mut out)
        .expect("the token fits the buffer");
    let mut scratch = vec![0; scratch_len(token.len())];
    if let Ok(opened) = nested::open(&keys, token, &Policy::default(), &mut scratch) {
        assert_eq!(opened.payload, payload);
    }
});
