//! Validating authenticators on a Cortex-M4: instructions and stack.

use crate::{
    Figure, Outcome,
    instructions::{run, traced},
};
use chanbind::core::{
    authenticator::{CertificateChain, Client, Endpoint, Request, RequestParameters, Server},
    crypto::{ecdsa::Signature, sha256},
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
        &of_certificate(&one.certificate, authority.certificate())?,
        &first_signature,
        &of_certificate(intermediate.certificate(), authority.certificate())?,
        &of_certificate(&two.certificate, intermediate.certificate())?,
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
        "authenticator::prepare_stack",
        "authenticator::validate_two",
        "authenticator::bare_three",
        "authenticator::finish",
    ];
    let counted = traced(&std::fs::read(&program)?, &phases, |trace| {
        run(&program, trace, folder.path())
    })?;
    let [exports, one, bare_two, _, two, bare_three, _] =
        std::array::from_fn(|phase| counted.of_phase(phase));
    let stack: [u8; 4] = std::fs::read(folder.path().join("stack.bin"))?
        .try_into()
        .map_err(|_| "no stack was written down")?;
    let figure = |name: &str, value: f64, unit| (format!("Cortex-M4: {name}"), value, unit);
    Ok(vec![
        figure(
            "exports for authenticators, once a connection",
            exports,
            "instructions",
        ),
        figure(
            "authenticator with one certificate, asked for and validated",
            one,
            "instructions",
        ),
        figure(
            "the same / bare ECDSA verifications in it",
            one / bare_two,
            "ratio",
        ),
        figure(
            "the same with the exports / bare ECDSA verifications",
            (one + exports) / bare_two,
            "ratio",
        ),
        figure(
            "authenticator with two certificates / bare ECDSA verifications in it",
            two / bare_three,
            "ratio",
        ),
        figure(
            "stack to validate an authenticator with two certificates, by painting",
            f64::from(u32::from_be_bytes(stack)),
            "bytes",
        ),
    ])
}

/// The server's answer to the request that the board makes, and its signature.
fn answer(context: [u8; 16], who: &Issued, others: &[&[u8]]) -> Outcome<(Vec<u8>, Vec<u8>)> {
    let secret = ExporterSecret::sha256(&[7; 32]);
    let mut client = Endpoint::<Client>::new(&secret)?;
    let mut server = Endpoint::<Server>::new(&secret)?;
    let request = client.request(&RequestParameters::new(&context, &[P256]), [0; 64])?;
    let request = Request::parse(request.as_bytes())?;
    let certificates = [&[who.certificate.as_slice()], others].concat();
    let mut out = [0; 4096];
    let chain = CertificateChain::new(&certificates, P256);
    let unsigned = server.authenticate(&request, &chain, &mut out)?;
    let digest = unsigned.sha256();
    let signature: p256::ecdsa::Signature =
        who.key.sign_prehash(&digest).map_err(|_| "no signature")?;
    let (r, s) = signature.split_bytes();
    let authenticator = unsigned.sign_ecdsa(&Signature {
        r: r.into(),
        s: s.into(),
    })?;
    let key = who.key.verifying_key().to_encoded_point(false);
    let signature = [key.as_bytes(), &digest, &r, &s].concat();
    Ok((authenticator.to_vec(), signature))
}

/// Public key, digest and signature of a certificate.
fn of_certificate(certificate: &[u8], issuer: &[u8]) -> Outcome<Vec<u8>> {
    let mut parts = chanbind::core::wire::Reader::new(certificate);
    let (_, contents) = parts.der().map_err(|_| "no certificate")?;
    let mut parts = chanbind::core::wire::Reader::new(contents);
    let (_, _) = parts.der().map_err(|_| "no certificate")?;
    let signed = contents
        .get(..contents.len() - parts.rest().len())
        .ok_or("no certificate")?;
    let (_, _) = parts.der().map_err(|_| "no algorithm")?;
    let (_, signature) = parts.der().map_err(|_| "no signature")?;
    let signature = Signature::from_der(signature.get(1..).unwrap_or_default())
        .map_err(|_| "no ECDSA signature")?;
    let PublicKey::P256(key) = PublicKey::from_spki(subject_public_key_info(issuer)?)? else {
        return Err("no key on P-256".into());
    };
    Ok([&key[..], &sha256(signed), &signature.r, &signature.s].concat())
}
