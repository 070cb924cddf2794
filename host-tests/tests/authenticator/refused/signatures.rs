//! Schemes that were not offered, that are not verified, that TLS 1.3 has not, or that are not the key's.

use super::*;
use rcgen::{
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, SigningKey as _,
};

const PKCS1: SignatureScheme = SignatureScheme::RSA_PKCS1_SHA256;
const PSS: SignatureScheme = SignatureScheme::RSA_PSS_RSAE_SHA256;
const P384: SignatureScheme = SignatureScheme::ECDSA_SECP384R1_SHA384;
const ED25519: SignatureScheme = SignatureScheme::ED25519;

/// An authenticator by another kind of key, and what a server of this host says that has asked for `offered`.
fn verdict_by(
    who: &OtherKey,
    offered: &[SignatureScheme],
    scheme: SignatureScheme,
    signer: &dyn Fn(&[u8]) -> Vec<u8>,
) -> Result<(), ValidateError> {
    let pki = Pki::new();
    let mut server = Connection::new(1).server;
    let pending = ask(&mut server, &RequestParameters::new(CONTEXT, offered));
    let request = pending.as_bytes().to_vec();
    let mut maker = maker(&pki, &request);
    maker.entries = vec![(who.certificate.clone(), Vec::new())];
    maker.scheme = scheme.0;
    maker.signer = Box::new(signer);
    who.judge(&mut server, pending, &maker.make()).map(|_| ())
}

#[test]
fn a_scheme_that_was_not_offered() {
    let pki = Pki::new();
    let parameters = RequestParameters::new(CONTEXT, &[ED25519, P384]);
    let request = request_with(&parameters);
    let made = maker(&pki, &request).make();
    let said = verdict_with(&parameters, &pki.authority, &made);
    assert_eq!(said, Err(ValidateError::Scheme(P256)));

    let offered = Offered {
        signature_algorithms: &[ED25519],
        signature_algorithms_cert: &[],
        extensions: &[],
    };
    let made = Maker::new(Side::Server, &[], CONTEXT, &pki.server).make();
    let anchors = Anchors::new(&[pki.authority.certificate()]).unwrap();
    let rules = PathRules::new(&anchors, Usage::ServerAuth, now());
    let mut client = Connection::new(1).client;
    let said = client.validate_spontaneous(&offered, &made, &rules);
    assert_eq!(said.unwrap_err(), ValidateError::Scheme(P256));
}

/// For signatures in certificates only.
#[test]
fn a_scheme_that_was_offered_for_certificates() {
    let pki = Pki::new();
    let mut parameters = RequestParameters::new(CONTEXT, &[ED25519]);
    parameters.signature_algorithms_cert = &[P256];
    let request = request_with(&parameters);
    let made = maker(&pki, &request).make();
    let said = verdict_with(&parameters, &pki.authority, &made);
    assert_eq!(said, Err(ValidateError::Scheme(P256)));
}

/// Offered by mistake: it is said, not taken for something else.
#[test]
fn a_scheme_that_was_offered_and_is_not_verified() {
    let pki = Pki::new();
    for scheme in [P384, ED25519, PSS, SignatureScheme(0xfe00)] {
        let offered = [P256, scheme];
        let parameters = RequestParameters::new(CONTEXT, &offered);
        let request = request_with(&parameters);
        let mut maker = maker(&pki, &request);
        maker.scheme = scheme.0;
        let said = verdict_with(&parameters, &pki.authority, &maker.make());
        assert_eq!(said, Err(ValidateError::Scheme(scheme)));
    }
}

/// Schemes of TLS 1.2, offered and rightly signed (RFC 9261 section 5.2.2).
#[test]
fn pkcs1_offered_and_used() {
    let who = OtherKey::new(&PKCS_RSA_SHA256);
    let pkcs1 = |message: &[u8]| who.key.sign(message).unwrap();
    let said = verdict_by(&who, &[PKCS1, PSS], PKCS1, &pkcs1);
    assert_eq!(said, Err(ValidateError::Scheme(PKCS1)));
    // Nor under the name of PSS.
    let said = verdict_by(&who, &[PKCS1, PSS], PSS, &pkcs1);
    assert_eq!(said, Err(ValidateError::CertificateVerify));
    let pss = |message: &[u8]| who.sign(PSS, message);
    assert_eq!(verdict_by(&who, &[PKCS1, PSS], PSS, &pss), Ok(()));
    let other_hash = SignatureScheme::RSA_PSS_RSAE_SHA512;
    let said = verdict_by(&who, &[other_hash, PSS], other_hash, &pss);
    assert_eq!(said, Err(ValidateError::CertificateVerify));
}

#[test]
fn schemes_that_tls_1_3_has_not() {
    let who = OtherKey::new(&PKCS_ECDSA_P256_SHA256);
    let sign = |message: &[u8]| who.sign(P256, message);
    assert_eq!(verdict_by(&who, &[P256], P256, &sign), Ok(()));
    for scheme in [
        0x0000, 0x0101, 0x0102, 0x0103, 0x0201, 0x0202, 0x0203, 0x0301, 0x0303, 0x0401, 0x0402,
        0x0420, 0x0501, 0x0520, 0x0601, 0x0620, 0xffff,
    ] {
        let scheme = SignatureScheme(scheme);
        let said = verdict_by(&who, &[P256, scheme], scheme, &sign);
        assert_eq!(said, Err(ValidateError::Scheme(scheme)));
    }
}

/// The scheme is offered and verified, the key is another's.
#[test]
fn a_scheme_that_is_not_the_keys() {
    let all = [P256, P384, ED25519, PSS];
    for (algorithm, own) in [
        (&PKCS_ECDSA_P256_SHA256, P256),
        (&PKCS_ECDSA_P384_SHA384, P384),
        (&PKCS_ED25519, ED25519),
        (&PKCS_RSA_SHA256, PSS),
    ] {
        let who = OtherKey::new(algorithm);
        let sign = |message: &[u8]| who.sign(own, message);
        for scheme in all {
            let expected = if scheme == own {
                Ok(())
            } else {
                Err(PathError::PublicKey.into())
            };
            assert_eq!(
                verdict_by(&who, &all, scheme, &sign),
                expected,
                "{own} {scheme}"
            );
        }
    }
}

/// Firmware verifies P-256 alone: of a certificate with another key nothing is believed.
#[test]
fn another_key_where_only_p256_is_verified() {
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
    let pending = ask(&mut server, &parameters(CONTEXT));
    let made = maker.make();
    let said = server.validate(pending, &made, &rules);
    let expected = ValidateError::Path(PathError::SignatureAlgorithm);
    assert_eq!(said.unwrap_err(), expected);
}

/// The certificate of another: public, and of no use without its key.
#[test]
fn a_certificate_without_its_key() {
    let pki = Pki::new();
    let request = request();
    let other = client_of(&pki.authority);
    let mut maker = maker(&pki, &request);
    maker.entries[0].0 = other.certificate;
    let said = verdict(&pki, &maker.make());
    assert_eq!(said, Err(ValidateError::CertificateVerify));
}

/// Encodings of the right signature that are none, and scalars that are none.
#[test]
fn signatures_that_are_none() {
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
        let said = verdict(&pki, &maker.make());
        let expected = Err(ValidateError::CertificateVerify);
        assert_eq!(said, expected, "{signature:02x?}");
    }
    // Of fixed length, as JOSE has it; and with a length that is not minimal.
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
        let said = verdict(&pki, &maker.make());
        assert_eq!(said, Err(ValidateError::CertificateVerify));
    }
}

/// The client's side of it: what was not offered is not signed with.
#[test]
fn nothing_is_made_with_a_scheme_that_was_not_offered() {
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

/// What is left of TLS 1.2, and PKCS #1 (RFC 9261 section 5.2.2).
#[test]
fn schemes_that_are_not_for_messages() {
    for scheme in [
        0x0000, 0x0100, 0x0102, 0x0103, 0x0300, 0x0302, 0x0303, 0x0402, 0x0420, 0x0502, 0x0520,
        0x0602, 0x0620,
    ] {
        let scheme = SignatureScheme(scheme);
        assert!(!scheme.is_for_messages(), "{scheme}");
    }
}
