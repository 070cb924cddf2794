//! The explanation of key files and channel bindings.

use super::*;
use chanbind_core::crypto::sha256;

#[test]
fn hmac_keys_are_explained_with_parent_policy_and_name() {
    let workspace = Workspace::new();
    workspace.provision("client1", &["--pcrs", "sha256:7"]);
    let (out, _) = workspace.succeed(&["inspect", "key", "client1.pem"]);
    assert_contains_all(
        &out,
        &[
            "H2 primary of the owner hierarchy",
            "\"client1\"",
            "keyed hash (HMAC with SHA-256)",
            "one-time passwords: chanbind connect otp\n",
            "PCRs 00000001000b03800000",
            "name         000b",
        ],
    );
}

#[test]
fn signing_keys_are_explained_with_the_pin_of_their_certificate() {
    let workspace = Workspace::new();
    workspace.authority("devices", "/CN=devices", P256);
    workspace.issue("client1", "devices", &[]);
    let (out, _) = workspace.succeed(&["inspect", "key", "client1.pem"]);
    let spki = ["x509", "-in", "client1.crt", "-noout", "-pubkey"];
    workspace.openssl(&[&spki[..], &["-out", "spki.pem"]].concat());
    workspace.openssl(&[
        "pkey", "-pubin", "-in", "spki.pem", "-outform", "der", "-out", "spki.der",
    ]);
    let pin = hex::encode(sha256(&std::fs::read(workspace.path("spki.der")).unwrap()));
    assert_contains_all(
        &out,
        &[
            "ECC on P-256, signs (ECDSA with SHA-256)",
            "authenticators: chanbind connect authenticator\n",
            &format!("  pin          {pin} "),
            "\"client1\"",
        ],
    );
}

#[test]
fn the_channel_binding_of_a_certificate_is_the_hash_that_openssl_computes() {
    let workspace = Workspace::without_tpm();
    let (out, _) = workspace.succeed(&["inspect", "binding", "chain.pem"]);
    let shown = workspace.openssl(&[
        "x509",
        "-in",
        "chain.pem",
        "-noout",
        "-fingerprint",
        "-sha256",
    ]);
    let (_, fingerprint) = shown.trim().split_once('=').unwrap();
    let fingerprint = fingerprint.replace(':', "").to_lowercase();
    assert_contains_all(&out, &[&fingerprint, "256 bits", "RFC 9266"]);
    let (code, error) = workspace.fail(&["inspect", "binding", "server.pem"]);
    assert_eq!(code, 1);
    assert!(
        error.contains("server.pem: no certificate can be read"),
        "{error}"
    );
}
