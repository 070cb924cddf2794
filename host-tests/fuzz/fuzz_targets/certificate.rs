//! Certificates with any signature: if core accepts a certificate, webpki reads the same values from it.
#![no_main]

use chanbind_core::{
    crypto::ecdsa::{P256, PUBLIC_KEY_LEN, Signature},
    x509::{Anchors, PathRules, SubjectAltName, Time, Usage, subject_public_key_info},
};
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;

/// A verifier that accepts every signature.
#[derive(Debug)]
struct AcceptAll;

impl P256 for AcceptAll {
    fn verify(&self, _: &[u8; PUBLIC_KEY_LEN], _: &[u8; 32], _: &Signature) -> bool {
        true
    }
}

const ANCHOR: &[u8] = include_bytes!("../seeds/certificate/requested_ecdsa_p256_sha256.der");

fuzz_target!(|certificate: &[u8]| {
    let _ = subject_public_key_info(certificate);
    let anchors = Anchors::new(&[ANCHOR]).expect("the anchor is valid");
    let rules = PathRules::new(&anchors, Usage::ServerAuth, Time::dangerous_unknown())
        .with_p256(&AcceptAll);
    let Ok(leaf) = rules.verify(certificate, [certificate]) else {
        return;
    };
    let der = CertificateDer::from(certificate);
    let by_webpki = EndEntityCert::try_from(&der).expect("webpki parses what core accepts");
    let spki = by_webpki.subject_public_key_info();
    assert_eq!(leaf.subject_public_key_info(), spki.as_ref());
    assert!(leaf.subject().ends_with(by_webpki.subject()));
    let header = leaf.subject().len() - by_webpki.subject().len();
    assert!(matches!(header, 2..=4), "{header}");

    let names: Vec<_> = leaf.subject_alt_names().collect();
    for name in by_webpki.valid_dns_names() {
        assert!(names.contains(&SubjectAltName::Dns(name)), "{name}");
    }
    for name in by_webpki.valid_uri_names().filter(|name| name.is_ascii()) {
        assert!(names.contains(&SubjectAltName::Uri(name)), "{name}");
    }
    for name in names {
        match name {
            SubjectAltName::Dns(name) | SubjectAltName::Uri(name) | SubjectAltName::Email(name) => {
                assert!(name.is_ascii());
                let _ = leaf.has_name(name);
            }
            SubjectAltName::Ip(ip) => _ = leaf.has_name(&ip.to_string()),
            _ => {}
        }
    }
    let _ = (leaf.common_name(), leaf.public_key());
});
