//! The header fields of blessings from any text, and Auth messages from any bytes.
#![no_main]

use chanbind_core::blessing::{AuthMessage, Evidence, http};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(message) = AuthMessage::parse(data) {
        // Each message has one encoding.
        let mut out = vec![0; data.len() + 16];
        let written = message.write(&mut out).expect("there is room");
        assert_eq!(AuthMessage::parse(written), Ok(message));
    }
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    for params in [http::credentials(text), http::challenge(text)]
        .into_iter()
        .flatten()
    {
        let mut buffer = vec![0; text.len()];
        let Ok(evidence) = Evidence::decode(params, &mut buffer) else {
            continue;
        };
        let mut out = vec![0; evidence.encoded_len()];
        let written = evidence.encode(&mut out).expect("there is room");
        let params = http::credentials(written).expect("it was encoded by this crate");
        let mut buffer = vec![0; written.len()];
        assert_eq!(
            Evidence::decode(params, &mut buffer).as_ref(),
            Ok(&evidence)
        );
    }
});
