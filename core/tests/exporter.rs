//! Comparison with exporter outputs of other implementations, and the limits of RFC 8446 section 7.5.
#![cfg(test)]

mod vectors;

use chanbind_core::exporter::{Exporter, ExporterError, ExporterSecret};
use vectors::{hex_of, load, text_of};

fn secret(hash: &str, bytes: &[u8]) -> ExporterSecret {
    match hash {
        "SHA-256" => ExporterSecret::sha256(bytes.try_into().unwrap()),
        "SHA-384" => ExporterSecret::sha384(bytes.try_into().unwrap()),
        other => panic!("hash {other}"),
    }
}

#[test]
fn matches_outputs_of_mbedtls_openssl_and_fizz() {
    let file = load("tls13-exporter-output.json");
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 4);
    for vector in vectors {
        let secret = secret(
            text_of(&vector["hash"]),
            &hex_of(&vector["exporter_master_secret"]),
        );
        let mut out = vec![0; usize::try_from(vector["length"].as_u64().unwrap()).unwrap()];
        secret
            .export_keying_material(
                text_of(&vector["label"]).as_bytes(),
                Some(text_of(&vector["context"]).as_bytes()),
                &mut out,
            )
            .unwrap();
        assert_eq!(out, hex_of(&vector["ekm"]), "{}", vector["label"]);
    }
}

/// In the traces of RFC 8448, the value named PRK is the main secret.
#[test]
fn derives_exporter_secrets_of_rfc_8448_from_main_secrets() {
    let file = load("rfc8448-exporter.json");
    let mut traces = 0;
    for trace in file["rfc8448"].as_array().unwrap() {
        if trace["label"] != "exp master" {
            continue;
        }
        let array = |name: &str| hex_of(&trace[name]).try_into().unwrap();
        let derived =
            ExporterSecret::from_main_secret_sha256(&array("prk"), &array("transcript_hash"));
        let printed = secret("SHA-256", &hex_of(&trace["expanded"]));
        let export = |secret: &ExporterSecret| {
            let mut out = [0; 32];
            secret
                .export_keying_material(b"label", None, &mut out)
                .unwrap();
            out
        };
        assert_eq!(export(&derived), export(&printed));
        traces += 1;
    }
    assert!(traces >= 3);
}

/// The secrets are those of RFC 8448. The RFC prints no exporter outputs, so another program computed the expected outputs.
#[test]
fn matches_recomputed_outputs_for_secrets_of_rfc_8448() {
    let file = load("rfc8448-exporter.json");
    let printed: Vec<_> = file["rfc8448"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|trace| trace["label"] == "exp master")
        .collect();
    let mut outputs = 0;
    for derived in file["derived"]["values"].as_array().unwrap() {
        let master = hex_of(&derived["exporter_master_secret"]);
        assert!(
            printed
                .iter()
                .any(|trace| hex_of(&trace["expanded"]) == master)
        );
        for (label, value) in derived["derived_here_not_in_rfc"].as_object().unwrap() {
            let mut out = [0; 32];
            secret("SHA-256", &master)
                .export_keying_material(label.as_bytes(), None, &mut out)
                .unwrap();
            assert_eq!(out.as_slice(), hex_of(value));
            outputs += 1;
        }
    }
    assert_eq!(outputs, 25);
}

#[test]
fn absent_and_empty_context_give_the_same_output() {
    let secret = ExporterSecret::sha256(&[1; 32]);
    let (mut absent, mut empty, mut other) = ([0; 32], [0; 32], [0; 32]);
    secret
        .export_keying_material(b"label", None, &mut absent)
        .unwrap();
    secret
        .export_keying_material(b"label", Some(&[]), &mut empty)
        .unwrap();
    secret
        .export_keying_material(b"label", Some(&[0]), &mut other)
        .unwrap();
    assert_eq!(absent, empty);
    assert_ne!(absent, other);
}

#[test]
fn exceeding_a_limit_is_an_error_and_zeroes_the_output() {
    for (secret, max) in [
        (ExporterSecret::sha256(&[1; 32]), 8160),
        (ExporterSecret::sha384(&[1; 48]), 12240),
    ] {
        let mut out = vec![0xaa; max];
        secret
            .export_keying_material(&[b'l'; 249], Some(&[0; 70_000]), &mut out)
            .unwrap();
        let mut out = vec![0xaa; max + 1];
        assert_eq!(
            secret.export_keying_material(b"l", None, &mut out),
            Err(ExporterError::OutputLength {
                actual: max + 1,
                max
            })
        );
        assert!(out.iter().all(|&byte| byte == 0));
        assert_eq!(
            secret.export_keying_material(b"l", None, &mut []),
            Err(ExporterError::OutputLength { actual: 0, max })
        );
        assert_eq!(
            secret.export_keying_material(&[b'l'; 250], None, &mut [0; 32]),
            Err(ExporterError::LabelTooLong { actual: 250 })
        );
    }
}

#[test]
fn debug_hides_the_secret() {
    assert_eq!(
        format!("{:?}", ExporterSecret::sha256(&[0x5a; 32])),
        "ExporterSecret(SHA-256, hidden)"
    );
}
