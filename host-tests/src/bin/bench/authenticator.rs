//! Counts of the instructions and the stack that a Cortex-M4 needs to validate authenticators.

use crate::{
    Figure, Outcome,
    instructions::{run, stack_used, traced},
};
use chanbind::protocol::{
    authenticator::{CertificateChain, Client, Endpoint, Request, RequestParameters, Server},
    crypto::{ecdsa::Signature, sha256},
    der::{Reader, Tag},
    exporter::ExporterSecret,
    x509::{PublicKey, SignatureScheme, subject_public_key_info},
};
use chanbind_host_tests::{
    board::{Kind, built},
    pki::{Authority, Issued},
};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use std::time::{SystemTime, UNIX_EPOCH};

const P256: SignatureScheme = SignatureScheme::ECDSA_SECP256R1_SHA256;

pub(crate) fn figures() -> Outcome<Vec<Figure>> {
    let authority = Authority::new("authority")?;
    let intermediate = authority.subordinate("intermediate")?;
    let (one, two) = (authority.issue(|_| {})?, intermediate.issue(|_| {})?);
    let (first, first_signature) = answer([1; 16], &one, &[])?;
    let (second, second_signature) = answer([2; 16], &two, &[intermediate.certificate()])?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let mut file = now.to_be_bytes().to_vec();
    for field in [
        authority.certificate(),
        &first,
        &second,
        &certificate_signature(&one.certificate, authority.certificate())?,
        &first_signature,
        &certificate_signature(intermediate.certificate(), authority.certificate())?,
        &certificate_signature(&two.certificate, intermediate.certificate())?,
        &second_signature,
    ] {
        file.extend(u16::try_from(field.len())?.to_be_bytes());
        file.extend(field);
    }
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("authenticator.bin"), file)?;

    let program = built(Kind::QemuMps2, "authenticator");
    let phases = [
        "authenticator::endpoint_of",
        "authenticator::validate_one",
        "authenticator::bare_two",
        "benchmark::prepare_stack",
        "authenticator::validate_two",
        "authenticator::bare_three",
        "benchmark::finish",
    ];
    let counted = traced(&std::fs::read(&program)?, &phases, |trace| {
        run(&program, trace, folder.path())
    })?;
    let [exports, one, bare_two, _, two, bare_three, _] =
        std::array::from_fn(|phase| counted.of_phase(phase));
    let stack = stack_used(folder.path())?;
    let figure = |name: &str, value: f64, unit| (format!("Cortex-M4: {name}"), value, unit);
    Ok(vec![
        figure(
            "exports for authenticators, once per connection",
            exports,
            "instructions",
        ),
        figure(
            "request and validation of an authenticator with one certificate",
            one,
            "instructions",
        ),
        figure(
            "authenticator with one certificate / bare ECDSA verifications",
            one / bare_two,
            "ratio",
        ),
        figure(
            "authenticator with one certificate and exports / bare ECDSA verifications",
            (one + exports) / bare_two,
            "ratio",
        ),
        figure(
            "authenticator with two certificates / bare ECDSA verifications",
            two / bare_three,
            "ratio",
        ),
        figure(
            "stack to validate an authenticator with two certificates (stack painting)",
            stack,
            "bytes",
        ),
    ])
}

/// Returns the server's authenticator for the request that the board creates, and its public key, digest and signature.
fn answer(
    context: [u8; 16],
    leaf: &Issued,
    intermediates: &[&[u8]],
) -> Outcome<(Vec<u8>, Vec<u8>)> {
    let secret = ExporterSecret::sha256(&[7; 32]);
    let mut client = Endpoint::<Client>::new(&secret)?;
    let mut server = Endpoint::<Server>::new(&secret)?;
    let request = client.request(&RequestParameters::new(&context, &[P256]), [0; 64])?;
    let request = Request::parse(request.as_bytes())?;
    let certificates = [&[leaf.certificate.as_slice()], intermediates].concat();
    let mut out = [0; 4096];
    let chain = CertificateChain::new(&certificates, P256);
    let unsigned = server.authenticate(&request, &chain, &mut out)?;
    let digest = unsigned.sha256();
    let signature: p256::ecdsa::Signature = leaf
        .key
        .sign_prehash(&digest)
        .map_err(|_| "the digest cannot be signed")?;
    let (r, s) = signature.split_bytes();
    let authenticator = unsigned.sign_ecdsa(&Signature {
        r: r.into(),
        s: s.into(),
    })?;
    let key = leaf.key.verifying_key().to_encoded_point(false);
    let signature = [key.as_bytes(), &digest, &r, &s].concat();
    Ok((authenticator.to_vec(), signature))
}

/// Returns the issuer's public key, the digest and the signature of a certificate.
fn certificate_signature(certificate: &[u8], issuer: &[u8]) -> Outcome<Vec<u8>> {
    let truncated = |_| "the certificate is truncated";
    let mut parts = Reader::new(certificate).sequence().map_err(truncated)?;
    let signed = parts.whole(Tag::SEQUENCE).map_err(truncated)?;
    parts
        .algorithm()
        .map_err(|_| "the certificate has no signature algorithm")?;
    let signature = parts
        .bit_string_of_bytes()
        .map_err(|_| "the certificate has no signature")?;
    let signature =
        Signature::from_der(signature).map_err(|_| "the certificate has no ECDSA signature")?;
    let PublicKey::P256(key) = PublicKey::from_spki(subject_public_key_info(issuer)?)? else {
        return Err("the issuer's key is not on P-256".into());
    };
    Ok([&key[..], &sha256(signed), &signature.r, &signature.s].concat())
}
