//! Keys in the chip.

use super::*;

#[test]
fn hmac_is_that_of_the_key() {
    let bench = Bench::new();
    bench.with_keys(async |keys| {
        let mut key = keys
            .load_hmac(bench.key.blobs(), AuthValue::empty())
            .await
            .unwrap();
        for len in [0, 1, 32, 64, 300, 400, 417, 418, 1024, 5000] {
            let data = vec![0x5a; len];
            let mut out = [0; 32];
            keys.hmac(&mut key, parts(&data), &mut out).await.unwrap();
            assert_eq!(out, hmac(&data), "{len}");
        }
    });
}
