//! The counter-mode vectors of NIST, the named layouts, and derivations that fail.
#![cfg(test)]
#![allow(clippy::arithmetic_side_effects, reason = "a panic fails the test")]

mod vectors;

use chanbind_core::kdf::{
    CounterMode, CounterWidth, DeriveError, FixedInput, HmacSha256, HmacSha384, HmacSha512,
    KdfError, Layout, Prf, PrfInput, Step, derive,
};
use vectors::{hex_of, load, text_of};

/// A prover outside this crate makes the inputs of its key requests itself.
#[test]
fn an_input_in_one_piece_gives_the_mac_of_its_bytes() {
    let input = PrfInput::from(&b"keying material"[..]);
    assert_eq!(input.parts().concat(), b"keying material");
    let (mut direct, mut derived) = ([0; 32], [0; 32]);
    let mut key = HmacSha256::new(b"key");
    let Ok(()) = key.compute(&input, &mut direct);
    derive(&Layout::Hmac, b"keying material", &mut key, &mut derived).unwrap();
    assert_eq!(direct, derived);
}

#[test]
fn counter_mode_matches_nist_cavp_vectors() {
    let file = load("sp800-108-nist-cavp.json");
    let mut tried = 0;
    for group in file["groups"].as_array().unwrap() {
        assert_eq!(text_of(&group["ctr_location"]), "BEFORE_FIXED");
        let width = match group["rlen_bits"].as_u64().unwrap() {
            8 => CounterWidth::Bits8,
            16 => CounterWidth::Bits16,
            24 => CounterWidth::Bits24,
            32 => CounterWidth::Bits32,
            other => panic!("{other}"),
        };
        let layout = Layout::Counter {
            mode: CounterMode {
                width,
                start: 1,
                length_field: false,
            },
            fixed: FixedInput::Raw,
        };
        for vector in group["vectors"].as_array().unwrap() {
            let (key, input) = (hex_of(&vector["KI"]), hex_of(&vector["FixedInputData"]));
            let mut out = vec![0; usize::try_from(vector["L"].as_u64().unwrap() / 8).unwrap()];
            match text_of(&group["prf"]) {
                "HMAC_SHA256" => {
                    derive(&layout, &input, &mut HmacSha256::new(&key), &mut out).unwrap()
                }
                "HMAC_SHA384" => {
                    derive(&layout, &input, &mut HmacSha384::new(&key), &mut out).unwrap()
                }
                other => panic!("{other}"),
            }
            assert_eq!(
                out,
                hex_of(&vector["KO"]),
                "{} {}",
                group["prf"],
                vector["count"]
            );
            tried += 1;
        }
    }
    assert_eq!(tried, 100);
}

/// A PRF that records its inputs and fails at the third call.
struct Recorder(Vec<Vec<u8>>);

impl Prf for Recorder {
    type Error = &'static str;

    fn output_len(&self) -> usize {
        32
    }

    fn compute(&mut self, input: &PrfInput<'_>, out: &mut [u8]) -> Result<(), Self::Error> {
        let mut bytes = vec![0; input.len()];
        input.copy_to(&mut bytes).unwrap();
        assert_eq!(input.parts().concat(), bytes);
        assert!(input.copy_to(&mut vec![0; input.len() - 1]).is_none());
        self.0.push(bytes);
        out.fill(0xee);
        if self.0.len() == 3 {
            Err("the third call fails")
        } else {
            Ok(())
        }
    }
}

#[test]
fn layouts_produce_the_documented_prf_inputs() {
    let mut recorder = Recorder(Vec::new());
    derive(&Layout::VAULT, b"in", &mut recorder, &mut [0; 64]).unwrap();
    assert_eq!(
        recorder.0,
        [&b"\0\0\0\0in\0\0\x02\0"[..], b"\0\0\0\x01in\0\0\x02\0"]
    );

    let mut recorder = Recorder(Vec::new());
    derive(
        &Layout::sp800_108(b"label"),
        b"in",
        &mut recorder,
        &mut [0; 33],
    )
    .unwrap();
    assert_eq!(
        recorder.0,
        [
            &b"\0\0\0\x01label\0in\0\0\x01\x08"[..],
            b"\0\0\0\x02label\0in\0\0\x01\x08"
        ]
    );

    let mut recorder = Recorder(Vec::new());
    derive(&Layout::Hmac, b"in", &mut recorder, &mut [0; 32]).unwrap();
    assert_eq!(recorder.0, [b"in"]);
}

#[test]
fn hmac_matches_rfc_4231() {
    let data = b"what do ya want for nothing?";
    let mut out = [0; 64];
    derive(
        &Layout::Hmac,
        data,
        &mut HmacSha256::new(b"Jefe"),
        &mut out[..32],
    )
    .unwrap();
    assert_eq!(
        hex::encode(&out[..32]),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
    derive(&Layout::Hmac, data, &mut HmacSha512::new(b"Jefe"), &mut out).unwrap();
    assert_eq!(
        hex::encode(out),
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
    );
}

#[test]
fn output_is_zeroed_if_the_prf_fails() {
    let mut out = [0xaa; 96];
    assert_eq!(
        derive(&Layout::VAULT, b"in", &mut Recorder(Vec::new()), &mut out),
        Err(DeriveError::Prf("the third call fails"))
    );
    assert_eq!(out, [0; 96]);
}

#[test]
fn output_is_zeroed_if_a_derivation_is_dropped() {
    let mut out = [0xaa; 64];
    let Step::Prf(pending) = Layout::VAULT.derivation(b"in", 32, &mut out).unwrap() else {
        panic!()
    };
    drop(pending.answer(&[0xee; 32]).unwrap());
    assert_eq!(out, [0; 64]);

    let mut out = [0xaa; 32];
    let Step::Prf(pending) = Layout::VAULT.derivation(b"in", 32, &mut out).unwrap() else {
        panic!()
    };
    assert_eq!(pending.answer(&[0xee; 31]).err(), Some(KdfError::PrfLength));
    assert_eq!(out, [0; 32]);
}

#[test]
fn rejects_invalid_output_and_prf_lengths() {
    let short = |start| Layout::Counter {
        mode: CounterMode {
            width: CounterWidth::Bits8,
            start,
            length_field: true,
        },
        fixed: FixedInput::Raw,
    };
    let mut key = HmacSha256::new(b"k");
    let mut out = vec![0; 32 * 256];
    assert!(derive(&short(1), b"", &mut key, &mut out[..32 * 255]).is_ok());
    assert!(derive(&short(0), b"", &mut key, &mut out).is_ok());
    for (layout, len) in [
        (short(1), 32 * 256),
        (short(256), 1),
        (Layout::Hmac, 33),
        (Layout::Hmac, 0),
        (Layout::VAULT, 0),
    ] {
        out.fill(0xaa);
        assert_eq!(
            derive(&layout, b"", &mut key, &mut out[..len]),
            Err(DeriveError::Kdf(KdfError::OutputLength { actual: len }))
        );
        assert!(
            out[..len].iter().all(|&byte| byte == 0),
            "the output must be zeroed after an error"
        );
    }
    for prf_len in [0, 65] {
        assert_eq!(
            Layout::VAULT.derivation(b"", prf_len, &mut [0; 8]).err(),
            Some(KdfError::PrfLength)
        );
    }
}

#[test]
fn debug_hides_keys_and_inputs() {
    assert_eq!(
        format!("{:?}", HmacSha256::new(b"secret")),
        "HmacSha256(hidden)"
    );
    let mut out = [0; 32];
    let Step::Prf(pending) = Layout::Hmac.derivation(b"secret", 32, &mut out).unwrap() else {
        panic!()
    };
    assert_eq!(
        format!("{:?}", pending.input()),
        "PrfInput(6 bytes, hidden)"
    );
}
