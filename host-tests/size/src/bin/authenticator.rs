//! The program `x509` with all of section 7 of RFC 9261: it requests an authenticator and validates it, validates a spontaneous
//! one, and answers a request with an authenticator or declines it.
#![no_std]
#![no_main]

use chanbind_core::{
    authenticator::{
        CertificateChain, Client, Endpoint, ExtensionType, Offered, Request, RequestParameters,
    },
    crypto::{
        HmacSha256State,
        ecdsa::{RUST_CRYPTO, Signature},
        sha256,
    },
    exporter::{Exporter, ExporterSecret},
    x509::{Anchors, PathRules, PublicKey, SignatureScheme, SubjectAltName, Time, Usage},
};
use chanbind_size::{bytes, fill, program};

const P256: SignatureScheme = SignatureScheme::ECDSA_SECP256R1_SHA256;

fn verified() -> Option<u32> {
    let channel = ExporterSecret::sha256(bytes(32).first_chunk()?);
    let mut exported = [0; 32];
    (channel.export_keying_material(bytes(20), Some(bytes(8)), &mut exported)).ok()?;
    fill();
    let anchors = Anchors::new(&[bytes(500)]).ok()?;
    let rules = PathRules::new(&anchors, Usage::ServerAuth, Time::At(1_800_000_000));
    let leaf = rules.verify(bytes(500), [bytes(500)]).ok()?;
    leaf.has_name("gateway.example").ok()?;
    let PublicKey::P256(point) = leaf.public_key().ok()? else {
        return None;
    };
    let signature = Signature::from_der(bytes(72)).ok()?;
    let digest = HmacSha256State::new(&exported).mac_of_parts(&[&sha256(bytes(100))]);
    let verified = u32::from(RUST_CRYPTO.verify(&point, &digest, &signature));
    authenticated(&channel, &rules).map(|names| names.wrapping_add(verified))
}

fn authenticated(channel: &ExporterSecret, rules: &PathRules<'_>) -> Option<u32> {
    let mut endpoint = Endpoint::<Client>::new(channel).ok()?;
    let mut parameters = RequestParameters::new(bytes(16), &[P256]);
    parameters.server_name = Some("second.example");
    let authorities = [bytes(60)];
    parameters.certificate_authorities = &authorities;
    let pending = endpoint.request(&parameters, [0; 256]).ok()?;
    chanbind_size::output(u32::from(*pending.as_bytes().first()?));
    let validated = endpoint.validate(pending, bytes(1200), rules).ok()?;
    let mut names = 0;
    for name in validated.leaf().subject_alt_names() {
        names += match name {
            SubjectAltName::Dns(name) | SubjectAltName::Uri(name) => u32::from(name.len() > 1),
            SubjectAltName::Ip(address) => u32::from(address.is_ipv4()),
            _ => 0,
        };
    }
    let offered = Offered {
        signature_algorithms: &[P256],
        signature_algorithms_cert: &[],
        extensions: &[ExtensionType::SIGNATURE_ALGORITHMS],
    };
    let spontaneous = endpoint
        .validate_spontaneous(&offered, bytes(1200), rules)
        .ok()?;
    names += u32::from(spontaneous.context().len() > 1);

    let request = Request::parse(bytes(300)).ok()?;
    let certificates = [bytes(500), bytes(500)];
    let chain = CertificateChain::new(&certificates, P256);
    let mut out = [0; 1200];
    let len = match endpoint.authenticate(&request, &chain, &mut out) {
        Ok(unsigned) => {
            let digest = unsigned.sha256();
            let signature = Signature {
                r: digest,
                s: *bytes(32).first_chunk()?,
            };
            unsigned.sign_ecdsa(&signature).ok()?.len()
        }
        Err(_) => endpoint.decline(&request, &mut out).ok()?.len(),
    };
    chanbind_size::output(u32::try_from(len).ok()?);
    Some(names)
}

program!(verified().unwrap_or(2));
