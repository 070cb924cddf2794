//! Certificate paths that are built from the input, with signatures that are valid or not by a rule: core, which verifies
//! signatures after webpki's search, returns the same result as webpki with signatures that are verified during the search.
#![no_main]

use chanbind_core::{
    crypto::{
        ecdsa::{P256, PUBLIC_KEY_LEN, Signature},
        sha256,
    },
    x509::{Anchors, MAX_CANDIDATES, MAX_INTERMEDIATES, PathError, PathRules, Time, Usage},
};
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm,
    TrustAnchor, UnixTime, alg_id,
};
use std::{fmt, time::Duration};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath, anchor_from_trusted_cert};

/// Returns true for three of four pairs of key and digest, which count as valid signatures.
fn is_valid_signature(key: &[u8], digest: &[u8; 32]) -> bool {
    (key[64] ^ digest[0]) & 3 != 0
}

/// The rule as core's verifier, which is called after the search.
#[derive(Debug)]
struct DeferredVerifier;

impl P256 for DeferredVerifier {
    fn verify(&self, key: &[u8; PUBLIC_KEY_LEN], digest: &[u8; 32], _: &Signature) -> bool {
        is_valid_signature(key, digest)
    }
}

/// The rule as webpki's verifier, which is called during the search.
struct ImmediateVerifier;

impl fmt::Debug for ImmediateVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ImmediateVerifier")
    }
}

impl SignatureVerificationAlgorithm for ImmediateVerifier {
    fn verify_signature(
        &self,
        key: &[u8],
        message: &[u8],
        _: &[u8],
    ) -> Result<(), InvalidSignature> {
        if is_valid_signature(key, &sha256(message)) {
            Ok(())
        } else {
            Err(InvalidSignature)
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P256
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA256
    }
}

/// The years from which certificates are valid, and their first seconds in Unix time. All but the first are after [`NOW`].
const BEGIN: [(&str, u64); 4] = [
    ("2000", 946_684_800),
    ("2010", 1_262_304_000),
    ("2020", 1_577_836_800),
    ("2030", 1_893_456_000),
];
const NOW: u64 = 1_104_537_600;

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let len = u16::try_from(contents.len())
        .expect("the length fits two bytes")
        .to_be_bytes();
    let len = match contents.len() {
        0..0x80 => len[1..].to_vec(),
        0x80..0x100 => vec![0x81, len[1]],
        _ => [&[0x82], &len[..]].concat(),
    };
    [&[tag], &*len, &contents].concat()
}

fn name(number: u8) -> Vec<u8> {
    let common = tlv(0x30, &[&[6, 3, 0x55, 4, 3], &[0x0c, 1, b'A' + number]]);
    tlv(0x30, &[&tlv(0x31, &[&common])])
}

fn extension(id: u8, value: &[u8]) -> Vec<u8> {
    tlv(0x30, &[&[6, 3, 0x55, 0x1d, id], &tlv(4, &[value])])
}

/// A certificate whose properties are selected by five bytes of the input.
struct TestCertificate {
    certificate: Vec<u8>,
    may_sign_certificates: bool,
}

impl TestCertificate {
    fn new(selectors: &[u8; 5]) -> Self {
        let [names, key, dates, usages, constraints] = *selectors;
        let algorithm: &[u8] = &[0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
        let point = [&[3, 0x42, 0, 4][..], &[key & 7; 64]].concat();
        let ec: &[u8] = &[
            0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce,
            0x3d, 3, 1, 7,
        ];
        let time = |year: &str| tlv(0x18, &[format!("{year}0101000000Z").as_bytes()]);
        let (from, _) = BEGIN[usize::from(dates & 3)];
        // One of eight certificates ends when it begins, or in 2004, which is before NOW.
        let until = match dates & 0x1c {
            0 => from.max("2004"),
            _ => "2050",
        };
        let mut extensions = extension(17, &tlv(0x30, &[&tlv(0x82, &[b"x.a"])]));
        if usages & 0x40 != 0 {
            let length = [2, 1, usages >> 4 & 3];
            let length: &[u8] = if usages & 0x80 != 0 { &length } else { &[] };
            let value = tlv(0x30, &[&[1, 1, 0xff], length]);
            extensions.extend(extension(19, &value));
        }
        let bits = [None, Some(0x80), Some(0x04), Some(0x84)][usize::from(usages & 3)];
        if let Some(bits) = bits {
            extensions.extend(extension(15, &[3, 2, 2, bits]));
        }
        let purpose = |last| tlv(0x30, &[&[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, last]]);
        match usages >> 2 & 3 {
            0 => extensions.extend(extension(37, &purpose(1))),
            1 => extensions.extend(extension(37, &purpose(2))),
            _ => {}
        }
        let subtree = |name: &[u8]| tlv(0x30, &[&tlv(0x82, &[name])]);
        let constrained = match constraints & 7 {
            0 => Some(tlv(0xa0, &[&subtree(b"a")])),
            1 => Some(tlv(0xa0, &[&subtree(b"b")])),
            2 => Some(tlv(0xa1, &[&subtree(b"a")])),
            3 => Some(tlv(0xa1, &[&subtree(b"b")])),
            _ => None,
        };
        if let Some(constrained) = constrained {
            extensions.extend(extension(30, &tlv(0x30, &[&constrained])));
        }
        let parts: [&[u8]; 8] = [
            &[0xa0, 3, 2, 1, 2],
            &[2, 2, 1, constraints >> 3],
            algorithm,
            &name(names & 3),
            &tlv(0x30, &[&time(from), &time(until)]),
            &name(names >> 2 & 3),
            &tlv(0x30, &[ec, &point]),
            &tlv(0xa3, &[&tlv(0x30, &[&extensions])]),
        ];
        let signed = tlv(0x30, &parts);
        let signature = [3, 9, 0, 0x30, 6, 2, 1, 1, 2, 1, 1];
        Self {
            certificate: tlv(0x30, &[&signed, algorithm, &signature]),
            may_sign_certificates: bits.is_none_or(|bits| bits & 4 != 0),
        }
    }
}

/// Returns the result of webpki at this time.
fn verify_with_webpki(
    all: &[TestCertificate],
    anchors: &[TrustAnchor<'_>],
    time: u64,
) -> Result<(), webpki::Error> {
    let mut ders: Vec<CertificateDer<'_>> = Vec::new();
    for (at, one) in all.iter().enumerate() {
        // Core ignores repetitions, which would only exhaust webpki's budget here.
        if !all
            .iter()
            .take(at)
            .skip(1)
            .any(|other| other.certificate == one.certificate)
        {
            ders.push(CertificateDer::from(&*one.certificate));
        }
    }
    let leaf = EndEntityCert::try_from(&ders[0]).expect("the certificate is well-formed");
    let may_sign = |path: &VerifiedPath<'_>| {
        let all_may = path.intermediate_certificates().all(|between| {
            let der = between.der();
            let found = all.iter().find(|one| one.certificate == *der);
            found.is_some_and(|one| one.may_sign_certificates)
        });
        if !all_may {
            return Err(webpki::Error::EndEntityUsedAsCa);
        }
        if path.intermediate_certificates().count() > MAX_INTERMEDIATES {
            return Err(webpki::Error::MaximumPathDepthExceeded);
        }
        Ok(())
    };
    let time = UnixTime::since_unix_epoch(Duration::from_secs(time));
    let usage = KeyUsage::server_auth();
    let path = leaf.verify_for_usage(
        &[&ImmediateVerifier],
        anchors,
        &ders[1..],
        time,
        usage,
        None,
        Some(&may_sign),
    );
    path.map(|_| ())
}

fuzz_target!(|input: &[u8]| {
    let Some((head, rest)) = input.split_first() else {
        return;
    };
    let (selectors, _) = rest.as_chunks::<5>();
    let anchors_len = usize::from(head & 3) + 1;
    if selectors.len() < anchors_len + 1 {
        return;
    }
    let (anchor_certificates, path_selectors) = selectors.split_at(anchors_len);
    let anchor_certificates: Vec<_> = anchor_certificates
        .iter()
        .map(TestCertificate::new)
        .collect();
    let all: Vec<_> = path_selectors
        .iter()
        .take(MAX_CANDIDATES + 1)
        .map(TestCertificate::new)
        .collect();

    let ders: Vec<_> = anchor_certificates
        .iter()
        .map(|one| &*one.certificate)
        .collect();
    let anchors = Anchors::new(&ders).expect("the anchors are well-formed");
    let (leaf, intermediates) = all.split_first().expect("the path has a leaf");
    let intermediates: Vec<_> = intermediates.iter().map(|one| &*one.certificate).collect();
    let verify = |time| -> Result<(), PathError> {
        PathRules::new(&anchors, Usage::ServerAuth, time)
            .with_p256(&DeferredVerifier)
            .verify(&leaf.certificate, intermediates.iter().copied())
            .map(|_| ())
    };

    let ders: Vec<_> = ders.into_iter().map(CertificateDer::from).collect();
    let anchors = ders.iter().map(anchor_from_trusted_cert);
    let anchors: Vec<_> = anchors
        .map(|one| one.expect("the anchor is well-formed"))
        .collect();
    // webpki does not check the leaf's key usage.
    let leaf_may_sign = path_selectors[0][3] & 3 != 2;

    let expected = match verify_with_webpki(&all, &anchors, NOW) {
        Ok(()) if leaf_may_sign => Ok(()),
        Ok(()) => Err(PathError::Usage),
        Err(error) => Err(error.into()),
    };
    assert_eq!(verify(Time::At(NOW)), expected);

    // If core accepts the path, there is a time at which webpki accepts all of it.
    let begin = BEGIN.map(|(_, time)| time).into_iter();
    let mut times = begin.filter(|&time| time > NOW).chain([NOW]);
    let expected =
        leaf_may_sign && times.any(|time| verify_with_webpki(&all, &anchors, time).is_ok());
    let result = verify(Time::NotBefore(NOW));
    // The converse does not hold: webpki reports one of several errors, which is not always that a certificate is not yet valid.
    assert!(result.is_err() || expected);
});
