//! Signature schemes that were not offered, are not supported, do not belong to TLS 1.3, or do not fit the key; and invalid
//! signatures.

use super::*;
use rcgen::{
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, SigningKey as _,
};

const PKCS1: SignatureScheme = SignatureScheme::RSA_PKCS1_SHA256;
const PSS: SignatureScheme = SignatureScheme::RSA_PSS_RSAE_SHA256;
const P384: SignatureScheme = SignatureScheme::ECDSA_SECP384R1_SHA384;
const ED25519: SignatureScheme = SignatureScheme::ED25519;

/// Validates an authenticator with the key of `identity` as a server that offers `offered` and has the host's signature
/// algorithms.
fn verdict_by(
    identity: &OtherKey,
    offered: &[SignatureScheme],
    scheme: SignatureScheme,
    signer: &dyn Fn(&[u8]) -> Vec<u8>,
) -> Result<(), ValidateError> {
    let pki = Pki::new();
    let mut server = Connection::new(1).server;
    let pending = create_request(&mut server, &RequestParameters::new(CONTEXT, offered));
    let request = pending.as_bytes().to_vec();
    let mut maker = maker(&pki, &request);
    maker.entries = vec![(identity.certificate.clone(), Vec::new())];
    maker.scheme = scheme.0;
    maker.signer = Box::new(signer);
    identity
        .validate_as_server(&mut server, pending, &maker.make())
        .map(|_| ())
}

#[test]
fn rejects_signature_scheme_not_offered() {
    let pki = Pki::new();
    let parameters = RequestParameters::new(CONTEXT, &[ED25519, P384]);
    let request = request_with(&parameters);
    let authenticator = maker(&pki, &request).make();
    let result = verdict_with(&parameters, &pki.authority, &authenticator);
    assert_eq!(result, Err(ValidateError::Scheme(P256)));

    let offered = Offered {
        signature_algorithms: &[ED25519],
        signature_algorithms_cert: &[],
        extensions: &[],
    };
    let authenticator = Maker::new(Side::Server, &[], CONTEXT, &pki.server).make();
    let anchors = Anchors::new(&[pki.authority.certificate()]).unwrap();
    let rules = PathRules::new(&anchors, Usage::ServerAuth, now());
    let mut client = Connection::new(1).client;
    let result = client.validate_spontaneous(&offered, &authenticator, &rules);
    assert_eq!(result.unwrap_err(), ValidateError::Scheme(P256));
}

/// The scheme was offered only for signatures in certificates.
#[test]
fn rejects_signature_scheme_offered_only_for_certificates() {
    let pki = Pki::new();
    let mut parameters = RequestParameters::new(CONTEXT, &[ED25519]);
    parameters.signature_algorithms_cert = &[P256];
    let request = request_with(&parameters);
    let authenticator = maker(&pki, &request).make();
    let result = verdict_with(&parameters, &pki.authority, &authenticator);
    assert_eq!(result, Err(ValidateError::Scheme(P256)));
}

/// A scheme that was offered by mistake is reported as such.
#[test]
fn rejects_offered_but_unsupported_signature_scheme() {
    let pki = Pki::new();
    for scheme in [P384, ED25519, PSS, SignatureScheme(0xfe00)] {
        let offered = [P256, scheme];
        let parameters = RequestParameters::new(CONTEXT, &offered);
        let request = request_with(&parameters);
        let mut maker = maker(&pki, &request);
        maker.scheme = scheme.0;
        let result = verdict_with(&parameters, &pki.authority, &maker.make());
        assert_eq!(result, Err(ValidateError::Scheme(scheme)));
    }
}

/// PKCS #1 is not allowed in authenticators, even if it was offered and the signature is valid (RFC 9261 section 5.2.2).
#[test]
fn rejects_pkcs1_signature_even_if_offered() {
    let identity = OtherKey::new(&PKCS_RSA_SHA256);
    let pkcs1 = |message: &[u8]| identity.key.sign(message).unwrap();
    let result = verdict_by(&identity, &[PKCS1, PSS], PKCS1, &pkcs1);
    assert_eq!(result, Err(ValidateError::Scheme(PKCS1)));
    // A PKCS #1 signature under the code of PSS.
    let result = verdict_by(&identity, &[PKCS1, PSS], PSS, &pkcs1);
    assert_eq!(result, Err(ValidateError::CertificateVerify));
    let pss = |message: &[u8]| identity.sign(PSS, message);
    assert_eq!(verdict_by(&identity, &[PKCS1, PSS], PSS, &pss), Ok(()));
    let other_hash = SignatureScheme::RSA_PSS_RSAE_SHA512;
    let result = verdict_by(&identity, &[other_hash, PSS], other_hash, &pss);
    assert_eq!(result, Err(ValidateError::CertificateVerify));
}

#[test]
fn rejects_signature_schemes_not_in_tls_1_3() {
    let identity = OtherKey::new(&PKCS_ECDSA_P256_SHA256);
    let sign = |message: &[u8]| identity.sign(P256, message);
    assert_eq!(verdict_by(&identity, &[P256], P256, &sign), Ok(()));
    for scheme in [
        0x0000, 0x0101, 0x0102, 0x0103, 0x0201, 0x0202, 0x0203, 0x0301, 0x0303, 0x0401, 0x0402,
        0x0420, 0x0501, 0x0520, 0x0601, 0x0620, 0xffff,
    ] {
        let scheme = SignatureScheme(scheme);
        let result = verdict_by(&identity, &[P256, scheme], scheme, &sign);
        assert_eq!(result, Err(ValidateError::Scheme(scheme)));
    }
}

/// The scheme is offered and supported, but belongs to another type of key.
#[test]
fn rejects_signature_scheme_of_other_key_type() {
    let all = [P256, P384, ED25519, PSS];
    for (algorithm, own) in [
        (&PKCS_ECDSA_P256_SHA256, P256),
        (&PKCS_ECDSA_P384_SHA384, P384),
        (&PKCS_ED25519, ED25519),
        (&PKCS_RSA_SHA256, PSS),
    ] {
        let identity = OtherKey::new(algorithm);
        let sign = |message: &[u8]| identity.sign(own, message);
        for scheme in all {
            let expected = if scheme == own {
                Ok(())
            } else {
                Err(PathError::PublicKey.into())
            };
            assert_eq!(
                verdict_by(&identity, &all, scheme, &sign),
                expected,
                "{own} {scheme}"
            );
        }
    }
}

/// Firmware supports only P-256: it rejects a certificate with another type of key.
#[test]
fn p256_only_rules_reject_ed25519_certificate() {
    let pki = Pki::new();
    let request = request();
    let other = OtherKey::new(&PKCS_ED25519);
    let key = rcgen::PublicKeyData::der_bytes(&other.key);
    assert_eq!(key.len(), 32);
    let mut maker = maker(&pki, &request);
    maker.entries = vec![(other.certificate.clone(), Vec::new())];
    let anchors = Anchors::new(&[&other.authority]).unwrap();
    let rules = PathRules::new(&anchors, Usage::ClientAuth, now());
    let mut server = Connection::new(1).server;
    let pending = create_request(&mut server, &parameters(CONTEXT));
    let authenticator = maker.make();
    let result = server.validate(pending, &authenticator, &rules);
    let expected = ValidateError::Path(PathError::SignatureAlgorithm);
    assert_eq!(result.unwrap_err(), expected);
}

/// The certificate of another client is public, but useless without its key.
#[test]
fn rejects_certificate_without_its_private_key() {
    let pki = Pki::new();
    let request = request();
    let other = client_of(&pki.authority);
    let mut maker = maker(&pki, &request);
    maker.entries[0].0 = other.certificate;
    let result = verdict(&pki, &maker.make());
    assert_eq!(result, Err(ValidateError::CertificateVerify));
}

/// Invalid encodings of the right signature, and invalid scalars.
#[test]
fn rejects_invalid_ecdsa_signatures() {
    let pki = Pki::new();
    let request = request();
    let order = hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let order = [&[2, 33, 0][..], &order.unwrap()].concat();
    let one: &[u8] = &[2, 1, 1];
    let zero: &[u8] = &[2, 1, 0];
    let sequence = |parts: &[&[u8]]| {
        let parts = parts.concat();
        [&[0x30, u8::try_from(parts.len()).unwrap()], &*parts].concat()
    };
    let mut cases = vec![Vec::new(), vec![0x30, 0], vec![0; 64], vec![0xff; 72]];
    for r in [zero, one, &order] {
        for s in [zero, one, &order] {
            cases.push(sequence(&[r, s]));
        }
    }
    cases.push(sequence(&[one]));
    cases.push(sequence(&[one, one, one]));
    for signature in cases {
        let mut maker = maker(&pki, &request);
        maker.signer = Box::new(|_| signature.clone());
        let result = verdict(&pki, &maker.make());
        let expected = Err(ValidateError::CertificateVerify);
        assert_eq!(result, expected, "{signature:02x?}");
    }
    // Fixed length as in JOSE, a length that is not minimal, and another tag.
    let changes: [maker::Change; 3] = [
        |der| {
            let signature = Signature::from_der(der).unwrap();
            [signature.r, signature.s].concat()
        },
        |der| [&[0x30, 0x81], &der[1..]].concat(),
        |der| [&[0x31], &der[1..]].concat(),
    ];
    for change in changes {
        let mut maker = maker(&pki, &request);
        maker.signer = Box::new(|message| change(&maker::by_p256(&pki.client.key, message)));
        let result = verdict(&pki, &maker.make());
        assert_eq!(result, Err(ValidateError::CertificateVerify));
    }
}

/// An endpoint does not sign with a scheme that the peer did not offer.
#[test]
fn authenticate_rejects_signature_scheme_not_offered() {
    let pki = Pki::new();
    let certificates = [pki.client.certificate.as_slice()];
    let mut out = [0; 4096];
    for (offered, scheme) in [
        (&[ED25519][..], P256),
        (&[PKCS1, P256], PKCS1),
        (&[SignatureScheme(0x0203), P256], SignatureScheme(0x0203)),
    ] {
        let expected = AuthenticateError::Unsuitable(Unsuitable::Scheme(scheme));
        let request = request_with(&RequestParameters::new(CONTEXT, offered));
        let request = Request::parse(&request).unwrap();
        let chain = CertificateChain::new(&certificates, scheme);
        let mut connection = Connection::new(1);
        let refused = connection.client.authenticate(&request, &chain, &mut out);
        assert_eq!(refused.unwrap_err(), expected);
        let offered = Offered {
            signature_algorithms: offered,
            signature_algorithms_cert: &[],
            extensions: &[],
        };
        let refused = connection
            .server
            .authenticate_spontaneously(CONTEXT, &offered, &chain, &mut out);
        assert_eq!(refused.unwrap_err(), expected);
        assert_eq!(connection.client.contexts_left(), 16);
        assert_eq!(connection.server.contexts_left(), 16);
    }
}

/// Schemes of TLS 1.2 and PKCS #1 (RFC 9261 section 5.2.2).
#[test]
fn legacy_schemes_are_not_for_messages() {
    for scheme in [
        0x0000, 0x0100, 0x0102, 0x0103, 0x0300, 0x0302, 0x0303, 0x0402, 0x0420, 0x0502, 0x0520,
        0x0602, 0x0620,
    ] {
        let scheme = SignatureScheme(scheme);
        assert!(!scheme.is_for_messages(), "{scheme}");
    }
}
